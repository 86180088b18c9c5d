"""What notifications does when something has happened elsewhere: it writes down whom to tell."""

from collections.abc import Sequence
from datetime import UTC, datetime

from kompetensnav_chassis.broker.listener import Listener
from kompetensnav_chassis.db import EVERYONE, Session, rescope
from kompetensnav_contracts import Event
from kompetensnav_contracts.events.matching import RoundApproved
from kompetensnav_contracts.events.registry import (
    AgreementExpiring,
    ErasureRequested,
    GuestAsked,
    GuestEnded,
    InvitationMade,
    OfferDeclined,
    OfferExpired,
    OfferMade,
    PlacementConfirmed,
    PlacementInterrupted,
    SeatRefused,
    WorkplaceAsked,
)
from kompetensnav_notifications import actions

listener = Listener("notifications")


@listener.on_many(
    RoundApproved,
    OfferMade,
    OfferDeclined,
    OfferExpired,
    PlacementConfirmed,
    PlacementInterrupted,
    SeatRefused,
    WorkplaceAsked,
    GuestAsked,
    GuestEnded,
    InvitationMade,
    AgreementExpiring,
    ErasureRequested,
    name="offers",
)
async def on_offers(events: Sequence[Event], session: Session) -> None:
    """Writes one row per recipient; then forgets those who are to be forgotten, and answers: in one
    consumer, so that no message is written after its recipient was forgotten. An employer's digest counts
    offers to learners of every municipality and administration of the round, so the scope is widened here."""
    await rescope(session, EVERYONE)
    asked = [event for event in events if isinstance(event, ErasureRequested)]
    await actions.take_in(session, [e for e in events if e not in asked], datetime.now(UTC))
    for event in asked:
        await actions.forget(session, event)
