"""Introduction days over HTTP."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select

from kompetensnav_chassis.identity import Caller, May
from pitea_introduktion.tables import Day

router = APIRouter(prefix="/{municipality}")
Staff = Annotated[Caller, Depends(May("coordinator", "guidance_counsellor"))]


class DayView(BaseModel):
    """An introduction day."""

    model_config = ConfigDict(from_attributes=True)

    day_id: UUID
    held_on: date
    booked: int


@router.get("/days")
async def list_days(caller: Staff) -> list[DayView]:
    """Every introduction day, the first one first."""
    days = select(Day).where(Day.municipality == caller.municipality).order_by(Day.held_on, Day.day_id)
    async with caller.begin() as session:
        return [DayView.model_validate(day) for day in await session.scalars(days)]
