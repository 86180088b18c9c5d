"""Offers and placements over HTTP, for coordinators."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from sqlalchemy import select

from kompetensnav_chassis.codes import Municipality
from kompetensnav_chassis.db import Session
from kompetensnav_chassis.identity import Caller
from kompetensnav_chassis.paging import Limit, Listed, Offset, page
from kompetensnav_contracts.vocabulary import Party, Reason
from kompetensnav_registry.ground.actions import protected
from kompetensnav_registry.ground.api.views import Coordinator, Following, Staff, View, case_worker_of
from kompetensnav_registry.ledger.actions import direct, offers
from kompetensnav_registry.ledger.domain.ledger import KeptElsewhere
from kompetensnav_registry.ledger.tables.offers import Offer, Placement

router = APIRouter(prefix="/{municipality}")


class OfferView(View):
    """An offer and where it stands."""

    offer_id: UUID
    request_id: UUID
    learner_id: UUID
    slot_id: UUID
    workplace_id: UUID
    round_id: UUID
    placement_type: str
    occupation: str
    starts_on: date
    ends_on: date
    must_answer: list[str]
    answers: dict[str, bool]
    answer_by: date
    state: str


class PlacementView(View):
    """A placement and where it stands."""

    placement_id: UUID
    offer_id: UUID
    learner_id: UUID
    slot_id: UUID
    starts_on: date
    ends_on: date
    state: str
    reason: str | None


class Answer(BaseModel):
    """On whose behalf a coordinator answers."""

    party: Literal[Party.EMPLOYER, Party.LEARNER, Party.GUARDIAN, Party.PROVIDER, Party.AUTHORITY]


class No(BaseModel):
    """Whose no it is; `coordinator` for anyone who has a part in it but no say, such as a pupil in prao."""

    party: Party


class Chosen(BaseModel):
    """A request, and the slot that a person has chosen for it."""

    request_id: UUID
    slot_id: UUID
    slot_municipality: Municipality | None = Field(None, description="When not in one's own municipality.")


class Interruption(BaseModel):
    """Why a placement ends early."""

    reason: Literal[Reason.ILLNESS, Reason.UNSUITABLE, Reason.OTHER_PLACE, Reason.OTHER]


@router.get("/offers")
async def list_offers(
    caller: Staff,
    state: Annotated[str | None, Query()] = None,
    round_id: Annotated[UUID | None, Query()] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Listed[OfferView]:
    """The offers to learners of one's own administrations."""
    shown = select(Offer).where(Offer.municipality == caller.municipality)
    worker = case_worker_of(caller)
    shown = shown.where(protected.shown(Offer, worker))
    if state:
        shown = shown.where(Offer.state == state)
    if round_id:
        shown = shown.where(Offer.round_id == round_id)
    async with caller.begin() as session:
        rows, total = await page(session, shown, (Offer.made_at, Offer.offer_id), limit, offset)
        if worker:
            await protected.log_rows(session, rows=rows, viewed_by=worker, what="offers")
        return Listed(items=[OfferView.model_validate(r) for r in rows], total=total)


@router.post("/offers", status_code=201)
async def offer_slot(caller: Coordinator, chosen: Chosen) -> OfferView:
    """Offer a learner a slot, without a round: a seat is held, and those who have a say are asked."""
    async with caller.begin() as session:
        row = await direct.offer_slot(session, municipality=caller.municipality, **chosen.model_dump())
        await session.flush()
        return OfferView.model_validate(row)


@router.post("/offers/{offer_id}/accept")
async def accept(caller: Coordinator, offer_id: UUID, answer: Answer) -> OfferView:
    """Record a yes that was given in another way."""
    async with caller.begin() as session:
        row = await offers.find_offer(session, municipality=caller.municipality, offer_id=offer_id)
        if row.elsewhere and answer.party == Party.EMPLOYER:
            raise KeptElsewhere
        return OfferView.model_validate(await offers.accept(session, offer=row, party=answer.party))


@router.post("/offers/{offer_id}/decline")
async def decline(caller: Coordinator, offer_id: UUID, answer: No) -> OfferView:
    """Record a no that was given in another way."""
    async with caller.begin() as session:
        row = await offers.find_offer(session, municipality=caller.municipality, offer_id=offer_id)
        return OfferView.model_validate(await offers.decline(session, offer=row, party=answer.party))


@router.get("/placements")
async def list_placements(
    caller: Staff, state: Annotated[str | None, Query()] = None, limit: Limit = 100, offset: Offset = 0
) -> Listed[PlacementView]:
    """The placements of learners of one's own administrations."""
    shown = select(Placement).where(Placement.municipality == caller.municipality)
    worker = case_worker_of(caller)
    shown = shown.where(protected.shown(Placement, worker))
    if state:
        shown = shown.where(Placement.state == state)
    async with caller.begin() as session:
        rows, total = await page(session, shown, (Placement.starts_on, Placement.placement_id), limit, offset)
        if worker:
            await protected.log_rows(session, rows=rows, viewed_by=worker, what="placements")
        return Listed(items=[PlacementView.model_validate(r) for r in rows], total=total)


@router.post("/placements/{placement_id}/progress/{step}")
async def advance(caller: Following, placement_id: UUID, step: Literal["start", "complete"]) -> PlacementView:
    """Say that a placement has begun, or was carried through."""
    to = {"start": "started", "complete": "completed"}[step]
    async with caller.begin() as session:
        row = await placement_of(session, caller, placement_id)
        return PlacementView.model_validate(await offers.advance(session, placement=row, to=to))


@router.post("/placements/{placement_id}/interrupt")
async def interrupt(caller: Following, placement_id: UUID, why: Interruption) -> PlacementView:
    """End a placement early and free the seat."""
    async with caller.begin() as session:
        row = await placement_of(session, caller, placement_id)
        return PlacementView.model_validate(
            await offers.interrupt(session, placement=row, reason=Reason(why.reason))
        )


async def placement_of(session: Session, caller: Caller, placement_id: UUID) -> Placement:
    """The placement; a protected learner's for the named case worker only. Raises NotFound."""
    return await offers.find_placement(
        session,
        municipality=caller.municipality,
        placement_id=placement_id,
        case_worker=case_worker_of(caller),
    )
