"""The ledger over HTTP: a workplace's account, slots offered again, and presence."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from kompetensnav_chassis.codes import Day
from kompetensnav_chassis.paging import Listed
from kompetensnav_contracts.vocabulary import Party, PlacementType
from kompetensnav_registry.actions import again, offers, presence
from kompetensnav_registry.actions.account import account_of, term
from kompetensnav_registry.api.needs import LinkMade
from kompetensnav_registry.api.views import Coordinator, Following, Reader, View, links_of, placement_of
from kompetensnav_registry.api.workplaces import WeekView
from kompetensnav_registry.edges.links import Purpose

router = APIRouter(prefix="/{municipality}")
Confirms = Literal[Party.EMPLOYER, Party.PROVIDER]
"""The supervisor, or the school."""


class LineView(View):
    """A seat. Another administration's is only `occupied`."""

    starts_on: date
    ends_on: date
    weekdays: list[int]
    occupied: bool
    is_ours: bool
    placement_type: str | None
    occupation: str | None
    freed_because: str | None


class AccountView(BaseModel):
    """A workplace's account."""

    workplace_id: UUID
    employer: str
    workplace: str
    starts_on: date
    ends_on: date
    asked: int = Field(description="How many times it was asked to receive in the period, by anybody.")
    weeks: list[WeekView]
    seats: list[LineView]


class AskAgain(BaseModel):
    """Which slots to ask for again, and for when."""

    placement_type: PlacementType
    last_starts_on: Day = Field(description="First day of the period they began in.")
    last_ends_on: Day
    starts_on: Day = Field(description="From when now; slots move by whole weeks.")
    answer_by: Day


class AskingView(View):
    """A workplace that was asked."""

    workplace_id: UUID
    cause_id: UUID
    kind: str
    asked_on: date
    answered_at: datetime | None


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


@router.get("/workplaces/{workplace_id}/account")
async def show_account(
    caller: Reader,
    workplace_id: UUID,
    starts_on: Annotated[Day | None, Query()] = None,
    ends_on: Annotated[Day | None, Query()] = None,
) -> AccountView:
    """The ledger of a workplace over a period; the current term when none is given. Printable at
    `.../account/page`."""
    first, last = term(datetime.now(UTC).date())
    first, last = starts_on or first, ends_on or last
    async with caller.begin() as session:
        found = await account_of(
            session,
            municipality=caller.municipality,
            workplace_id=workplace_id,
            starts_on=first,
            ends_on=last,
        )
        return AccountView(
            workplace_id=workplace_id,
            employer=found.employer,
            workplace=found.workplace.name,
            starts_on=first,
            ends_on=last,
            asked=found.asked,
            weeks=[
                WeekView(week=week, receives=receives, occupied=held, left=max(0, receives - held))
                for week, receives, held in found.weeks
            ],
            seats=[LineView.model_validate(line) for line in found.lines],
        )


@router.post("/askings", status_code=201)
async def ask_again(caller: Coordinator, wanted: AskAgain) -> Listed[AskingView]:
    """Ask every workplace that offered slots last time to do so again: one mail each, everything filled
    in."""
    values: dict[str, Any] = wanted.model_dump() | {"placement_type": wanted.placement_type.value}
    async with caller.begin() as session:
        rows = await again.ask_again(
            session, municipality=caller.municipality, today=datetime.now(UTC).date(), **values
        )
        return Listed(items=[AskingView.model_validate(r) for r in rows], total=len(rows))


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
