"""What a learning centre's coordinators do over HTTP; the first part of the path is the centre's code."""

from datetime import UTC, date, datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import select

from kompetensnav_chassis.codes import Municipality
from kompetensnav_chassis.db import EVERYONE
from kompetensnav_chassis.paging import Limit, Listed, Offset, page
from kompetensnav_registry.ground.api.views import Coordinator
from kompetensnav_registry.ground.tables.learners import Learner
from kompetensnav_registry.ground.tables.organisations import LearningCentre
from kompetensnav_registry.ledger.api.offers import OfferView
from kompetensnav_registry.ledger.api.slots import SlotView
from kompetensnav_registry.ledger.tables.offers import Request
from kompetensnav_registry.ledger.tables.slots import Slot
from kompetensnav_registry.people.actions import delegated
from kompetensnav_registry.people.api.learners import LearnerView, NewRequest, RequestView

router = APIRouter(prefix="/{municipality}/delegated")


class ChosenByCentre(BaseModel):
    """A request, and the slot the centre has chosen for it."""

    request_id: UUID
    slot_id: UUID
    slot_municipality: Municipality = Field(description="Where the slot lies.")


@router.get("/learners")
async def list_delegated_learners(
    caller: Coordinator, limit: Limit = 100, offset: Offset = 0
) -> Listed[LearnerView]:
    """The learners of the schools that delegate to the centre, and no others."""
    async with caller.begin() as session:
        found = await delegated.reach(session, centre=caller.municipality, today=_today())
        shown = select(Learner).where(delegated.is_delegated(found))  # the municipalities that delegate
        rows, total = await page(session, shown, Learner.learner_id, limit, offset)
        return Listed(items=[LearnerView.model_validate(r) for r in rows], total=total)


@router.get("/requests")
async def list_delegated_requests(
    caller: Coordinator, limit: Limit = 100, offset: Offset = 0
) -> Listed[RequestView]:
    """Their placement requests."""
    async with caller.begin() as session:
        found = await delegated.reach(session, centre=caller.municipality, today=_today())
        shown = (
            select(Request)
            .join(Learner, Learner.learner_id == Request.learner_id)
            .where(delegated.is_delegated(found))  # the municipalities that delegate
        )
        rows, total = await page(session, shown, (Request.starts_on, Request.request_id), limit, offset)
        return Listed(items=[RequestView.model_validate(r) for r in rows], total=total)


@router.post("/requests", status_code=201)
async def open_delegated_request(caller: Coordinator, new: NewRequest) -> RequestView:
    """Say that a learner of a school that delegates needs a placement."""
    async with caller.begin() as session:
        found = await delegated.reach(session, centre=caller.municipality, today=_today())
        row = await delegated.open_request(session, found=found, learner_id=new.learner_id, about=new.about())
        await session.flush()
        return RequestView.model_validate(row)


@router.get("/slots")
async def list_slots_shared_with_centre(
    caller: Coordinator, limit: Limit = 100, offset: Offset = 0
) -> Listed[SlotView]:
    """The slots the centre may use: those that name it, and those open to everyone."""
    async with caller.begin(EVERYONE) as session:
        centre = await session.get(LearningCentre, caller.municipality)
        if centre is None:
            return Listed(items=[], total=0)
        shown = select(Slot).where(  # every municipality that shares with the centre
            delegated.slots_shared_with(centre), Slot.withdrawn_at.is_(None)
        )
        rows, total = await page(session, shown, (Slot.starts_on, Slot.slot_id), limit, offset)
        return Listed(items=[SlotView.of(r) for r in rows], total=total)


@router.post("/offers", status_code=201)
async def offer_delegated(caller: Coordinator, chosen: ChosenByCentre) -> OfferView:
    """Place a learner of a school that delegates in a slot that is shared with the centre: a seat is held,
    and those who have a say are asked."""
    async with caller.begin() as session:
        found = await delegated.reach(session, centre=caller.municipality, today=_today())
        row = await delegated.offer_slot(
            session, found=found, centre=caller.municipality, **chosen.model_dump()
        )
        await session.flush()
        return OfferView.model_validate(row)


def _today() -> date:
    return datetime.now(UTC).date()
