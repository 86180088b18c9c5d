"""Pausing a consumer: until a time, for a reason. The server itself lets it go on then."""

from datetime import UTC, datetime, timedelta

import uuid_utils.compat as uuids
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_chassis.errors import BadRows, NotFound
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.operations import ConsumerPaused, ConsumerResumed
from kompetensnav_operations.actions.audit import Who, enter
from kompetensnav_operations.domain.picture import Picture, Queue
from kompetensnav_operations.edges.broker import Broker
from kompetensnav_operations.tables import Pause

LONGEST = timedelta(days=7)


async def pause(
    session: AsyncSession, broker: Broker, who: Who, queue: Queue, until: datetime, reason: str
) -> None:
    """Pauses it; the entry in the audit and the server's own state are one act: when the server does not do
    it, nothing is written. Raises BadRows, and what the broker raises."""
    now = datetime.now(UTC)
    if not now < until <= now + LONGEST:
        raise BadRows(
            f"Say a time within the next {LONGEST.days} days.",
            f"Ange en tid inom de närmaste {LONGEST.days} dagarna.",
        )
    row = {"stream": queue.stream, "consumer": queue.name, "by": who.subject[:200], "reason": reason,
           "until": until, "at": now}  # fmt: skip
    made = insert(Pause).values(**row)
    await session.execute(made.on_conflict_do_update(index_elements=["stream", "consumer"], set_=row))
    number = await enter(session, who, "pause", f"queue {queue.key}", reason=reason, until=until.isoformat())
    said = ConsumerPaused(
        act_id=uuids.uuid7(), audit_number=number, stream=queue.stream, consumer=queue.name, until=until
    )
    tell(session, said, municipality=who.stack, revision=1)
    await session.flush()
    await broker.pause(queue.stream, queue.name, until)


async def resume(session: AsyncSession, broker: Broker | None, who: Who, queue: Queue, reason: str) -> None:
    """Lets it go on; without a broker it does so already, by itself."""
    row = await session.get(Pause, (queue.stream, queue.name), with_for_update=True)
    if row is not None:
        await session.delete(row)
    elif not queue.paused:
        raise NotFound("The consumer is not paused.", "Mottagaren är inte pausad.")
    number = await enter(session, who, "resume", f"queue {queue.key}", reason=reason)
    said = ConsumerResumed(
        act_id=uuids.uuid7(), audit_number=number, stream=queue.stream, consumer=queue.name
    )
    tell(session, said, municipality=who.stack, revision=1)
    await session.flush()
    if broker is not None:
        await broker.pause(queue.stream, queue.name, None)


async def over(session: AsyncSession, who: Who, picture: Picture) -> None:
    """Enters it when a consumer goes on by itself, because its time has come."""
    rows = await session.scalars(select(Pause).where(Pause.until < datetime.now(UTC)))
    for row in rows.all():
        queue = picture.queue(row.stream, row.consumer)
        if queue is None:
            await session.delete(row)
        elif not queue.paused:
            await resume(session, None, who, queue, "time")
