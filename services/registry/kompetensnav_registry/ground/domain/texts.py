"""Free text: what may not stand in it, said with its place."""

from collections.abc import Sequence
from typing import Protocol


class Part(Protocol):
    """Something found in a text, from one character to another."""

    @property
    def what(self) -> str:
        """`number`, `phone` or `address`."""

    @property
    def starts(self) -> int:
        """First character, from 0."""

    @property
    def ends(self) -> int:
        """The character after the last."""


ADVICE = {
    "number": (
        "a person's number may not stand in a free text; take it out",
        "personnummer får inte stå i fritext; ta bort det",
    ),
    "phone": (
        "a phone number belongs in the contact's field `phone`; move it there",
        "telefonnummer hör hemma i kontaktens fält `phone`; flytta det dit",
    ),
    "address": (
        "an address belongs in the workplace's field `address`; move it there",
        "adressen hör hemma i arbetsställets fält `address`; flytta den dit",
    ),
}


def faults(field: str, found: Sequence[Part]) -> list[dict[str, object]]:
    """What to do about each part, by its place (characters from 1), and which field it may be moved to. The
    text itself is not repeated."""
    targets = {"phone": "contact_phone", "address": "address"}
    return [
        {
            "where": f"body.{field}",
            "from": part.starts + 1,
            "to": part.ends,
            "rule": part.what,
            "move_to": targets.get(part.what),
            "reason": ADVICE[part.what][0],
            "reason_sv": ADVICE[part.what][1],
        }
        for part in found
    ]
