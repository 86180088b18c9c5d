"""Protected learners: placed by a case worker, in the same ledger, told to nobody.

The ledger tells only that there are fewer seats left, as it does for any hold.
"""

from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import select

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import NotFound
from kompetensnav_registry.ground.actions import protected
from kompetensnav_registry.ledger.actions import cases, ledger, offers
from kompetensnav_registry.ledger.actions.reserve import check_seat
from kompetensnav_registry.ledger.domain.ledger import OtherPlacementType
from kompetensnav_registry.ledger.tables.offers import Placement
from kompetensnav_registry.ledger.tables.slots import Slot
from kompetensnav_registry.people.actions.learners import find_request


async def place_by_hand(
    session: Session, *, municipality: str, request_id: UUID, slot_id: UUID, case_worker: str
) -> Placement:
    """A confirmed placement for a request that is handled by hand, by the named case worker. Raises NotFound
    and the ledger's refusals."""
    await find_request(session, municipality=municipality, request_id=request_id, case_worker=case_worker)
    slot = await session.scalar(
        select(Slot).where(Slot.slot_id == slot_id, Slot.municipality == municipality)
    )
    if slot is None:
        raise NotFound("There is no such slot.", "Det finns ingen sådan plats.")
    books = await ledger.open_books(
        session, workplaces={slot.workplace_id: municipality}, requests={request_id: municipality}
    )
    request = books.requests.get(request_id)
    if request is None or not request.by_hand:
        raise NotFound("There is no such request.", "Det finns inget sådant önskemål.")
    if slot.placement_type != request.placement_type:
        raise OtherPlacementType
    check_seat(books, await cases.known(session, [request], [slot]), slot, request)
    seat = ledger.take_seat(books.accounts, slot, published=False)
    await books.accounts.settle(session)
    now = datetime.now(UTC)
    request.state = "placed"
    offer = offers.new_offer(
        request,
        slot,
        seat_id=seat.seat_id,
        round_id=uuids.uuid7(),
        must_answer=[],
        are_told=[],
        answer_by=now.date(),
        by_hand=True,
        declared=offers.DECLARED,  # the case worker has spoken with the employer
        state="confirmed",
        settled_at=now,
    )
    session.add(offer)
    await session.flush()
    placement = offers.new_placement(offer)
    session.add(placement)
    await protected.log_rows(session, rows=[placement], viewed_by=case_worker, what="placed_by_hand")
    return placement
