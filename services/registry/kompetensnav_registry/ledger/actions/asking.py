"""Asking another stack for a seat, and giving one back: told under a reference that means nothing there."""

from collections.abc import Iterable
from uuid import uuid4

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.matching import LearnerMatched
from kompetensnav_contracts.events.registry import SeatAsked, SeatReleased, SeatReturned
from kompetensnav_contracts.vocabulary import Reason
from kompetensnav_registry.ledger.tables.guests import Ask
from kompetensnav_registry.ledger.tables.offers import Offer
from kompetensnav_registry.ledger.tables.slots import Slot

REASONS_GIVEN = {
    Reason.DECLINED,
    Reason.EXPIRED,
    Reason.SLOT_WITHDRAWN,
    Reason.REQUEST_CLOSED,
    Reason.OTHER_PLACE,
}
"""Reasons that another stack may hear: its employer knows who it was, and that somebody is ill is theirs."""


def ask(session: Session, match: LearnerMatched, slot: Slot) -> Ask:
    """Asks the slot's own registry for a seat. The reference is random: not even its time tells anything."""
    names = ("slot_id", "workplace_id", "match_id", "round_id", "request_id", "at_workplace")
    row = Ask(
        reference=uuid4(),
        municipality=match.envelope.municipality,
        administration=match.envelope.administration,
        slot_municipality=slot.municipality,
        state="asked",
        **{name: getattr(match, name) for name in names},
    )
    session.add(row)
    event = SeatAsked(
        to=row.slot_municipality,
        reference=row.reference,
        slot_id=row.slot_id,
        starts_on=slot.starts_on,
        ends_on=slot.ends_on,
        weekdays=tuple(slot.weekdays),
    )
    tell(session, event, municipality=row.municipality, revision=1)
    return row


def give_back(session: Session, offers: Iterable[Offer], reason: Reason) -> None:
    """Tells the slots' own registries that these seats are not needed any more."""
    for offer in offers:
        returned = SeatReturned(
            to=offer.workplace_municipality,
            reference=offer.seat_id,
            slot_id=offer.slot_id,
            reason=reason if reason in REASONS_GIVEN else Reason.OTHER,
        )
        tell(session, returned, municipality=offer.municipality, revision=2)
        if offer.match_id:
            tell(
                session,
                SeatReleased(seat_id=offer.seat_id, slot_id=offer.slot_id, reason=reason),
                municipality=offer.workplace_municipality,
                revision=2,
            )


def give_up(session: Session, row: Ask, reason: Reason) -> None:
    """Tells the slot's own registry that the seat of an ask is not needed, whatever it has answered."""
    returned = SeatReturned(
        to=row.slot_municipality, reference=row.reference, slot_id=row.slot_id, reason=reason
    )
    tell(session, returned, municipality=row.municipality, revision=2)
