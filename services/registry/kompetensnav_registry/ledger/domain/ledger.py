"""The capacity ledger: seats over all placement types of a workplace, per slot, week and supervisor."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import UUID

from kompetensnav_contracts.vocabulary import Refusal
from kompetensnav_registry.ledger.domain.offers import NotYours, WrongStep


class SlotIsFull(Exception):
    """All seats of the slot are taken. | Alla platser är upptagna."""

    rule = "R13"


class WorkplaceIsFull(Exception):
    """The workplace receives no more learners that week. | Arbetsstället tar inte emot fler den veckan."""

    rule = "R13"


class SupervisorIsFull(Exception):
    """The supervisor has as many learners as one supervisor may have then. | Handledaren har redan så många
    som en handledare får ha då."""

    rule = "R12"


class SlotIsWithdrawn(Exception):
    """The slot is no longer offered. | Platsen erbjuds inte längre."""


class OtherPlacementType(Exception):
    """The slot is for another placement type than is asked for. | Platsen gäller en annan placeringsform än
    den som önskas."""


class LearnerIsPlaced(Exception):
    """The learner already has a place or an offer in the period. | Har redan en plats eller ett
    erbjudande."""

    rule = "R21"


class KeptElsewhere(Exception):
    """The slot is lent by another stack, whose registry alone changes it and gives its seats: hold a joint
    round. | Platsen är lånad från en annan kommuns system, som ensamt ändrar den och ger plats: gör en
    gemensam matchning."""


class SeatsAreTaken(Exception):
    """More seats are taken than would remain. | Fler platser är upptagna än vad som skulle bli kvar."""


def weeks(starts_on: date, ends_on: date) -> list[date]:
    """The Monday of every ISO week that a period touches."""
    monday = monday_of(starts_on)
    return [monday + timedelta(weeks=n) for n in range((ends_on - monday).days // 7 + 1)]


def monday_of(day: date) -> date:
    """The Monday of the day's ISO week."""
    return day - timedelta(days=day.weekday())


@dataclass(frozen=True)
class Room:
    """A slot as the ledger needs it: how many seats, when, with whom, and whether it is still offered."""

    slot_id: UUID
    seats: int
    starts_on: date
    ends_on: date
    withdrawn: bool = False
    supervisor_id: UUID | None = None

    @property
    def weeks(self) -> list[date]:
        """The Mondays it touches."""
        return weeks(self.starts_on, self.ends_on)


@dataclass
class Ledger:
    """The account of one workplace: seats over all placement types, per slot, per week and per supervisor.

    `capacity` is the most learners the workplace receives in a week, but for the weeks (their Mondays) in
    `other_weeks`; `loads` is the most learners at once of each supervisor (R12). A split week takes the whole
    week's seat: capacity counts learners, not days. The workplace's row is locked while a ledger is in use,
    so that no seat is given twice.
    """

    capacity: int
    other_weeks: dict[date, int] = field(default_factory=dict)
    loads: dict[UUID, int] = field(default_factory=dict)
    in_slot: Counter[UUID] = field(default_factory=Counter)
    in_week: Counter[date] = field(default_factory=Counter)
    with_supervisor: Counter[tuple[UUID, date]] = field(default_factory=Counter)

    def enter(self, room: Room, seats: int = 1) -> None:
        """Counts seats as taken (fewer than none: as free again)."""
        self.in_slot[room.slot_id] += seats
        for week in room.weeks:
            self.in_week[week] += seats
            if room.supervisor_id:
                self.with_supervisor[room.supervisor_id, week] += seats

    def leave(self, room: Room) -> None:
        """Counts one seat as free again."""
        self.enter(room, -1)

    def receives(self, week: date) -> int:
        """The most learners in a week."""
        return self.other_weeks.get(week, self.capacity)

    def left(self, room: Room) -> int:
        """How many more the slot can take: the least of its own seats, its workplace's weeks and its
        supervisor's."""
        if room.withdrawn:
            return 0
        return max(0, min(room.seats - self.in_slot[room.slot_id], self._weeks_left(room)))

    def _weeks_left(self, room: Room) -> int:
        left = min(self.receives(week) - self.in_week[week] for week in room.weeks)
        return left if room.supervisor_id is None else min(left, self.supervisor_left(room))

    def supervisor_left(self, room: Room) -> int:
        """How many more its supervisor can have in its weeks; all its seats when nobody is named."""
        who = room.supervisor_id
        if who is None or who not in self.loads:
            return room.seats
        return min(self.loads[who] - self.with_supervisor[who, week] for week in room.weeks)

    @property
    def busiest(self) -> int:
        """The most learners in any week that goes by the usual capacity."""
        return max((n for week, n in self.in_week.items() if week not in self.other_weeks), default=0)

    def overfull(self, since: date) -> list[date]:
        """The weeks from a day's on that hold more learners than the workplace receives, as it says now."""
        first = monday_of(since)
        return sorted(week for week, n in self.in_week.items() if week >= first and n > self.receives(week))

    def most_with(self, supervisor_id: UUID, since: date) -> int:
        """The most learners the supervisor has in any week from a day's on."""
        first = monday_of(since)
        held = (
            n for (who, week), n in self.with_supervisor.items() if who == supervisor_id and week >= first
        )
        return max(held, default=0)

    def refusal(self, room: Room) -> Refusal | None:
        """Why one more seat cannot be given; None when it can."""
        if room.withdrawn:
            return Refusal.SLOT_IS_WITHDRAWN
        if self.in_slot[room.slot_id] >= room.seats:
            return Refusal.SLOT_IS_FULL
        if any(self.in_week[week] >= self.receives(week) for week in room.weeks):
            return Refusal.WORKPLACE_IS_FULL
        if room.supervisor_id and self.supervisor_left(room) < 1:
            return Refusal.SUPERVISOR_IS_FULL
        return None


@dataclass(frozen=True)
class Days:
    """When somebody is busy: a period, and the weekdays of a split week (none given = the whole week)."""

    starts_on: date
    ends_on: date
    weekdays: frozenset[int] = frozenset()

    def clashes(self, other: "Days") -> bool:
        """R21: no two placements at once, unless both are split weeks on different days."""
        if self.starts_on > other.ends_on or other.starts_on > self.ends_on:
            return False
        return not (self.weekdays and other.weekdays) or bool(self.weekdays & other.weekdays)


def is_busy(busy: Iterable[Days], wanted: Days) -> bool:
    """Whether a learner with these placements cannot take another one then (R21)."""
    return any(days.clashes(wanted) for days in busy)


def refused(refusal: Refusal) -> Exception:
    """The refusal as people read it."""
    return {
        Refusal.SLOT_IS_FULL: SlotIsFull,
        Refusal.WORKPLACE_IS_FULL: WorkplaceIsFull,
        Refusal.SUPERVISOR_IS_FULL: SupervisorIsFull,
        Refusal.SLOT_IS_WITHDRAWN: SlotIsWithdrawn,
        Refusal.LEARNER_IS_PLACED: LearnerIsPlaced,
        Refusal.REQUEST_IS_CLOSED: WrongStep,
        Refusal.NOT_SHARED: NotYours,
    }[refusal]()
