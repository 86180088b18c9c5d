"""Offers and placements: who must answer, what an answer leads to, and a placement's steps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from kompetensnav_contracts.vocabulary import AgeClass, Party


class OfferIsSettled(Exception):
    """The offer has already been decided. | Erbjudandet är redan avgjort."""


class NotYours(Exception):
    """This party has no say in the offer. | Den parten avgör inte erbjudandet."""

    status = 403


class WrongStep(Exception):
    """The placement is not in a state that allows this. | Placeringen är inte i det läget."""


@dataclass(frozen=True)
class AnswerRule:
    """Who must say yes to an offer, who is only told, and how long they have."""

    placement_types: frozenset[str]
    valid_from: date
    must_answer: tuple[Party, ...]
    are_told: tuple[Party, ...]
    days_to_answer: int
    law: str = ""
    valid_to: date | None = None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "AnswerRule":
        """A rule from its data; raises KeyError or ValueError for one that does not fit."""
        return cls(
            frozenset(row["placement_types"]),
            row["valid_from"],
            tuple(Party(p) for p in row["must_answer"]),
            tuple(Party(p) for p in row["are_told"]),
            int(row["days_to_answer"]),
            str(row["law"]),
            row.get("valid_to"),
        )


def answer_rule(rules: Iterable[AnswerRule], placement_type: str, on: date) -> AnswerRule:
    """The rule in force for a placement type on a day. Raises LookupError when there is none."""
    valid = [
        r
        for r in rules
        if placement_type in r.placement_types
        and r.valid_from <= on
        and (r.valid_to is None or on <= r.valid_to)
    ]
    if not valid:
        raise LookupError(f"no rule says who answers {placement_type} on {on}")
    return max(valid, key=lambda r: r.valid_from)


def parties(rule: AnswerRule, age: str) -> tuple[list[Party], list[Party]]:
    """(must answer, are told) for a learner of that age class: a guardian has no part in an adult's
    placement."""
    left_out = {Party.GUARDIAN} if age == AgeClass.ADULT else set()
    return [p for p in rule.must_answer if p not in left_out], [p for p in rule.are_told if p not in left_out]


class Outcome(StrEnum):
    """Where an offer stands."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    DECLINED = "declined"


def outcome(must_answer: Sequence[str], answers: Mapping[str, bool]) -> Outcome:
    """One no settles it; it takes every yes to confirm."""
    if not all(answers.values()):
        return Outcome.DECLINED
    return Outcome.CONFIRMED if all(party in answers for party in must_answer) else Outcome.OPEN


def may_answer(state: str, must_answer: Sequence[str], answers: Mapping[str, bool], party: str) -> None:
    """Raises NotYours or OfferIsSettled when the party cannot answer (any more)."""
    if party not in must_answer:
        raise NotYours
    if state != Outcome.OPEN or party in answers:
        raise OfferIsSettled


STEPS = {
    "started": ("confirmed",),
    "completed": ("confirmed", "started"),
    "interrupted": ("confirmed", "started"),
}


def step(state: str, to: str) -> str:
    """The placement's next state. Raises WrongStep when it cannot go there from here."""
    if state not in STEPS[to]:
        raise WrongStep(state)
    return to
