"""A workplace's account, and slots offered again, over HTTP."""

from datetime import UTC, date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from kompetensnav_chassis.codes import Day
from kompetensnav_chassis.paging import Listed
from kompetensnav_contracts.vocabulary import PlacementType
from kompetensnav_registry.actors.actions import repeat_slots
from kompetensnav_registry.actors.actions.account import account_of, term
from kompetensnav_registry.actors.api.workplaces import WeekView
from kompetensnav_registry.ground.api.views import Coordinator, Reader, View

router = APIRouter(prefix="/{municipality}")


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
    async with caller.begin() as session:
        rows = await repeat_slots.ask_again(
            session,
            municipality=caller.municipality,
            placement_type=wanted.placement_type.value,
            last_starts_on=wanted.last_starts_on,
            last_ends_on=wanted.last_ends_on,
            starts_on=wanted.starts_on,
            answer_by=wanted.answer_by,
            today=datetime.now(UTC).date(),
        )
        return Listed(items=[AskingView.model_validate(r) for r in rows], total=len(rows))
