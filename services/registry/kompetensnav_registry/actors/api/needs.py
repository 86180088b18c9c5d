"""Employers' competence needs, learners who finish, and invitations, over HTTP."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy import select

from kompetensnav_chassis.codes import Day, occupation_name
from kompetensnav_chassis.paging import Limit, Listed, Offset
from kompetensnav_registry.actors.actions import needs
from kompetensnav_registry.actors.domain.values import DemandValues
from kompetensnav_registry.actors.tables import Demand, Invitation
from kompetensnav_registry.ground.api.views import (
    Coordinator,
    LinkMade,
    Reader,
    Seen,
    Staff,
    View,
    links_of,
    page_of,
)
from kompetensnav_registry.ground.edges.links import Purpose
from kompetensnav_registry.ledger.actions import places

router = APIRouter(prefix="/{municipality}")

Occupation = Annotated[str, Field(pattern=r"^\d{4}$", description="SSYK 2012, four digits.")]


class NewDemand(BaseModel):
    """What an employer needs: how many in an occupation, and by when."""

    employer_id: UUID
    workplace_id: UUID | None = None
    occupation: Occupation
    number: int = Field(ge=1, le=10_000)
    needed_by: Day


class DemandChanges(Seen):
    """What to correct; what is left out stays. A need that is met or given up has an `ended_on`."""

    occupation: Occupation | None = None
    number: int | None = Field(None, ge=1, le=10_000)
    needed_by: Day | None = None
    ended_on: Day | None = None


class DemandView(View):
    """An employer's need."""

    demand_id: UUID
    employer_id: UUID
    workplace_id: UUID | None
    occupation: str
    number: int
    needed_by: date
    stated_on: date
    ended_on: date | None
    revision: int


class Balance(BaseModel):
    """An occupation in a half-year: what employers need by then against who finishes in it."""

    occupation: str
    occupation_name: str
    half_year: str
    needed: int
    finishing: int
    short_of: int


class InvitationView(View):
    """An employer's invitation."""

    invitation_id: UUID
    workplace_id: UUID
    occupation: str
    locality: str
    finishing: str
    invited_at: datetime


@router.post("/demands", status_code=201)
async def state_demand(caller: Coordinator, new: NewDemand) -> DemandView:
    """Record what an employer needs."""
    async with caller.begin() as session:
        row = await needs.state_demand(
            session,
            municipality=caller.municipality,
            employer_id=new.employer_id,
            workplace_id=new.workplace_id,
            today=datetime.now(UTC).date(),
            about=DemandValues(occupation=new.occupation, number=new.number, needed_by=new.needed_by),
        )
        return DemandView.model_validate(row)


@router.get("/demands")
async def list_demands(
    caller: Reader,
    occupation: Annotated[str | None, Query(pattern=r"^\d{4}$")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Listed[DemandView]:
    """What employers in the municipality need, the most urgent first."""
    shown = select(Demand).where(Demand.municipality == caller.municipality, Demand.ended_on.is_(None))
    if occupation:
        shown = shown.where(Demand.occupation == occupation)
    return await page_of(caller, DemandView, shown, (Demand.needed_by, Demand.demand_id), limit, offset)


@router.patch("/demands/{demand_id}")
async def change_demand(caller: Coordinator, demand_id: UUID, changes: DemandChanges) -> DemandView:
    """Correct or end a need."""
    async with caller.begin() as session:
        row = await needs.change_demand(
            session,
            municipality=caller.municipality,
            demand_id=demand_id,
            seen=changes.revision,
            changes=changes.given(DemandValues),
        )
        return DemandView.model_validate(row)


@router.get("/demands/balance")
async def compare_needs(caller: Staff) -> Listed[Balance]:
    """What employers need against the learners of one's own administrations who finish, by occupation and
    half-year."""
    async with caller.begin() as session:
        rows = await needs.needs_and_learners(
            session, municipality=caller.municipality, today=datetime.now(UTC).date()
        )
    items = [
        Balance(
            occupation=occupation,
            occupation_name=occupation_name(occupation),
            half_year=when,
            needed=needed,
            finishing=finishing,
            short_of=max(0, needed - finishing),
        )
        for occupation, when, needed, finishing in rows
    ]
    return Listed(items=items, total=len(items))


@router.post("/workplaces/{workplace_id}/links/{kind}", status_code=201)
async def make_link(
    request: Request, caller: Coordinator, workplace_id: UUID, kind: Literal["finishing"]
) -> LinkMade:
    """A link for the employer to the page of learners who finish; good for thirty days."""
    async with caller.begin() as session:
        await places.find_workplace(session, municipality=caller.municipality, workplace_id=workplace_id)
    purpose = Purpose("employer", kind=kind, workplace_id=workplace_id)
    return LinkMade(link=links_of(request).make(purpose, Purpose.far()))


@router.get("/invitations")
async def list_invitations(caller: Staff, limit: Limit = 100, offset: Offset = 0) -> Listed[InvitationView]:
    """Employers' invitations to visits, the latest first."""
    shown = select(Invitation).where(Invitation.municipality == caller.municipality)
    order = (Invitation.invited_at.desc(), Invitation.invitation_id)
    return await page_of(caller, InvitationView, shown, order, limit, offset)
