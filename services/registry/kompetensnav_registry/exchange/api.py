"""Seats over the border of a stack, for those who follow them: asked for here, and asked for elsewhere."""

from datetime import date, datetime
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import select

from kompetensnav_chassis.paging import Limit, Listed, Offset
from kompetensnav_registry.ground.api.views import Reader, View, page_of
from kompetensnav_registry.ledger.tables.guests import Ask, Guest
from kompetensnav_registry.ledger.tables.offers import Request

router = APIRouter(prefix="/{municipality}")


class GuestView(View):
    """A seat of ours that another stack has asked for. Who has it is not known here."""

    reference: UUID
    sent_by: str
    slot_id: UUID
    workplace_id: UUID | None
    state: str
    refusal: str | None
    reason: str | None
    answer_by: date | None
    asked_at: datetime
    settled_at: datetime | None


class AskView(View):
    """A seat that we have asked another stack for."""

    reference: UUID
    slot_municipality: str
    slot_id: UUID
    match_id: UUID
    request_id: UUID
    state: str
    refusal: str | None
    asked_at: datetime
    settled_at: datetime | None


@router.get("/guests")
async def list_guests(caller: Reader, limit: Limit = 100, offset: Offset = 0) -> Listed[GuestView]:
    """Seats that other stacks have asked for, the latest first."""
    shown = select(Guest).where(Guest.municipality == caller.municipality)
    return await page_of(caller, GuestView, shown, (Guest.asked_at.desc(), Guest.reference), limit, offset)


@router.get("/asks")
async def list_asks(caller: Reader, limit: Limit = 100, offset: Offset = 0) -> Listed[AskView]:
    """Seats asked for in other stacks, the latest first."""
    hidden = select(Request.request_id).where(
        Request.municipality == caller.municipality, Request.by_hand.is_(True)
    )
    shown = select(Ask).where(Ask.municipality == caller.municipality, Ask.request_id.not_in(hidden))
    return await page_of(caller, AskView, shown, (Ask.asked_at.desc(), Ask.reference), limit, offset)
