"""A learner offered a slot by a person, without a round: the same ledger, the same answers."""

from uuid import UUID

import uuid_utils.compat as uuids

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import NotFound
from kompetensnav_registry.ground.actions import scopes
from kompetensnav_registry.ground.tables.organisations import LearningCentre
from kompetensnav_registry.ledger.actions import ledger, offers
from kompetensnav_registry.ledger.actions.reserve import check_seat, open_reservation
from kompetensnav_registry.ledger.domain.ledger import KeptElsewhere, OtherPlacementType
from kompetensnav_registry.ledger.tables.offers import Offer


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
    host, round_id = slot_municipality or municipality, uuids.uuid7()
    async with scopes.reaching(session, [host]):
        opened = await open_reservation(
            session, host=host, slot_id=slot_id, home=municipality, request_id=request_id, via=via
        )
        if opened is None:
            raise NotFound("There is no such slot.", "Det finns ingen sådan plats.")
        books, known = opened
        slot, request = books.accounts.slots[slot_id], books.requests.get(request_id)
        if slot.elsewhere:
            raise KeptElsewhere
        if request is None or known.is_hidden(request):
            raise NotFound("There is no such request.", "Det finns inget sådant önskemål.")
        if slot.placement_type != request.placement_type:
            raise OtherPlacementType
        check_seat(books, known, slot, request, via)
        seat = ledger.take_seat(books.accounts, slot, published=False, cause_id=round_id)
        await books.accounts.settle(session)
    return offers.make_offer(session, request=request, slot=slot, seat_id=seat.seat_id, round_id=round_id)
