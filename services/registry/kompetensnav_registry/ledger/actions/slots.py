"""Slots: posted, changed, withdrawn; each tells its whole state, and a public twin when open to everyone."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TypeVar
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import select

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import NotFound, Problem
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts import Event
from kompetensnav_contracts.events.registry import (
    SlotChanged,
    SlotOffered,
    SlotPayload,
    SlotPosted,
    SlotRetracted,
    SlotWithdrawn,
)
from kompetensnav_contracts.vocabulary import LanguageLevel, Need, PlacementType, Reason, Sharing
from kompetensnav_registry.ground.domain.editing import change
from kompetensnav_registry.ledger.actions import guests, ledger, listing, offers
from kompetensnav_registry.ledger.domain.ledger import (
    KeptElsewhere,
    SeatsAreTaken,
    SlotIsWithdrawn,
    SupervisorIsFull,
)
from kompetensnav_registry.ledger.domain.slots import SlotValues
from kompetensnav_registry.ledger.tables.slots import Seat, Slot
from kompetensnav_registry.ledger.tables.workplaces import Supervisor, Workplace
from kompetensnav_registry.rules.domain.terms import KeptSlotTerms
from kompetensnav_registry.rules.edges import SlotTerms, merged

F = TypeVar("F", bound=SlotPayload)
AGREED = {"placement_type", "occupation", "starts_on", "ends_on", "weekdays", "terms"}
"""What an offer repeats or the rules have read, and its parties have said yes to."""


def post_slot(
    session: Session,
    *,
    workplace: Workplace,
    placement_type: str,
    occupation: str,
    starts_on: date,
    ends_on: date,
    seats: int,
    min_language: str = "none",
    offers_needs: list[str] | None = None,
    shared_with: str = Sharing.MUNICIPALITY,
    named_municipalities: list[str] | None = None,
    administration: str | None = None,
    weekdays: list[int] | None = None,
    supervisor_id: UUID | None = None,
    terms: KeptSlotTerms | None = None,
    description: str | None = None,
    ref: str | None = None,
    own_found: bool = False,
) -> Slot:
    """Offers seats at a workplace. Raises Problem for a period that ends before it begins."""
    _period(starts_on, ends_on)
    row = Slot(
        slot_id=uuids.uuid7(),
        municipality=workplace.municipality,
        ref=ref,
        workplace_id=workplace.workplace_id,
        employer_id=workplace.employer_id,
        placement_type=placement_type,
        occupation=occupation,
        starts_on=starts_on,
        ends_on=ends_on,
        seats=seats,
        locality=workplace.locality,
        min_language=min_language,
        offers_needs=offers_needs or [],
        shared_with=shared_with,
        named_municipalities=named_municipalities or [],
        administration=administration,
        weekdays=sorted(set(weekdays or [])),
        supervisor_id=supervisor_id,
        terms=terms or KeptSlotTerms(),
        description=description,
        own_found=own_found,
        taken=0,
        seats_left=seats,
        revision=1,
        capacity_revision=0,
        public_revision=0,
        is_public=False,
    )
    session.add(row)
    listing.show(session, row, workplace)
    _tell_posted(session, row)
    return row


async def change_slot(
    session: Session,
    *,
    municipality: str,
    slot_id: UUID,
    changes: SlotValues,
    terms: SlotTerms | None = None,
    seen: int | None = None,
) -> Slot:
    """Corrects a slot whose revision the editor has seen (a file has seen none). Raises NotFound,
    SlotIsWithdrawn, SeatsAreTaken, ChangedMeanwhile or Problem.

    `terms`: what is said of them now; what is left out stays. While seats are taken, what those who hold them
    have agreed to stays: type, occupation, period and terms.
    """
    accounts, row = await _locked(session, municipality, slot_id)
    if row.withdrawn_at:
        raise SlotIsWithdrawn
    if terms:
        changes = changes | SlotValues(terms=merged(row.terms, terms))
    said = {name: value for name, value in changes.items() if value != getattr(row, name)}
    changed = said.keys()
    if changes.get("seats", row.seats) < row.taken or (row.taken and changed & AGREED):
        raise SeatsAreTaken(f"{row.taken}")
    if "supervisor_id" in changed:
        await _move_to(session, accounts, row, changes["supervisor_id"])
    if not change(row, row.revision if seen is None else seen, said):
        return row
    _period(row.starts_on, row.ends_on)
    if row.shared_with == Sharing.ADMINISTRATION and not row.administration:
        raise Problem(
            "Name the administration it is kept to.", "Ange den förvaltning som platsen är förbehållen."
        )
    if not row.own_found:
        tell(session, payload(SlotChanged, row), municipality=municipality, revision=row.revision)
    await accounts.settle(session)
    listing.show(session, row, await session.get_one(Workplace, row.workplace_id))
    _tell_public(session, row)
    return row


async def change_employer(session: Session, slot_ids: Sequence[UUID], *, to: UUID) -> None:
    """Slots now belong to another registration of their employer. Told, for events name the employer."""
    found = await session.scalars(
        select(Slot)  # the municipalities that the caller was held against
        .where(Slot.slot_id.in_(slot_ids))
        .order_by(Slot.slot_id)
        .with_for_update()
    )
    for row in found.all():
        row.employer_id, row.revision = to, row.revision + 1
        listing.show(session, row, await session.get_one(Workplace, row.workplace_id))
        if not row.own_found and not row.withdrawn_at:
            tell(session, payload(SlotChanged, row), municipality=row.municipality, revision=row.revision)
            _tell_public(session, row)


async def withdraw_slot(
    session: Session, *, municipality: str, slot_id: UUID, because: str | None = None
) -> Slot:
    """Takes a slot back: open offers are declined, confirmed placements interrupted, everyone told."""
    accounts, row = await _locked(session, municipality, slot_id)
    if row.withdrawn_at:
        return row
    row.withdrawn_at, row.withdrawn_because = datetime.now(UTC), because
    row.revision += 1
    if not row.own_found:
        tell(
            session,
            SlotWithdrawn(
                slot_id=row.slot_id,
                placement_type=row.placement_type,
                occupation=row.occupation,
                starts_on=row.starts_on,
                seats=row.seats,
            ),
            municipality=municipality,
            revision=row.revision,
        )
    await accounts.settle(session)
    listing.hide(session, slot_id)
    await offers.end_offers_of_slot(session, slot=row, reason=Reason.SLOT_WITHDRAWN)
    await guests.end_guests_of_slot(session, slot=row)
    _tell_public(session, row)
    return row


async def _move_to(
    session: Session, accounts: ledger.Accounts, row: Slot, supervisor_id: UUID | None
) -> None:
    """Those who have seats get another supervisor. Raises NotFound, or SupervisorIsFull."""
    book = accounts.ledgers[row.workplace_id]
    if supervisor_id is not None:
        there = select(Supervisor.supervisor_id).where(
            Supervisor.supervisor_id == supervisor_id,
            Supervisor.workplace_id == row.workplace_id,
            Supervisor.municipality == row.municipality,
            Supervisor.left_on.is_(None),
        )
        if await session.scalar(there) is None:
            raise NotFound(
                "The workplace has no such supervisor.", "Arbetsstället har ingen sådan handledare."
            )
    held = await session.scalars(
        select(Seat).where(
            Seat.slot_id == row.slot_id, Seat.municipality == row.municipality, Seat.released_at.is_(None)
        )
    )
    for seat in held.all():
        book.leave(seat.room)
        seat.supervisor_id = supervisor_id
        if supervisor_id and book.supervisor_left(seat.room) < 1:
            raise SupervisorIsFull
        book.enter(seat.room)


def payload(kind: type[F], row: Slot) -> F:
    """The slot's whole state, as an event of that kind carries it."""
    return kind(
        slot_id=row.slot_id,
        workplace_id=row.workplace_id,
        employer_id=row.employer_id,
        placement_type=PlacementType(row.placement_type),
        occupation=row.occupation,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        seats=row.seats,
        locality=row.locality,
        min_language=LanguageLevel(row.min_language),
        offers_needs=tuple(Need(need) for need in row.offers_needs),
        shared_with=Sharing(row.shared_with),
        named_municipalities=tuple(row.named_municipalities),
        administration=row.administration,
        weekdays=tuple(row.weekdays),
    )


def _tell_posted(session: Session, row: Slot) -> None:
    if row.own_found:  # meant for one learner; nobody else is matched to it
        return
    tell(session, payload(SlotPosted, row), municipality=row.municipality, revision=row.revision)
    _tell_public(session, row)


def _tell_public(session: Session, row: Slot) -> None:
    """The public twin events, with their own contiguous revision."""
    open_now = row.shared_with == Sharing.PUBLIC and not row.withdrawn_at
    if not open_now and not row.is_public:
        return
    row.is_public, row.public_revision = open_now, row.public_revision + 1
    event: Event = SlotRetracted(slot_id=row.slot_id)
    if open_now:
        event = SlotOffered.model_validate(payload(SlotPosted, row), from_attributes=True)
    tell(session, event, municipality=row.municipality, revision=row.public_revision)


async def _locked(session: Session, municipality: str, slot_id: UUID) -> tuple[ledger.Accounts, Slot]:
    """The slot with its workplace's accounts, locked. Raises NotFound, or KeptElsewhere."""
    workplace_id = await session.scalar(
        select(Slot.workplace_id).where(Slot.slot_id == slot_id, Slot.municipality == municipality)
    )
    if workplace_id is None:
        raise NotFound("There is no such slot.", "Det finns ingen sådan plats.")
    accounts = await ledger.open_accounts(session, {workplace_id: municipality})
    if accounts.slots[slot_id].elsewhere:
        raise KeptElsewhere
    return accounts, accounts.slots[slot_id]


def _period(starts_on: date, ends_on: date) -> None:
    if ends_on < starts_on:
        raise Problem("The period ends before it begins.", "Perioden slutar innan den börjar.")
