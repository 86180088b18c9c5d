"""Places that learners or schools find themselves: the same ledger, the same offer, one more yes."""

from uuid import UUID

import uuid_utils.compat as uuids

from kompetensnav_chassis.db import Session
from kompetensnav_contracts.vocabulary import Party, Sharing
from kompetensnav_registry.ledger.actions import cases, ledger, offers, places, slots
from kompetensnav_registry.ledger.actions.reserve import check_seat
from kompetensnav_registry.ledger.tables.offers import Offer
from kompetensnav_registry.people.actions.learners import find_request


async def register_own_found(
    session: Session, *, municipality: str, request_id: UUID, workplace_id: UUID, occupation: str
) -> Offer:
    """Holds a seat and asks the employer and the provider (a coordinator). Raises the ledger's refusals."""
    books = await ledger.open_books(
        session, workplaces={workplace_id: municipality}, requests={request_id: municipality}
    )
    request = await find_request(session, municipality=municipality, request_id=request_id)
    workplace = await places.find_workplace(session, municipality=municipality, workplace_id=workplace_id)
    slot = slots.post_slot(
        session,
        workplace=workplace,
        placement_type=request.placement_type,
        occupation=occupation,
        starts_on=request.starts_on,
        ends_on=request.ends_on,
        seats=1,
        shared_with=Sharing.MUNICIPALITY,
        own_found=True,
    )
    check_seat(books, await cases.known(session, [request], [slot]), slot, request)
    await session.flush()
    books.accounts.slots[slot.slot_id] = slot
    round_id = uuids.uuid7()
    seat = ledger.take_seat(books.accounts, slot, published=False, cause_id=round_id)
    await books.accounts.settle(session)
    return offers.make_offer(
        session,
        request=request,
        slot=slot,
        seat_id=seat.seat_id,
        round_id=round_id,
        also_must_answer=(Party.PROVIDER,),
    )
