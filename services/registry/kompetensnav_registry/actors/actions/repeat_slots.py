"""Last period's slots offered again: one mail to the workplace, everything filled in, answered on a page."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import select

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import NotFound, Problem
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import WorkplaceAsked
from kompetensnav_registry.actors.tables import Asking
from kompetensnav_registry.ledger.actions import ledger, slots
from kompetensnav_registry.ledger.domain.offers import OfferIsSettled
from kompetensnav_registry.ledger.tables.slots import Slot
from kompetensnav_registry.ledger.tables.workplaces import Supervisor, Workplace


@dataclass(frozen=True)
class Filled:
    """A slot as the page fills it in: last period's, with its days moved."""

    before: Slot
    starts_on: date
    ends_on: date
    seats: int


async def ask_again(
    session: Session,
    *,
    municipality: str,
    placement_type: str,
    last_starts_on: date,
    last_ends_on: date,
    starts_on: date,
    answer_by: date,
    today: date,
) -> list[Asking]:
    """Asks every workplace that offered slots of a type in a period to do so again from a day on.

    Slots keep their weekdays: they are moved by whole weeks. Raises Problem when nothing lies ahead.
    """
    moved = timedelta(weeks=round((starts_on - last_starts_on).days / 7))
    if moved <= timedelta(0) or answer_by < today:
        raise Problem(
            "The new period and the last day to answer lie ahead.",
            "Den nya perioden och sista svarsdag ska ligga framåt.",
        )
    found = await session.scalars(
        select(Slot)
        .where(
            Slot.municipality == municipality,
            Slot.placement_type == placement_type,
            Slot.starts_on.between(last_starts_on, last_ends_on),
            Slot.own_found.is_(False),
            Slot.withdrawn_at.is_(None),
        )
        .order_by(Slot.workplace_id, Slot.starts_on, Slot.slot_id)
    )
    at: dict[UUID, list[Slot]] = defaultdict(list)
    for slot in found:
        at[slot.workplace_id].append(slot)
    made = []
    for workplace_id, theirs in at.items():
        row = Asking(
            workplace_id=workplace_id,
            cause_id=uuids.uuid7(),
            municipality=municipality,
            kind="again",
            asked_on=today,
            about={"slots": [str(s.slot_id) for s in theirs], "days": moved.days},
        )
        session.add(row)
        made.append(row)
        event = WorkplaceAsked(
            asking_id=row.cause_id,
            workplace_id=workplace_id,
            placement_type=placement_type,
            slots=len(theirs),
            starts_on=min(s.starts_on for s in theirs) + moved,
            answer_by=answer_by,
        )
        tell(session, event, municipality=municipality, revision=1)
    return made


async def find_asking(
    session: Session, *, workplace_id: UUID, asking_id: UUID, lock: bool = False
) -> tuple[Asking, Workplace]:
    """What was asked, and where; the link is the authority. Raises NotFound."""
    row = await session.get(Asking, (workplace_id, asking_id), with_for_update=lock)
    if row is None or row.kind != "again":
        raise NotFound("Nothing is asked.", "Det finns ingen förfrågan.")
    return row, await session.get_one(Workplace, workplace_id)


async def filled_in(session: Session, row: Asking) -> list[Filled]:
    """The slots as the page fills them in."""
    ids = [UUID(id) for id in row.about["slots"]]
    moved = timedelta(days=row.about["days"])
    found = await session.scalars(
        select(Slot)
        .where(Slot.slot_id.in_(ids), Slot.municipality == row.municipality)
        .order_by(Slot.starts_on, Slot.slot_id)
    )
    return [Filled(s, s.starts_on + moved, s.ends_on + moved, s.seats) for s in found]


async def offer_again(
    session: Session, *, row: Asking, workplace: Workplace, chosen: Iterable[Filled]
) -> Sequence[Slot]:
    """Posts the slots that the employer sent back. Raises OfferIsSettled the second time, or Problem for a
    period that ends before it begins."""
    if row.answered_at:
        raise OfferIsSettled
    await ledger.lock_workplaces(session, {workplace.workplace_id: workplace.municipality})
    row.answered_at = datetime.now(UTC)
    there = await session.scalars(
        select(Supervisor.supervisor_id).where(
            Supervisor.workplace_id == workplace.workplace_id,
            Supervisor.municipality == row.municipality,
            Supervisor.left_on.is_(None),
        )
    )
    supervisors = set(there)
    posted = [
        slots.post_slot(
            session,
            workplace=workplace,
            placement_type=slot.before.placement_type,
            occupation=slot.before.occupation,
            starts_on=slot.starts_on,
            ends_on=slot.ends_on,
            seats=slot.seats,
            min_language=slot.before.min_language,
            offers_needs=list(slot.before.offers_needs),
            shared_with=slot.before.shared_with,
            named_municipalities=list(slot.before.named_municipalities),
            administration=slot.before.administration,
            weekdays=list(slot.before.weekdays),
            supervisor_id=slot.before.supervisor_id if slot.before.supervisor_id in supervisors else None,
            terms=slot.before.terms.copy(),
            description=slot.before.description,
        )
        for slot in chosen
    ]
    await ledger.settle_posted(session, posted)
    return posted
