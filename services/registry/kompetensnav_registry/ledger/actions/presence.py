"""Presence and hours of placements, week by week, confirmed by the supervisor or the school."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import uuid5

from sqlalchemy import select

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import Problem
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import PresenceConfirmed
from kompetensnav_registry.ledger.domain.ledger import weeks
from kompetensnav_registry.ledger.tables.offers import Offer, Placement, Presence


@dataclass(frozen=True)
class Week:
    """Days (0 to 7) and hours (0 to 80) of presence in a week."""

    days: int
    hours: Decimal


def weeks_to_confirm(placement: Placement, today: date) -> list[date]:
    """The Mondays of the placement's weeks that have begun, until it was interrupted if it was."""
    last = min(placement.ends_on, placement.interrupted_on or today, today)
    return weeks(placement.starts_on, last) if last >= placement.starts_on else []


async def presence_of(session: Session, placement: Placement) -> Sequence[Presence]:
    """What has been confirmed, by week."""
    rows = await session.scalars(
        select(Presence)
        .where(
            Presence.placement_id == placement.placement_id, Presence.municipality == placement.municipality
        )
        .order_by(Presence.week)
    )
    return rows.all()


async def confirm(
    session: Session, *, placement: Placement, weeks: Mapping[date, Week], party: str, today: date
) -> list[Presence]:
    """Confirms weeks; a week that is as before is left alone, another is corrected. Tells it, unless the
    learner is protected. Raises Problem for a week outside the placement, one that has not begun, or more
    hours than its days have."""
    may = set(weeks_to_confirm(placement, today))
    there = {row.week: row for row in await presence_of(session, placement)}
    offer = await session.get_one(Offer, placement.offer_id)
    for week, said in sorted(weeks.items()):  # all of them before any is written
        if week not in may:
            raise Problem(
                f"The week of {week} is not one of the placement's that have begun.",
                f"Veckan {week} är inte en av placeringens veckor som har börjat.",
            )
        if not (0 <= said.days <= 7 and 0 <= said.hours <= min(80, said.days * 24)):
            raise Problem(
                f"In the week of {week} the hours do not fit the days.",
                f"Veckan {week}: timmarna stämmer inte med dagarna.",
                errors=[{"where": f"hours-{week}"}],
            )
    confirmed = []
    for week, said in sorted(weeks.items()):
        row = there.get(week)
        if row and (row.days, row.hours) == (said.days, said.hours):
            continue
        if row is None:
            row = Presence(
                placement_id=placement.placement_id,
                week=week,
                municipality=placement.municipality,
                administration=placement.administration,
                revision=0,
            )
            session.add(row)
        row.days, row.hours, row.confirmed_by, row.revision = said.days, said.hours, party, row.revision + 1
        confirmed.append(row)
        if not placement.by_hand:
            _tell(session, offer, row)
    return confirmed


def _tell(session: Session, offer: Offer, row: Presence) -> None:
    event = PresenceConfirmed(
        presence_id=uuid5(row.placement_id, row.week.isoformat()),
        placement_id=row.placement_id,
        learner_id=offer.learner_id,
        placement_type=offer.placement_type,
        week=row.week,
        days=row.days,
        hours=float(row.hours),
        party=row.confirmed_by,
    )
    tell(
        session,
        event,
        municipality=row.municipality,
        administration=row.administration,
        revision=row.revision,
    )
