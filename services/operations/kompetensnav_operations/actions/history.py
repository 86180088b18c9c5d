"""What queues were like: a sample a minute, kept for fourteen days, and the last hour as a line."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_operations.actions import logins
from kompetensnav_operations.domain.picture import Picture
from kompetensnav_operations.tables import Attempt, Correction, GivenUp, Notice, Sample

KEPT = timedelta(days=14)
UNSENT = timedelta(days=1)
"""How long the body of an edit is kept that nobody sends."""
STEPS = 60
"""Points of a line."""


async def sample(session: AsyncSession, picture: Picture, now: datetime) -> None:
    """Writes down what every queue is like in this minute, once."""
    at = now.replace(second=0, microsecond=0)
    rows = [
        {
            "queue": q.key, "at": at, "waiting": q.waiting, "in_flight": q.in_flight, "oldest": q.oldest,
            "dead": q.dead, "redelivered": q.redelivered, "delivered": q.delivered,
            "rate_in": q.rate_in, "rate_out": q.rate_out,
        }
        for q in picture.queues
    ]  # fmt: skip
    if rows:
        await session.execute(insert(Sample).on_conflict_do_nothing(), rows)


async def prune(session: AsyncSession, now: datetime) -> None:
    """Forgets what is older than it is kept."""
    for column in (Sample.at, Attempt.at, GivenUp.at):
        await session.execute(delete(column.class_).where(column < now - KEPT))
    await logins.prune(session, now)
    await session.execute(delete(Notice).where(Notice.sent_at < now - KEPT * 6))
    unsent = update(Correction).where(Correction.at < now - UNSENT, Correction.sent_seq.is_(None))
    await session.execute(unsent.values(body=None))


async def last(session: AsyncSession, span: timedelta = timedelta(hours=1)) -> dict[str, list[Sample]]:
    """Queue -> its samples of the last while, in order."""
    rows = await session.scalars(
        select(Sample).where(Sample.at > datetime.now(UTC) - span).order_by(Sample.queue, Sample.at)
    )
    found: dict[str, list[Sample]] = {}
    for row in rows:
        found.setdefault(row.queue, []).append(row)
    return found


async def of(session: AsyncSession, queue: str, span: timedelta) -> Sequence[Sample]:
    """The samples of one queue, in order; of a long while about as many as a picture has room for."""
    rows = await session.scalars(
        select(Sample).where(Sample.queue == queue, Sample.at > datetime.now(UTC) - span).order_by(Sample.at)
    )
    found = rows.all()
    return found[:: max(1, len(found) // 400)]
