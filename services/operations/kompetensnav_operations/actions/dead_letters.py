"""Dead letters: found, shown, discarded with a reason, and restored."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import uuid_utils.compat as uuids
from sqlalchemy import ColumnElement, Select, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.operations import LetterDiscarded
from kompetensnav_operations.actions.audit import Who, enter
from kompetensnav_operations.domain.dead_letters import UNDO, State
from kompetensnav_operations.tables import Attempt, DeadLetter, Seen, among

PAGE = 50
MOST = 100_000
"""Dead letters that one act may concern."""


@dataclass(frozen=True)
class Selection:
    """Which dead letters: those with these ids, or all that fit what is given here."""

    ids: tuple[int, ...] = ()
    state: str = State.WAITING
    """`all` = in whatever state."""
    consumer: str = ""
    reason: str = ""
    fingerprint: str = ""
    type: str = ""
    text: str = ""
    """An id of an event, a trace or a thing; or a part of the error's words."""
    since: datetime | None = None
    until: datetime | None = None
    upto: int = 0
    """The newest dead letter that was seen when they were chosen; what came later is not meant. 0 = all."""

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """As the database is asked."""
        if self.ids:
            return [among(DeadLetter.dead_letter_id, self.ids)]
        found: list[ColumnElement[bool]] = []
        if self.state != "all":
            found.append(DeadLetter.state == self.state)
        for name in ("consumer", "reason", "fingerprint", "type"):
            if value := getattr(self, name):
                found.append(getattr(DeadLetter, name) == value)
        if self.since:
            found.append(DeadLetter.died_at >= self.since)
        if self.upto:
            found.append(DeadLetter.dead_letter_id <= self.upto)
        if self.until:
            found.append(DeadLetter.died_at < self.until)
        if self.text:
            pattern = self.text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
            named = DeadLetter.refs.contains([self.text.lower()])
            found.append(or_(named, DeadLetter.error.ilike(f"%{pattern}%")))
        return found

    @property
    def said(self) -> dict[str, object]:
        """What was chosen, without what was not, in plain values."""
        values = asdict(self)
        if self.ids:
            return {"ids": list(self.ids)}
        return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in values.items() if v}

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Selection":
        """From what was said. Raises ValueError for a time that is none."""
        times = {k: datetime.fromisoformat(said[k]) for k in ("since", "until") if said.get(k)}
        zoned = {k: t if t.tzinfo else t.replace(tzinfo=UTC) for k, t in times.items()}
        return cls(**{**said, "ids": tuple(said.get("ids", ())), **zoned})


def chosen(selection: Selection) -> Select[DeadLetter]:
    """The dead letters, the newest first."""
    newest = (DeadLetter.died_at.desc(), DeadLetter.dead_letter_id.desc())
    return select(DeadLetter).where(*selection.conditions).order_by(*newest)


@dataclass(frozen=True)
class Group:
    """Dead letters that died of the same cause."""

    fingerprint: str
    consumer: str
    type: str
    reason: str
    error: str
    dead_letters: int
    first: datetime
    last: datetime


async def groups(session: AsyncSession, selection: Selection, most: int = 200) -> list[Group]:
    """The causes, the most frequent first."""
    one: list[Any] = [
        func.min(c) for c in (DeadLetter.consumer, DeadLetter.type, DeadLetter.reason, DeadLetter.error)
    ]
    rows = await session.execute(
        select(
            DeadLetter.fingerprint,
            *one,
            func.count(),
            func.min(DeadLetter.died_at),
            func.max(DeadLetter.died_at),
        )
        .where(*selection.conditions)
        .group_by(DeadLetter.fingerprint)
        .order_by(func.count().desc(), DeadLetter.fingerprint)
        .limit(most)
    )
    return [Group(*values) for values in map(tuple, rows)]


async def count(session: AsyncSession, selection: Selection) -> int:
    """How many dead letters there are."""
    found = select(func.count()).select_from(DeadLetter).where(*selection.conditions)
    return await session.scalar(found) or 0


async def newest(session: AsyncSession) -> int:
    """The dead letter entered last; 0 when there is none."""
    return await session.scalar(select(func.max(DeadLetter.dead_letter_id))) or 0


@dataclass(frozen=True)
class Try:
    """A delivery of a dead letter's message, and how it ended."""

    delivery: int
    phase: str
    """`began`: nothing is known of its end; `failed`; `unanswered`: nothing is known of it at all."""
    at: datetime | None = None
    host: str = ""
    version: str = ""
    error: str = ""
    again_in: float | None = None


MOST_TRIES = 200


async def attempts(session: AsyncSession, dead_letter: DeadLetter) -> list[Try]:
    """Every try of a dead letter's message, the first one first; those that nobody has noted, too. Notes of
    an earlier death, of another message at that place or of the same one, are left out."""
    same = (
        DeadLetter.consumer == dead_letter.consumer,
        DeadLetter.stream == dead_letter.stream,
        DeadLetter.origin_seq == dead_letter.origin_seq,
    )
    before = await session.scalar(
        select(func.max(DeadLetter.died_at)).where(*same, DeadLetter.died_at < dead_letter.died_at)
    )
    after = await session.scalar(
        select(func.min(DeadLetter.died_at)).where(*same, DeadLetter.died_at > dead_letter.died_at)
    )
    spans = [Attempt.at > before] if before else []
    spans += [Attempt.at < after] if after else []
    rows = await session.scalars(
        select(Attempt)
        .where(
            Attempt.consumer == dead_letter.consumer,
            Attempt.stream == dead_letter.stream,
            Attempt.origin_seq == dead_letter.origin_seq,
            *spans,
        )
        .order_by(Attempt.delivery, Attempt.at)
        .limit(2 * MOST_TRIES)
    )
    names = ("delivery", "phase", "at", "host", "version", "error", "again_in")
    noted = [Try(**{name: getattr(row, name) for name in names}) for row in rows]
    known = {each.delivery for each in noted}
    deliveries = range(1, min(dead_letter.deliveries, MOST_TRIES) + 1)
    lost = [Try(n, "unanswered") for n in deliveries if n not in known]
    return sorted([*noted, *lost], key=lambda each: each.delivery)


async def discard(session: AsyncSession, who: Who, selection: Selection, reason: str) -> int:
    """Puts dead letters away; returns how many. What is not waiting is left alone."""
    conditions = [*selection.conditions, DeadLetter.state == State.WAITING]
    put = update(DeadLetter).where(*conditions).values(
        state=State.DISCARDED, settled_by=who.subject[:200], settled_at=func.now(), why=reason
    )  # fmt: skip
    ids = sorted((await session.scalars(put.returning(DeadLetter.dead_letter_id))).all())
    await _tell(session, who, "discard", ids, selection, reason)
    return len(ids)


async def restore(session: AsyncSession, who: Who, selection: Selection, reason: str) -> int:
    """Takes discarded dead letters back, those that are not too old for it; returns how many."""
    fresh = DeadLetter.settled_at >= datetime.now(UTC) - UNDO
    conditions = [*selection.conditions, DeadLetter.state == State.DISCARDED, fresh]
    back = update(DeadLetter).where(*conditions).values(
        state=State.WAITING, settled_by=None, settled_at=None, why=None
    )  # fmt: skip
    ids = sorted((await session.scalars(back.returning(DeadLetter.dead_letter_id))).all())
    await _tell(session, who, "restore", ids, selection, reason)
    return len(ids)


async def _tell(
    session: AsyncSession, who: Who, act: str, ids: Sequence[int], selection: Selection, reason: str
) -> None:
    result = "done" if ids else "nothing"
    number = await enter(
        session, who, act, target(selection), reason=reason, result=result, dead_letters=len(ids),
        first=list(ids[:100]), selection=selection.said,
    )  # fmt: skip
    if ids:
        said = LetterDiscarded(
            act_id=uuids.uuid7(), audit_number=number, letters=len(ids), restored=act == "restore"
        )
        tell(session, said, municipality=who.stack, revision=1)


def target(selection: Selection) -> str:
    """What an act concerns, for the audit."""
    if len(selection.ids) == 1:
        return f"dead letter {selection.ids[0]}"
    return f"{len(selection.ids)} dead letters" if selection.ids else "dead letters by filter"


async def find(
    session: AsyncSession,
    text: str,
    since: datetime | None = None,
    until: datetime | None = None,
    most: int = 200,
) -> Sequence[Seen]:
    """The events of a time that have or name an id, or all of that time, the newest first."""
    when = [*([Seen.at >= since] if since else []), *([Seen.at < until] if until else [])]
    if not text:
        all = select(Seen).where(*when).order_by(Seen.at.desc()).limit(most)
        return (await session.scalars(all)).all()
    # apart from the order: with it the planner looks through all events, from the newest on
    named = (
        select(Seen).where(Seen.refs.contains([text.lower()]), *when).cte("named").prefix_with("materialized")
    )
    found = aliased(Seen, named)
    rows = await session.scalars(select(found).order_by(found.at.desc()).limit(most))
    return rows.all()
