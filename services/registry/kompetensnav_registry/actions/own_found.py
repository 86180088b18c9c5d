"""Places that learners or schools find themselves: the same ledger, the same offer, one more yes."""

from uuid import UUID

import uuid_utils.compat as uuids

from kompetensnav_chassis.db import Session
from kompetensnav_contracts.vocabulary import Party, Sharing
from kompetensnav_registry import domain
from kompetensnav_registry.actions import ledger, offers, rules, slots, workplaces
from kompetensnav_registry.actions.learners import find_request
from kompetensnav_registry.tables import Offer


async def register_own_found(
    session: Session, *, municipality: str, request_id: UUID, workplace_id: UUID, occupation: str
) -> Offer:
    """Holds a seat and asks the employer and the provider (a coordinator). Raises the ledger's refusals."""
    books = await ledger.open_books(
        session, workplaces={workplace_id: municipality}, requests={request_id: municipality}
    )
    request = await find_request(session, municipality=municipality, request_id=request_id)
    workplace = await workplaces.find_workplace(session, municipality=municipality, workplace_id=workplace_id)
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
    refusal = ledger.refusal(books, slot, request)
    if refusal:
        raise domain.refused(refusal)
    facts = await rules.known(session, [request], [slot])
    if broken := rules.seat_broken(facts, request, slot):
        raise rules.RuleBroken(broken)
    await session.flush()
    books.accounts.slots[slot.slot_id] = slot
    round_id = uuids.uuid7()
    seat = ledger.take_seat(books.accounts, slot, told=False, cause_id=round_id)
    await books.accounts.settle(session)
    return offers.make_offer(
        session,
        request=request,
        slot=slot,
        seat_id=seat.seat_id,
        round_id=round_id,
        also_must_answer=(Party.PROVIDER,),
    )
