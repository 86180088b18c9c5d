"""Each event has its effect once per consumer: the inbox row is written in the handler's own transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Integer, String, func, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_chassis.db import Scope, Sessions, transaction


class InboxRow:
    """Mix into a service's own Base: `class Inbox(InboxRow, Base)`."""

    __tablename__ = "inbox"

    consumer: Mapped[str] = mapped_column(String(200), primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    handled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), server_default=func.now())


_FIRST = text(
    "insert into inbox (consumer, event_id, handled_at) select :consumer, id, now()"
    " from unnest(cast(:ids as uuid[])) id order by id"
    " on conflict (consumer, event_id) do update set handled_at = now() where inbox.handled_at is null"
    " returning event_id"
)
_FAILED = text(
    "insert into inbox (consumer, event_id, attempts, handled_at) values (:consumer, :id, 1, null)"
    " on conflict (consumer, event_id) do update set attempts = inbox.attempts + 1"
    " where inbox.handled_at is null returning attempts"
)


async def first_time(session: AsyncSession, consumer: str, ids: Sequence[UUID]) -> set[UUID]:
    """Records the events as handled by the consumer; returns those that had not been handled before."""
    rows = await session.execute(_FIRST, {"consumer": consumer, "ids": list(ids)})
    return set(rows.scalars())


async def failed(sessions: Sessions, consumer: str, id: UUID) -> int:
    """Counts a failed try, in a transaction of its own; returns how many there have been."""
    async with transaction(sessions, Scope()) as session:
        return (await session.execute(_FAILED, {"consumer": consumer, "id": id})).scalar() or 0
