"""Notifications over HTTP: the delivery log."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select

from kompetensnav_chassis.identity import Caller, May
from kompetensnav_chassis.paging import page
from kompetensnav_notifications.tables import Message

router = APIRouter(prefix="/{municipality}")
Staff = Annotated[Caller, Depends(May("coordinator", "guidance_counsellor"))]


class MessageView(BaseModel):
    """A message without address or text."""

    model_config = ConfigDict(from_attributes=True)

    message_id: UUID
    kind: str
    party: str
    channel: str
    state: str
    reason: str | None
    attempts: int
    made_at: datetime
    settled_at: datetime | None


class Messages(BaseModel):
    """One page of the delivery log."""

    items: list[MessageView]
    total: int


@router.get("/messages")
async def list_messages(
    caller: Staff,
    state: Annotated[Literal["waiting", "claimed", "sent", "failed"] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Messages:
    """What was sent, waits or failed, the newest first."""
    shown = select(Message).where(Message.municipality == caller.municipality)
    if state:
        shown = shown.where(Message.state == state)
    async with caller.begin() as session:
        rows, total = await page(session, shown, (Message.made_at.desc(), Message.message_id), limit, offset)
        return Messages(items=[MessageView.model_validate(r) for r in rows], total=total)
