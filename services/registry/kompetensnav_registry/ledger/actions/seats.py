"""Seats for approved matches: reserved or refused, and the offers that follow."""

from collections.abc import Sequence
from typing import TypedDict
from uuid import UUID

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts import Event
from kompetensnav_contracts.events.matching import LearnerMatched
from kompetensnav_contracts.events.registry import SeatRefused, SeatReserved
from kompetensnav_contracts.vocabulary import Refusal
from kompetensnav_registry.ledger.actions import asking, cases, ledger
from kompetensnav_registry.ledger.actions.offers import make_offer
from kompetensnav_registry.ledger.tables.guests import Ask
from kompetensnav_registry.ledger.tables.offers import Request
from kompetensnav_registry.ledger.tables.slots import Seat, Slot


async def reserve_seats(session: Session, matches: Sequence[LearnerMatched]) -> None:
    """Reserves or refuses a seat for each match, makes the offers, and tells all of it."""
    books = await ledger.open_books(
        session,
        workplaces={m.workplace_id: m.slot_municipality for m in matches},
        requests={m.request_id: m.envelope.municipality for m in matches},
    )
    known = await cases.known(session, books.requests.values(), books.accounts.slots.values())
    given: list[tuple[LearnerMatched, Request, Slot, Seat]] = []
    refused: list[tuple[LearnerMatched, Refusal, str | None]] = []
    for match in matches:
        slot, request = books.accounts.slots.get(match.slot_id), books.requests.get(match.request_id)
        refusal = ledger.refusal(books, slot, request)
        if slot is not None and slot.elsewhere and slot.seats_left < 1:
            refusal = refusal or Refusal.SLOT_IS_FULL
        if request is not None and known.is_hidden(request):  # to the outside it is closed
            refusal = Refusal.REQUEST_IS_CLOSED
        if refusal or slot is None or request is None:
            refused.append((match, refusal or Refusal.REQUEST_IS_CLOSED, None))
            continue
        broken = cases.seat_broken(known, request, slot, is_automatic=True)
        if broken:
            refused.append((match, Refusal.RULE, broken[0].id))
            continue
        if slot.elsewhere:
            asking.ask(session, match, slot)
        else:
            seat = ledger.take_seat(books.accounts, slot, published=True, cause_id=match.round_id)
            given.append((match, request, slot, seat))
        books.busy.setdefault(request.learner_id, []).append(slot.days)
    # Capacity first: a listener that hears of the seats has then already heard that they are gone.
    await books.accounts.settle(session)
    for match, why, rule in refused:
        _tell(session, match, SeatRefused(refusal=why, rule=rule, **payload(match)))
    for match, request, slot, seat in given:
        _tell(session, match, SeatReserved(seat_id=seat.seat_id, **payload(match)))
        make_offer(
            session,
            request=request,
            slot=slot,
            seat_id=seat.seat_id,
            round_id=match.round_id,
            match_id=match.match_id,
            at_workplace=match.at_workplace,
            cause=match.envelope,
        )


class MatchState(TypedDict):
    """What every event about the seat of a match carries."""

    match_id: UUID
    round_id: UUID
    slot_id: UUID
    workplace_id: UUID
    workplace_municipality: str
    request_id: UUID
    at_workplace: int


def payload(match: LearnerMatched | Ask) -> MatchState:
    """A match, or what was asked of another stack for one, as the events of its seat carry it."""
    return MatchState(
        match_id=match.match_id,
        round_id=match.round_id,
        slot_id=match.slot_id,
        workplace_id=match.workplace_id,
        workplace_municipality=match.slot_municipality,
        request_id=match.request_id,
        at_workplace=match.at_workplace,
    )


def _tell(session: Session, match: LearnerMatched, event: Event) -> None:
    tell(
        session,
        event,
        municipality=match.envelope.municipality,
        administration=match.envelope.administration,
        revision=1,
        cause=match.envelope,
    )
