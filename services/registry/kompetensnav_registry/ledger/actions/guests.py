"""Ending the seats that another stack has in our slots."""

from datetime import UTC, datetime

from sqlalchemy import select

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import GuestEnded, SeatDeclined
from kompetensnav_contracts.vocabulary import Reason
from kompetensnav_registry.ledger.actions import ledger
from kompetensnav_registry.ledger.tables.guests import Guest
from kompetensnav_registry.ledger.tables.slots import Slot

OPEN = ("held", "accepted")


async def end_guests_of_slot(session: Session, *, slot: Slot) -> None:
    """Ends what hangs on a withdrawn slot; the caller has locked its workplace."""
    found = await session.scalars(
        select(Guest)
        .where(Guest.slot_id == slot.slot_id, Guest.municipality == slot.municipality, Guest.state.in_(OPEN))
        .order_by(Guest.reference)
        .with_for_update()
    )
    for guest in found.all():
        await end_guest(session, guest, None, "declined", Reason.SLOT_WITHDRAWN)


async def end_guest(
    session: Session, guest: Guest, accounts: ledger.Accounts | None, state: str, reason: Reason
) -> None:
    """Frees the seat of a guest whose row is locked, and tells the other stack or the employer."""
    assert guest.seat_id is not None
    slot_id = guest.slot_id
    guest.state, guest.reason, guest.settled_at = state, reason, datetime.now(UTC)
    host = guest.municipality
    await session.flush()
    await ledger.release_seats(session, seat_ids=[guest.seat_id], municipalities=[host], reason=reason)
    if state == "declined":
        guest.revision += 1
        no = SeatDeclined(to=guest.sent_by, reference=guest.reference, reason=reason)
        tell(session, no, municipality=host, revision=guest.revision)
    if state == "returned" and guest.answer_by is not None:
        slot = accounts.slots[slot_id] if accounts else await session.get_one(Slot, slot_id)
        tell(session, GuestEnded(reason=reason, **payload_of(guest, slot)), municipality=host, revision=2)


def payload_of(guest: Guest, slot: Slot) -> dict[str, object]:
    """A guest as its events carry it: the slot, and nobody."""
    return {
        "reference": guest.reference,
        "workplace_id": guest.workplace_id,
        "slot_id": guest.slot_id,
        "sent_by": guest.sent_by,
        "placement_type": slot.placement_type,
        "starts_on": slot.starts_on,
    }
