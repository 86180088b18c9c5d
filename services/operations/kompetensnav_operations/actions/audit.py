"""The audit: every act and every denied attempt is an entry, in the act's own transaction; the seal of each
is published as an event, so that the broker holds it as well."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.operations import AuditExtended
from kompetensnav_operations.domain import chain
from kompetensnav_operations.tables import Audit

LOCK = 7_311
"""Key of the advisory lock under which the chain grows."""
MOST = 5_000


@dataclass(frozen=True)
class Who:
    """Somebody who acts; `stack` is where."""

    subject: str
    roles: tuple[str, ...]
    stack: str


def console(stack: str) -> Who:
    """The console itself, which goes on with what somebody has begun."""
    return Who("console", (), stack)


async def enter(
    session: AsyncSession,
    who: Who,
    act: str,
    target: str,
    *,
    reason: str = "",
    result: str = "done",
    **detail: object,
) -> int:
    """Adds an entry; returns its number. It is there when, and only if, the transaction commits."""
    await session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": LOCK})
    last = await session.scalar(select(Audit).order_by(Audit.number.desc()).limit(1))
    bare = chain.Entry(
        number=last.number + 1 if last else 1,
        at=datetime.now(UTC).isoformat(timespec="microseconds"),
        actor=who.subject[:200],
        roles=tuple(sorted(who.roles)),
        act=act,
        target=target,
        reason=reason,
        result=result,
        detail=detail,
        previous=last.seal if last else chain.FIRST,
        seal="",
    )
    sealed = chain.seal(bare)
    session.add(
        Audit(
            number=bare.number, at=datetime.fromisoformat(bare.at), actor=bare.actor, roles=list(bare.roles),
            act=act, target=target, reason=reason, result=result, detail=detail, previous=bare.previous,
            seal=sealed,
        )
    )  # fmt: skip
    await session.flush()
    tell(session, AuditExtended(number=bare.number, seal=sealed), municipality=who.stack, revision=1)
    return bare.number


def entry(row: Audit) -> chain.Entry:
    """A row as it was sealed."""
    return chain.Entry(
        number=row.number,
        at=row.at.astimezone(UTC).isoformat(timespec="microseconds"),
        actor=row.actor,
        roles=tuple(row.roles),
        act=row.act,
        target=row.target,
        reason=row.reason,
        result=row.result,
        detail=row.detail,
        previous=row.previous,
        seal=row.seal,
    )


@dataclass(frozen=True)
class Verdict:
    """How many entries there are, how many of them somebody else vouches for, and where they do not fit."""

    entries: int
    anchored: int
    breaks: Sequence[chain.Break]


async def verify(session: AsyncSession, anchors: Mapping[int, str]) -> Verdict:
    """Looks at the whole chain. `anchors`: number -> seal, as the broker has them."""
    entries: list[chain.Entry] = []
    while True:
        rows = list(
            await session.scalars(
                select(Audit)
                .where(Audit.number > (entries[-1].number if entries else 0))
                .order_by(Audit.number)
                .limit(MOST)
            )
        )
        entries += [entry(row) for row in rows]
        if len(rows) < MOST:
            found = await asyncio.to_thread(chain.breaks, entries, anchors)
            return Verdict(len(entries), len(anchors), found)
