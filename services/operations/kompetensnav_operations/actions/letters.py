"""Dead letters: found, shown, put away with a reason, and taken back."""

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
from kompetensnav_operations.domain.letters import UNDO, State
from kompetensnav_operations.tables import Attempt, Letter, Seen, among

PAGE = 50
MOST = 100_000
"""Letters that one act may concern."""


@dataclass(frozen=True)
class Selection:
    """Which letters: those with these ids, or all that fit what is given here."""

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
    """The newest letter that was seen when they were chosen; what came later is not meant. 0 = all."""

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """As the database is asked."""
        if self.ids:
            return [among(Letter.letter_id, self.ids)]
        found: list[ColumnElement[bool]] = []
        if self.state != "all":
            found.append(Letter.state == self.state)
        for name in ("consumer", "reason", "fingerprint", "type"):
            if value := getattr(self, name):
                found.append(getattr(Letter, name) == value)
        if self.since:
            found.append(Letter.died_at >= self.since)
        if self.upto:
            found.append(Letter.letter_id <= self.upto)
        if self.until:
            found.append(Letter.died_at < self.until)
        if self.text:
            pattern = self.text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
            named = Letter.refs.contains([self.text.lower()])
            found.append(or_(named, Letter.error.ilike(f"%{pattern}%")))
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


def chosen(selection: Selection) -> Select[Letter]:
    """The letters, the newest first."""
    newest = (Letter.died_at.desc(), Letter.letter_id.desc())
    return select(Letter).where(*selection.conditions).order_by(*newest)


@dataclass(frozen=True)
class Group:
    """Letters that died of the same cause."""

    fingerprint: str
    consumer: str
    type: str
    reason: str
    error: str
    letters: int
    first: datetime
    last: datetime


async def groups(session: AsyncSession, selection: Selection, most: int = 200) -> list[Group]:
    """The causes, the most frequent first."""
    one: list[Any] = [func.min(c) for c in (Letter.consumer, Letter.type, Letter.reason, Letter.error)]
    rows = await session.execute(
        select(Letter.fingerprint, *one, func.count(), func.min(Letter.died_at), func.max(Letter.died_at))
        .where(*selection.conditions)
        .group_by(Letter.fingerprint)
        .order_by(func.count().desc(), Letter.fingerprint)
        .limit(most)
    )
    return [Group(*values) for values in map(tuple, rows)]


async def count(session: AsyncSession, selection: Selection) -> int:
    """How many letters there are."""
    found = select(func.count()).select_from(Letter).where(*selection.conditions)
    return await session.scalar(found) or 0


async def newest(session: AsyncSession) -> int:
    """The letter entered last; 0 when there is none."""
    return await session.scalar(select(func.max(Letter.letter_id))) or 0


@dataclass(frozen=True)
class Try:
    """A delivery of a letter's message, and how it ended."""

    delivery: int
    phase: str
    """`began`: nothing is known of its end; `failed`; `unanswered`: nothing is known of it at all."""
    at: datetime | None = None
    host: str = ""
    version: str = ""
    error: str = ""
    again_in: float | None = None


MOST_TRIES = 200


async def attempts(session: AsyncSession, letter: Letter) -> list[Try]:
    """Every try of a letter's message, the first one first; those that nobody has noted, too. Notes of an
    earlier death, of another message at that place or of the same one, are left out."""
    same = (
        Letter.consumer == letter.consumer,
        Letter.stream == letter.stream,
        Letter.origin_seq == letter.origin_seq,
    )
    before = await session.scalar(
        select(func.max(Letter.died_at)).where(*same, Letter.died_at < letter.died_at)
    )
    after = await session.scalar(
        select(func.min(Letter.died_at)).where(*same, Letter.died_at > letter.died_at)
    )
    spans = [Attempt.at > before] if before else []
    spans += [Attempt.at < after] if after else []
    rows = await session.scalars(
        select(Attempt)
        .where(
            Attempt.consumer == letter.consumer,
            Attempt.stream == letter.stream,
            Attempt.origin_seq == letter.origin_seq,
            *spans,
        )
        .order_by(Attempt.delivery, Attempt.at)
        .limit(2 * MOST_TRIES)
    )
    names = ("delivery", "phase", "at", "host", "version", "error", "again_in")
    noted = [Try(**{name: getattr(row, name) for name in names}) for row in rows]
    known = {each.delivery for each in noted}
    deliveries = range(1, min(letter.deliveries, MOST_TRIES) + 1)
    lost = [Try(n, "unanswered") for n in deliveries if n not in known]
    return sorted([*noted, *lost], key=lambda each: each.delivery)


async def discard(session: AsyncSession, who: Who, selection: Selection, reason: str) -> int:
    """Puts letters away; returns how many. What is not waiting is left alone."""
    conditions = [*selection.conditions, Letter.state == State.WAITING]
    put = update(Letter).where(*conditions).values(
        state=State.DISCARDED, settled_by=who.subject[:200], settled_at=func.now(), why=reason
    )  # fmt: skip
    ids = sorted((await session.scalars(put.returning(Letter.letter_id))).all())
    await _tell(session, who, "discard", ids, selection, reason)
    return len(ids)


async def restore(session: AsyncSession, who: Who, selection: Selection, reason: str) -> int:
    """Takes discarded letters back, those that are not too old for it; returns how many."""
    fresh = Letter.settled_at >= datetime.now(UTC) - UNDO
    conditions = [*selection.conditions, Letter.state == State.DISCARDED, fresh]
    back = update(Letter).where(*conditions).values(
        state=State.WAITING, settled_by=None, settled_at=None, why=None
    )  # fmt: skip
    ids = sorted((await session.scalars(back.returning(Letter.letter_id))).all())
    await _tell(session, who, "restore", ids, selection, reason)
    return len(ids)


async def _tell(
    session: AsyncSession, who: Who, act: str, ids: Sequence[int], selection: Selection, reason: str
) -> None:
    result = "done" if ids else "nothing"
    number = await enter(
        session, who, act, target(selection), reason=reason, result=result, letters=len(ids),
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
        return f"letter {selection.ids[0]}"
    return f"{len(selection.ids)} letters" if selection.ids else "letters by filter"


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
