"""What becomes of the seats that were asked for in another stack."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import (
    SeatAccepted,
    SeatAnswered,
    SeatDeclined,
    SeatRefused,
    SeatReserved,
)
from kompetensnav_contracts.vocabulary import Party, Reason, Refusal
from kompetensnav_registry.exchange.actions import borrowing
from kompetensnav_registry.ledger.actions import asking, cases, ledger, offers, seats
from kompetensnav_registry.ledger.domain.offers import STEPS
from kompetensnav_registry.ledger.tables.guests import Ask
from kompetensnav_registry.ledger.tables.offers import Offer, Placement

WAITS = timedelta(days=3)
"""How long an ask waits for its answer before the learner is matched anew; the link may be down."""


async def answered(session: Session, event: SeatAnswered) -> None:
    """The seat is held, and those concerned here are asked; or it is refused, and matching is told."""
    row = await _ask(session, event)
    if row is None or row.state != "asked":
        return  # given up, and the seat with it
    row.settled_at = datetime.now(UTC)
    books = await ledger.open_books(
        session,
        workplaces={row.workplace_id: row.slot_municipality},
        requests={row.request_id: row.municipality},
    )
    slot, request = books.accounts.slots[row.slot_id], books.requests.get(row.request_id)
    borrowing.left(session, slot, event.seats_left)  # before the answer: whoever hears that has heard this
    if event.refusal is not None:
        _refuse(session, row, event.refusal)
        return
    known = await cases.known(session, [request] if request else [], [slot])
    refusal = ledger.refusal(books, slot, request)
    if request is None or known.is_hidden(request):
        refusal = Refusal.REQUEST_IS_CLOSED
    elif refusal is None and cases.seat_broken(known, request, slot, is_automatic=True):
        refusal = Refusal.RULE
    if refusal or request is None:  # something has come between; the seat is not needed
        closed = refusal is Refusal.REQUEST_IS_CLOSED
        asking.give_up(session, row, Reason.REQUEST_CLOSED if closed else Reason.OTHER_PLACE)
        _refuse(session, row, refusal or Refusal.REQUEST_IS_CLOSED, "returned")
        return
    row.state = "held"
    _tell(session, row, SeatReserved(seat_id=row.reference, **seats.payload(row)))
    offers.make_offer(
        session,
        request=request,
        slot=slot,
        seat_id=row.reference,
        round_id=row.round_id,
        match_id=row.match_id,
        at_workplace=row.at_workplace,
    )


async def accepted(session: Session, event: SeatAccepted) -> None:
    """The employer there has said yes."""
    offer = await _offer(session, event)
    if offer and offer.state == "open" and _waits_for_employer(offer):
        await offers.accept(session, offer=offer, party=Party.EMPLOYER)


async def declined(session: Session, event: SeatDeclined) -> None:
    """The employer there has said no, or the slot is gone: the offer or the placement ends."""
    offer = await _offer(session, event)
    if offer is None:
        return
    if offer.state == "open":
        says = Party.EMPLOYER if _waits_for_employer(offer) and event.reason == Reason.DECLINED else None
        await offers.decline(session, offer=offer, party=says or "coordinator", reason=event.reason)
        return
    placement = await session.scalar(
        select(Placement)
        .where(Placement.offer_id == offer.offer_id, Placement.municipality == offer.municipality)
        .with_for_update()
    )
    if placement and placement.state in STEPS["interrupted"]:
        await offers.interrupt(session, placement=placement, reason=event.reason)


async def give_up_waiting(session: Session, *, now: datetime, most: int = 200) -> int:
    """Ends asks that nobody has answered; returns how many. Runs for the whole stack."""
    found = await session.scalars(
        select(Ask)  # every municipality: a job
        .where(Ask.state == "asked", Ask.asked_at < now - WAITS)
        .order_by(Ask.reference)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    rows = found.all()
    for row in rows:
        row.settled_at = now
        asking.give_up(session, row, Reason.EXPIRED)
        _refuse(session, row, Refusal.NO_ANSWER, "given_up")
    return len(rows)


class NotAnsweredYet(Exception):
    """What the employer says came before the seat was known to be held; it is tried again."""


async def _ask(session: Session, event: SeatAnswered | SeatAccepted | SeatDeclined) -> Ask | None:
    """The ask that is answered, by the registry that was asked."""
    return await session.scalar(
        select(Ask)
        .where(
            Ask.reference == event.reference,
            Ask.municipality == event.to,
            Ask.slot_municipality == event.envelope.municipality,
        )
        .with_for_update()
    )


async def _offer(session: Session, event: SeatAccepted | SeatDeclined) -> Offer | None:
    """The offer of the seat, locked. Raises NotAnsweredYet."""
    row = await _ask(session, event)
    if row is not None and row.state == "asked":
        raise NotAnsweredYet
    found = await session.scalars(
        select(Offer).where(
            Offer.seat_id == event.reference,
            Offer.municipality == event.to,
            Offer.workplace_municipality == event.envelope.municipality,
            Offer.elsewhere.is_(True),
        )
    )
    locked = await offers.lock_offers(session, found.all())
    return locked[0] if locked else None


def _waits_for_employer(offer: Offer) -> bool:
    return Party.EMPLOYER in offer.must_answer and Party.EMPLOYER not in offer.answers


def _refuse(session: Session, row: Ask, refusal: Refusal, state: str = "refused") -> None:
    row.state, row.refusal = state, refusal
    _tell(session, row, SeatRefused(refusal=refusal, **seats.payload(row)))


def _tell(session: Session, row: Ask, event: SeatReserved | SeatRefused) -> None:
    tell(session, event, municipality=row.municipality, administration=row.administration, revision=1)
