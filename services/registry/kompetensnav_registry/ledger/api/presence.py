"""Presence over HTTP."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from kompetensnav_chassis.codes import Day
from kompetensnav_chassis.paging import Listed
from kompetensnav_contracts.vocabulary import Party
from kompetensnav_registry.ground.api.views import Coordinator, Following, LinkMade, View, links_of
from kompetensnav_registry.ground.edges.links import Purpose
from kompetensnav_registry.ledger.actions import offers, presence
from kompetensnav_registry.ledger.api.offers import placement_of

router = APIRouter(prefix="/{municipality}")

Confirms = Literal[Party.EMPLOYER, Party.PROVIDER]
"""The supervisor, or the school."""


class Hours(BaseModel):
    """Days and hours of presence in a week."""

    days: int = Field(ge=0, le=7)
    hours: Decimal = Field(ge=0, le=80, max_digits=4, decimal_places=1)


class PresenceView(View):
    """A week that has been confirmed."""

    week: date
    days: int
    hours: Decimal
    confirmed_by: str
    confirmed_at: datetime


@router.get("/placements/{placement_id}/presence")
async def show_presence(caller: Following, placement_id: UUID) -> Listed[PresenceView]:
    """The weeks of a placement that have been confirmed."""
    async with caller.begin() as session:
        row = await placement_of(session, caller, placement_id)
        rows = await presence.presence_of(session, row)
        return Listed(items=[PresenceView.model_validate(r) for r in rows], total=len(rows))


@router.put("/placements/{placement_id}/presence/{week}")
async def confirm_presence(
    caller: Following, placement_id: UUID, week: Annotated[Day, Path()], hours: Hours
) -> Listed[PresenceView]:
    """Confirm a week (its Monday) on the school's behalf; a week already confirmed is corrected."""
    async with caller.begin() as session:
        row = await placement_of(session, caller, placement_id)
        await presence.confirm(
            session,
            placement=row,
            weeks={week: presence.Week(hours.days, hours.hours)},
            party=Party.PROVIDER,
            today=datetime.now(UTC).date(),
        )
        await session.flush()
        rows = await presence.presence_of(session, row)
        return Listed(items=[PresenceView.model_validate(r) for r in rows], total=len(rows))


@router.post("/placements/{placement_id}/presence/links/{party}", status_code=201)
async def make_link_to_confirm(
    request: Request, caller: Coordinator, placement_id: UUID, party: Confirms
) -> LinkMade:
    """A link for the supervisor or the school to confirm presence and hours; good for thirty days."""
    async with caller.begin() as session:
        await offers.find_placement(session, municipality=caller.municipality, placement_id=placement_id)
    purpose = Purpose(party, kind="presence", placement_id=placement_id)
    return LinkMade(link=links_of(request).make(purpose, Purpose.far()))
