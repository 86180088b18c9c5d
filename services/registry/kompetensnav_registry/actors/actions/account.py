"""The ledger as an account of one workplace: how often it was asked, and every seat it has given."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Date, cast, func, select

from kompetensnav_chassis.db import Session
from kompetensnav_registry.actors.actions import workplaces
from kompetensnav_registry.actors.tables import Asking, Employer
from kompetensnav_registry.ledger.actions import places
from kompetensnav_registry.ledger.tables.offers import Offer
from kompetensnav_registry.ledger.tables.slots import Seat, Slot
from kompetensnav_registry.ledger.tables.workplaces import Workplace


@dataclass(frozen=True)
class Line:
    """One seat. Of another administration's nothing is said but that it is occupied: not in which form, nor
    by whom."""

    starts_on: date
    ends_on: date
    weekdays: list[int]
    occupied: bool
    is_ours: bool
    placement_type: str | None
    occupation: str | None
    freed_because: str | None


@dataclass(frozen=True)
class Account:
    """A workplace's account over a period: (Monday, receives, held) by week, and its seats."""

    workplace: Workplace
    employer: str
    asked: int
    weeks: list[tuple[date, int, int]]
    lines: list[Line]


def term(day: date) -> tuple[date, date]:
    """First and last day of the school term of a day: spring to 31 July, autumn from 1 August."""
    if day.month <= 7:
        return date(day.year, 1, 1), date(day.year, 7, 31)
    return date(day.year, 8, 1), date(day.year, 12, 31)


async def times_asked(
    session: Session, *, municipality: str, workplace_id: UUID, starts_on: date, ends_on: date
) -> int:
    """How often a workplace was asked in a period: once a round, once a place that a learner found, once a
    mail to offer again; by whichever administration."""
    rounds = await session.scalar(
        select(func.count(Seat.cause_id.distinct())).where(
            Seat.workplace_id == workplace_id,
            Seat.municipality == municipality,
            cast(Seat.reserved_at, Date).between(starts_on, ends_on),
        )
    )
    again = await session.scalar(
        select(func.count()).where(
            Asking.workplace_id == workplace_id,
            Asking.municipality == municipality,
            Asking.asked_on.between(starts_on, ends_on),
        )
    )
    return (rounds or 0) + (again or 0)


async def account_of(
    session: Session, *, municipality: str, workplace_id: UUID, starts_on: date, ends_on: date
) -> Account:
    """The account. What is ours is what the caller's administrations see. Raises NotFound."""
    place = await places.find_workplace(session, municipality=municipality, workplace_id=workplace_id)
    asked = await times_asked(
        session,
        municipality=municipality,
        workplace_id=workplace_id,
        starts_on=starts_on,
        ends_on=ends_on,
    )
    found = await session.execute(
        select(Seat, Slot.weekdays, Offer)
        .join(Slot, Slot.slot_id == Seat.slot_id)
        .outerjoin(Offer, Offer.seat_id == Seat.seat_id)  # ours only: row-level security hides the others
        .where(
            Seat.workplace_id == workplace_id,
            Seat.municipality == municipality,
            Seat.starts_on <= ends_on,
            Seat.ends_on >= starts_on,
        )
        .order_by(Seat.starts_on, Seat.reserved_at, Seat.seat_id)
    )
    lines = [
        Line(
            seat.starts_on,
            seat.ends_on,
            list(weekdays),
            seat.released_at is None,
            offer is not None and not offer.by_hand,
            offer.placement_type if offer and not offer.by_hand else None,
            offer.occupation if offer and not offer.by_hand else None,
            seat.reason if offer and not offer.by_hand else None,
        )
        for seat, weekdays, offer in found
        if seat.released_at is None or (offer is not None and not offer.by_hand)
    ]
    weeks = await workplaces.reception(
        session,
        municipality=municipality,
        workplace_id=workplace_id,
        starts_on=starts_on,
        ends_on=ends_on,
    )
    employer = await session.get_one(Employer, place.employer_id)
    return Account(place, employer.name, asked, weeks, lines)
