"""Offers and placements: who must answer, what an answer leads to, and a placement's steps."""

from collections.abc import Mapping, Sequence
from enum import StrEnum


class OfferIsSettled(Exception):
    """The offer has already been decided. | Erbjudandet är redan avgjort."""


class NotYours(Exception):
    """This party has no say in the offer. | Den parten avgör inte erbjudandet."""

    status = 403


class WrongStep(Exception):
    """The placement is not in a state that allows this. | Placeringen är inte i det läget."""


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
