"""A learner offered a slot by a person, without a round: the same ledger, the same answers."""

from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import select

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import NotFound
from kompetensnav_registry import domain
from kompetensnav_registry.actions import ledger, offers, rules
from kompetensnav_registry.actions.reserve import reserve
from kompetensnav_registry.tables import LearningCentre, Offer, Request, Slot


async def offer_slot(
    session: Session,
    *,
    municipality: str,
    request_id: UUID,
    slot_id: UUID,
    slot_municipality: str | None = None,
    via: LearningCentre | None = None,
) -> Offer:
    """Holds a seat for the learner and asks those who must answer.

    `slot_municipality` says where the slot lies when not in the learner's municipality; `via` is the
    learning centre that places the learner. Raises NotFound and the ledger's refusals.
    """
    host = slot_municipality or municipality
    seat_id, round_id = uuids.uuid7(), uuids.uuid7()
    async with ledger.reaching(session, [host]):
        held = via is None and await reserve(
            session,
            host=host,
            slot_id=slot_id,
            home=municipality,
            request_id=request_id,
            seat_id=seat_id,
            cause_id=round_id,
        )
        if held:
            slot, request = held.slot, held.request
        else:
            slot, request, seat_id = await _by_agreement(
                session, host, slot_id, municipality, request_id, round_id, via
            )
    return offers.make_offer(session, request=request, slot=slot, seat_id=seat_id, round_id=round_id)


async def _by_agreement(
    session: Session,
    host: str,
    slot_id: UUID,
    home: str,
    request_id: UUID,
    round_id: UUID,
    via: LearningCentre | None,
) -> tuple[Slot, Request, UUID]:
    """A seat that a sharing agreement, or what a learning centre may use, is asked about."""
    workplace_id = await session.scalar(
        select(Slot.workplace_id).where(Slot.slot_id == slot_id, Slot.municipality == host)
    )
    if workplace_id is None:
        raise NotFound("There is no such slot.", "Det finns ingen sådan plats.")
    books = await ledger.open_books(
        session, workplaces={workplace_id: host}, requests={request_id: home}, via=via
    )
    slot, request = books.accounts.slots[slot_id], books.requests.get(request_id)
    if slot.elsewhere:
        raise domain.KeptElsewhere
    facts = await rules.known(session, [request] if request else [], [slot])
    if request is None or facts.is_hidden(request):
        raise NotFound("There is no such request.", "Det finns inget sådant önskemål.")
    if slot.placement_type != request.placement_type:
        raise domain.OtherPlacementType
    refusal = ledger.refusal(books, slot, request, via)
    if refusal:
        raise domain.refused(refusal)
    if broken := rules.seat_broken(facts, request, slot):
        raise rules.RuleBroken(broken)
    seat = ledger.take_seat(session, books, slot, told=False, cause_id=round_id)
    books.accounts.settle(session)
    return slot, request, seat.seat_id
