"""Placements of protected learners over HTTP, for the case workers named to them."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from kompetensnav_registry.ground.api.views import CaseWorker
from kompetensnav_registry.ledger.api.offers import PlacementView
from kompetensnav_registry.people.actions import by_hand

router = APIRouter(prefix="/{municipality}")


class ByHand(BaseModel):
    """A protected learner's request, and the slot a case worker has chosen."""

    request_id: UUID
    slot_id: UUID


@router.post("/placements/by-hand", status_code=201)
async def place_by_hand(caller: CaseWorker, chosen: ByHand) -> PlacementView:
    """Place a protected learner. The seat is taken in the same ledger; nobody is told, nothing is mailed."""
    async with caller.begin() as session:
        row = await by_hand.place_by_hand(
            session,
            municipality=caller.municipality,
            case_worker=caller.identity.subject,
            **chosen.model_dump(),
        )
        return PlacementView.model_validate(row)
