"""The registry's rules: the capacity ledger, who answers an offer, age classes. Values in, values out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from kompetensnav_contracts.vocabulary import AgeClass, Party, Refusal


class SlotIsFull(Exception):
    """All seats of the slot are taken. | Alla platser är upptagna."""


class WorkplaceIsFull(Exception):
    """The workplace receives no more learners that week. | Arbetsstället tar inte emot fler den veckan."""


class SlotIsWithdrawn(Exception):
    """The slot is no longer offered. | Platsen erbjuds inte längre."""


class LearnerIsPlaced(Exception):
    """The learner already has a place or an offer in the period. | Har redan en plats eller ett
    erbjudande."""


class OfferIsSettled(Exception):
    """The offer has already been decided. | Erbjudandet är redan avgjort."""


class NotYours(Exception):
    """This party has no say in the offer. | Den parten avgör inte erbjudandet."""

    status = 403


class SeatsAreTaken(Exception):
    """More seats are taken than would remain. | Fler platser är upptagna än vad som skulle bli kvar."""


class WrongStep(Exception):
    """The placement is not in a state that allows this. | Placeringen är inte i det läget."""


def weeks(starts_on: date, ends_on: date) -> list[date]:
    """The Monday of every ISO week that a period touches."""
    monday = starts_on - timedelta(days=starts_on.weekday())
    return [monday + timedelta(weeks=n) for n in range((ends_on - monday).days // 7 + 1)]


@dataclass(frozen=True)
class Room:
    """A slot as the ledger needs it: how many seats, when, and whether it is still offered."""

    slot_id: UUID
    seats: int
    starts_on: date
    ends_on: date
    withdrawn: bool = False


@dataclass
class Ledger:
    """The account of one workplace: seats over all placement types, per slot and per week.

    `capacity` is the most learners the workplace receives in any week. The workplace's row is locked while a
    ledger is in use, so that no seat is given twice.
    """

    capacity: int
    in_slot: Counter[UUID] = field(default_factory=Counter)
    in_week: Counter[date] = field(default_factory=Counter)

    def enter(self, room: Room) -> None:
        """Counts one seat as taken."""
        self.in_slot[room.slot_id] += 1
        self.in_week.update(weeks(room.starts_on, room.ends_on))

    def leave(self, room: Room) -> None:
        """Counts one seat as free again."""
        self.in_slot[room.slot_id] -= 1
        self.in_week.subtract(weeks(room.starts_on, room.ends_on))

    def left(self, room: Room) -> int:
        """How many more the slot can take: the least of its own seats and its workplace's weeks."""
        if room.withdrawn:
            return 0
        busiest = max(self.in_week[week] for week in weeks(room.starts_on, room.ends_on))
        return max(0, min(room.seats - self.in_slot[room.slot_id], self.capacity - busiest))

    @property
    def busiest(self) -> int:
        """The most learners in any one week."""
        return max(self.in_week.values(), default=0)

    def refusal(self, room: Room) -> Refusal | None:
        """Why one more seat cannot be given; None when it can."""
        if room.withdrawn:
            return Refusal.SLOT_IS_WITHDRAWN
        if self.in_slot[room.slot_id] >= room.seats:
            return Refusal.SLOT_IS_FULL
        if any(self.in_week[week] >= self.capacity for week in weeks(room.starts_on, room.ends_on)):
            return Refusal.WORKPLACE_IS_FULL
        return None


def refused(refusal: Refusal) -> Exception:
    """The refusal as people read it."""
    return {
        Refusal.SLOT_IS_FULL: SlotIsFull,
        Refusal.WORKPLACE_IS_FULL: WorkplaceIsFull,
        Refusal.SLOT_IS_WITHDRAWN: SlotIsWithdrawn,
        Refusal.LEARNER_IS_PLACED: LearnerIsPlaced,
        Refusal.REQUEST_IS_CLOSED: WrongStep,
        Refusal.NOT_SHARED: NotYours,
    }[refusal]()


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


def age_class(born_on: date, on: date) -> AgeClass:
    """Age class on a day: AFS 2012:3 (younger child under 13; youth from the year one turns 16 with
    compulsory school completed, here taken as the autumn of that year; adult from 18)."""
    age = on.year - born_on.year - ((on.month, on.day) < (born_on.month, born_on.day))
    if age >= 18:
        return AgeClass.ADULT
    if age < 13:
        return AgeClass.YOUNGER_CHILD
    turned = on.year - born_on.year
    left_school = turned > 16 or (turned == 16 and on.month >= 7)
    return AgeClass.YOUTH if left_school else AgeClass.OLDER_CHILD


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
