"""Alerts: a rule that begins to be broken, or ceases to, is entered once, and those concerned are told once
each time."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_chassis.errors import NotFound
from kompetensnav_operations.actions.audit import Who, enter
from kompetensnav_operations.domain.alerts import Finding
from kompetensnav_operations.domain.picture import Queue
from kompetensnav_operations.tables import Alert, Attempt, DeadLetter, Notice, Sample

SPAN = timedelta(minutes=10)
QUIET = timedelta(seconds=10)
"""How long a rule holds again before its alert is over, so that one that flickers is told once."""
AGAIN = (5, 30, 120, 600, 3600)
"""Seconds before each new try to tell somebody."""


async def died(session: AsyncSession) -> dict[str, int]:
    """Queue -> dead letters that died in the last ten minutes."""
    rows = await session.execute(
        select(DeadLetter.stream, DeadLetter.consumer, func.count())
        .where(DeadLetter.died_at > datetime.now(UTC) - SPAN)
        .group_by(DeadLetter.stream, DeadLetter.consumer)
    )
    return {f"{stream}/{consumer}": n for stream, consumer, n in rows}


async def failed(session: AsyncSession) -> dict[str, int]:
    """Queue -> tries that failed in the last ten minutes, of those who note them."""
    rows = await session.execute(
        select(Attempt.stream, Attempt.consumer, func.count())
        .where(Attempt.at > datetime.now(UTC) - SPAN, Attempt.phase == "failed")
        .group_by(Attempt.stream, Attempt.consumer)
    )
    return {f"{stream}/{consumer}": n for stream, consumer, n in rows}


def repeats(
    queues: Sequence[Queue], tries: Mapping[str, int], then: Mapping[str, Sample]
) -> dict[str, tuple[int, int]]:
    """Queue -> (repeats, deliveries) of the last ten minutes. Whoever notes no tries is judged by what the
    server holds for repeating at this moment."""
    found = {}
    for queue in queues:
        if (sample := then.get(queue.key)) and sample.delivered <= queue.delivered:
            again = max(tries.get(queue.key, 0), queue.redelivered)
            found[queue.key] = (again, max(again, queue.delivered - sample.delivered))
    return found


async def before(session: AsyncSession) -> Mapping[str, Sample]:
    """Queue -> its sample of about ten minutes ago."""
    now = datetime.now(UTC)
    rows = await session.scalars(
        select(Sample)
        .where(Sample.at.between(now - SPAN - timedelta(minutes=2), now - SPAN))
        .order_by(Sample.at)
    )
    return {row.queue: row for row in rows}


async def enter_findings(
    session: AsyncSession, findings: Sequence[Finding], channels: Sequence[str], now: datetime
) -> bool:
    """Begins and ends alerts, so that those there are say what is found; True when somebody is to be told."""
    rows = (await session.scalars(select(Alert).where(Alert.ended_at.is_(None)).with_for_update())).all()
    there = {(row.rule, row.target): row for row in rows}
    found = {(f.rule, f.target): f for f in findings}
    for key, finding in found.items():
        if key in there:
            there[key].value = max(there[key].value, finding.value)
            there[key].quiet_at = None
            continue
        id = uuids.uuid7()
        session.add(
            Alert(
                alert_id=id,
                rule=finding.rule,
                target=finding.target,
                value=finding.value,
                limit=finding.limit,
                began_at=now,
            )
        )
        await _notices(session, id, "began", channels, now)
    quiet = [row for key, row in there.items() if key not in found]
    ended = [row for row in quiet if row.quiet_at and now - row.quiet_at >= QUIET]
    for row in quiet:
        row.quiet_at = row.quiet_at or now
    for row in ended:
        row.ended_at = now
        await _notices(session, row.alert_id, "ended", channels, now)
    return bool(found.keys() - there.keys() or ended)


async def _notices(
    session: AsyncSession, id: UUID, event: str, channels: Sequence[str], now: datetime
) -> None:
    rows = [{"alert_id": id, "event": event, "channel": channel, "due_at": now} for channel in channels]
    if rows:
        await session.execute(insert(Notice).on_conflict_do_nothing(), rows)


async def open_now(session: AsyncSession) -> Sequence[Alert]:
    """The alerts that go on, the newest first."""
    rows = await session.scalars(
        select(Alert).where(Alert.ended_at.is_(None)).order_by(Alert.began_at.desc(), Alert.alert_id)
    )
    return rows.all()


async def ended(session: AsyncSession, most: int = 100) -> Sequence[Alert]:
    """Those that are over, the last one first."""
    rows = await session.scalars(
        select(Alert).where(Alert.ended_at.is_not(None)).order_by(Alert.ended_at.desc()).limit(most)
    )
    return rows.all()


async def take(session: AsyncSession, who: Who, alert_id: UUID) -> None:
    """Says that somebody looks after an alert. Raises NotFound."""
    row = await session.get(Alert, alert_id, with_for_update=True)
    if row is None or row.ended_at is not None:
        raise NotFound("There is no such alert, or it is over.", "Larmet finns inte, eller är över.")
    row.seen_by = who.subject[:200]
    await enter(session, who, "alert-seen", f"alert {row.rule} {row.target}")
