"""Seats of ours that another stack has asked for: the same ledger, and nothing about who has them."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import (
    GuestAsked,
    SeatAccepted,
    SeatAnswered,
    SeatAsked,
    SeatReturned,
)
from kompetensnav_contracts.vocabulary import Party, Reason, Refusal
from kompetensnav_registry.exchange.actions import lending
from kompetensnav_registry.ledger.actions import ledger
from kompetensnav_registry.ledger.actions.guests import OPEN, end_guest, payload_of
from kompetensnav_registry.ledger.actions.offers import DECLARED
from kompetensnav_registry.ledger.tables.guests import Guest
from kompetensnav_registry.ledger.tables.slots import Slot
from kompetensnav_registry.rules import actions as rules
from kompetensnav_registry.rules.domain.answers import answer_rule

PATIENCE = timedelta(days=7)
"""How long after the employer's last day a seat is still held for another stack."""


async def asked(session: Session, event: SeatAsked) -> None:
    """Reserves a seat or refuses it, answers, and asks the employer."""
    host, home = event.to, event.envelope.municipality
    if await session.get(Guest, event.reference) is not None:
        return
    guest = Guest(
        reference=event.reference,
        municipality=host,
        sent_by=home,
        slot_id=event.slot_id,
        state="refused",
        revision=1,
    )
    session.add(guest)
    workplace_id = await session.scalar(
        select(Slot.workplace_id).where(
            Slot.slot_id == event.slot_id, Slot.municipality == host, Slot.elsewhere.is_(False)
        )
    )
    if workplace_id is None:
        _answer(session, guest, Refusal.SLOT_IS_WITHDRAWN, 0)
        return
    accounts = await ledger.open_accounts(session, {workplace_id: host})
    slot = accounts.slots[event.slot_id]
    guest.workplace_id = workplace_id
    refusal = accounts.ledgers[workplace_id].refusal(slot.room)
    if (slot.starts_on, slot.ends_on, tuple(slot.weekdays)) != (
        event.starts_on,
        event.ends_on,
        event.weekdays,
    ):
        refusal = (
            refusal or Refusal.SLOT_IS_FULL
        )  # as it was when they matched to it; they hear of the change
    if refusal is not Refusal.SLOT_IS_WITHDRAWN:
        agreements = await lending.agreements_with_others(session)
        if home not in lending.borrowers(slot, agreements):
            refusal = Refusal.NOT_SHARED
    if refusal is None:
        seat = ledger.take_seat(accounts, slot, published=False, cause_id=guest.reference)
        await accounts.settle(session)
        guest.seat_id, guest.state = seat.seat_id, "held"
    _answer(session, guest, refusal, slot.seats_left)
    if guest.state == "held":
        _ask_employer(session, guest, slot)


def _answer(session: Session, guest: Guest, refusal: Refusal | None, left: int) -> None:
    guest.refusal = refusal
    event = SeatAnswered(
        to=guest.sent_by,
        reference=guest.reference,
        slot_id=guest.slot_id,
        refusal=refusal,
        seats_left=left,
    )
    tell(session, event, municipality=guest.municipality, revision=1)


def _ask_employer(session: Session, guest: Guest, slot: Slot) -> None:
    """Asks the employer, where placements of this type wait for one."""
    rule = answer_rule(rules.answer_rules(), slot.placement_type, slot.starts_on)
    if Party.EMPLOYER not in rule.must_answer:
        return
    guest.answer_by = datetime.now(UTC).date() + timedelta(days=rule.days_to_answer)
    event = GuestAsked(answer_by=guest.answer_by, **payload_of(guest, slot))
    tell(session, event, municipality=guest.municipality, revision=1)


async def returned(session: Session, event: SeatReturned) -> None:
    """The seat is free again, and the employer is told if it was asked. What is returned before the asking
    was heard (it may be tried again later) is never given."""
    home = event.envelope.municipality
    never = {
        "reference": event.reference,
        "municipality": event.to,
        "sent_by": home,
        "slot_id": event.slot_id,
    }
    await session.execute(
        insert(Guest)
        .values(state="returned", reason=event.reason, revision=1, settled_at=datetime.now(UTC), **never)
        .on_conflict_do_nothing()
    )
    found = await _locked(session, event.reference, event.to)
    if found is None:
        return
    guest, accounts = found
    if guest.sent_by == home and guest.state in OPEN:
        await end_guest(session, guest, accounts, "returned", event.reason)


async def answer(session: Session, *, reference: UUID, municipality: str, says_yes: bool) -> Guest | None:
    """The employer's answer, which is told to the other stack; None when there is nothing to answer."""
    found = await _locked(session, reference, municipality)
    if found is None:
        return None
    guest, accounts = found
    if guest.state != "held" or guest.answer_by is None:
        return None
    if says_yes:
        guest.state, guest.declared, guest.settled_at = "accepted", DECLARED, datetime.now(UTC)
        guest.revision += 1
        yes = SeatAccepted(to=guest.sent_by, reference=guest.reference)
        tell(session, yes, municipality=municipality, revision=guest.revision)
        return guest
    await end_guest(session, guest, accounts, "declined", Reason.DECLINED)
    return guest


async def end_late(session: Session, *, today: date, most: int = 100) -> int:
    """Ends seats that the employer has not said yes to long after its last day: the other stack, which should
    have returned them, may be gone. Returns how many. Runs for the whole stack."""
    found = await session.execute(
        select(Guest.reference, Guest.municipality)  # every municipality: a job
        .where(Guest.state == "held", Guest.answer_by < today - PATIENCE)
        .order_by(Guest.reference)
        .limit(most)
    )
    late = found.all()
    for reference, municipality in late:
        locked = await _locked(session, reference, municipality)
        if locked and locked[0].state == "held":
            await end_guest(session, *locked, "declined", Reason.EXPIRED)
    return len(late)


async def _locked(
    session: Session, reference: UUID, municipality: str
) -> tuple[Guest, ledger.Accounts] | None:
    """The guest, locked after the workplace's account."""
    workplace_id = await session.scalar(
        select(Guest.workplace_id).where(Guest.reference == reference, Guest.municipality == municipality)
    )
    if workplace_id is None:
        return None
    accounts = await ledger.open_accounts(session, {workplace_id: municipality})
    guest = await session.scalar(
        select(Guest)
        .where(Guest.reference == reference, Guest.municipality == municipality)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return (guest, accounts) if guest else None
