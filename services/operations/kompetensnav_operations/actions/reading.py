"""What the streams tell is read on and on: letters, notes of tries, what the server gave up, and events, each
from where it was left. A stream is read in batches, one transaction each, so that a kill repeats a batch and
never skips one."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_chassis.db import Scope, Sessions, transaction
from kompetensnav_operations.domain.letters import State, fingerprint, references
from kompetensnav_operations.domain.picture import Stream
from kompetensnav_operations.edges.broker import BATCH, Broker, Stored, moment
from kompetensnav_operations.tables import Attempt, Bookmark, GivenUp, Letter, Seen

LOCK = 7_312
"""Key of the advisory lock of whoever reads: one instance at a time."""
ROUNDS = 20
"""Batches of one stream before the others have their turn."""
COME_OF = "Kn-Replay"
"""Header of what is replayed: the letter that it comes of."""
Take = Callable[[AsyncSession, Sequence[Stored]], Awaitable[None]]


@dataclass(frozen=True)
class Names:
    """The streams that tell how others fare; all the rest hold events."""

    dead: str
    attempts: str
    advisories: str

    @classmethod
    def of(cls, stack: str) -> "Names":
        """Those of a stack."""
        code = stack.upper()
        return cls(f"DEAD_{code}", f"ATTEMPT_{code}", f"ADVISORY_{code}")

    @property
    def own(self) -> set[str]:
        """All three."""
        return {self.dead, self.attempts, self.advisories}

    def take(self, stream: str) -> Take:
        """What is done with the messages of a stream."""
        takes = {self.dead: take_letters, self.attempts: take_attempts, self.advisories: take_advisories}
        return takes.get(stream, take_events)


async def read_on(
    sessions: Sessions, broker: Broker, streams: Sequence[Stream], names: Names, done: dict[str, Stream]
) -> bool:
    """Reads every stream on; True when there may be more. Letters go first. `done`: the streams as they were
    when all of them was read; kept here."""
    more = False
    for stream in sorted(streams, key=lambda s: (s.name not in names.own, s.name)):
        if (before := done.get(stream.name)) and _is_same(before, stream):
            continue
        if await _read(sessions, broker, stream, names.take(stream.name)):
            more = True
        else:
            done[stream.name] = stream
    return more


def _is_same(one: Stream, other: Stream) -> bool:
    """Whether nothing was added to a stream, or taken out of it."""
    return (one.created, one.last_seq, one.deleted) == (other.created, other.last_seq, other.deleted)


async def _read(sessions: Sessions, broker: Broker, stream: Stream, take: Take) -> bool:
    for _ in range(ROUNDS):
        async with transaction(sessions, Scope()) as session:
            if not await session.scalar(text("select pg_try_advisory_xact_lock(:key)"), {"key": LOCK}):
                return True
            at = await _bookmark(session, stream)
            if stream.deleted != at.deleted and take in (take_events, take_letters):
                await _forget(session, broker, stream, at, take)
            if at.seq >= stream.last_seq:
                return False
            stored = await broker.read(stream.name, at.seq + 1)
            if stored:
                await take(session, stored)
            at.seq = stored[-1].seq if stored else stream.last_seq
            if len(stored) < BATCH:
                return False
    return True


async def _bookmark(session: AsyncSession, stream: Stream) -> Bookmark:
    at = await session.get(Bookmark, stream.name)
    if at is None:
        at = Bookmark(stream=stream.name, created=stream.created, seq=0, deleted=0)
        session.add(at)
    elif at.created != stream.created:  # made anew: what was read is of another stream of that name
        at.created, at.seq, at.deleted = stream.created, 0, 0
        await session.execute(delete(Seen).where(Seen.stream == stream.name))
    return at


async def _forget(session: AsyncSession, broker: Broker, stream: Stream, at: Bookmark, take: Take) -> None:
    """What was taken out of a stream is not found here either, nor by what it named."""
    gone = await broker.deleted(stream.name)
    if take is take_letters:
        bare = update(Letter).where(Letter.seq.in_(gone), Letter.seq <= at.seq)
        await session.execute(bare.values(refs=[]))
    else:
        await session.execute(delete(Seen).where(Seen.stream == stream.name, Seen.seq.in_(gone)))
    at.deleted = stream.deleted


async def take_events(session: AsyncSession, stored: Sequence[Stored]) -> None:
    """Remembers where events are, by the ids they have and name."""
    rows = [
        {"stream": m.stream, "seq": m.seq, "at": m.at, "subject": m.subject, "refs": _refs(m)} for m in stored
    ]
    await session.execute(insert(Seen).on_conflict_do_nothing(), rows)


def _refs(message: Stored) -> list[str]:
    own = [message.header("ce-id"), message.header("ce-correlationid"), trace(message) or ""]
    return list(dict.fromkeys([*(r.lower() for r in own if r), *references(message.data)]))


def trace(message: Stored) -> str | None:
    """The W3C trace that a message belongs to."""
    parts = message.header("traceparent").split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else None


async def take_letters(session: AsyncSession, stored: Sequence[Stored]) -> None:
    """Enters new letters; one that is the end of a replay marks the letter it comes of."""
    rows = [_letter(message) for message in stored if message.header("Kn-Dead-Consumer")]
    if not rows:
        return
    made = insert(Letter).on_conflict_do_nothing(index_elements=["consumer", "stream", "origin_seq"])
    await session.execute(made, rows)
    for row in rows:
        await session.execute(
            delete(GivenUp).where(
                GivenUp.consumer == row["consumer"],
                GivenUp.stream == row["stream"],
                GivenUp.origin_seq == row["origin_seq"],
            )
        )
    came_of = [row["came_of"] for row in rows if row["came_of"]]
    if came_of:
        returned = update(Letter).where(Letter.letter_id.in_(came_of))
        await session.execute(returned.values(state=State.RETURNED))


def _letter(message: Stored) -> dict[str, Any]:
    def said(name: str, default: str = "") -> str:
        return message.header(f"Kn-Dead-{name}") or default

    type = message.header("ce-type") or said("Subject")
    came_of = message.header(COME_OF)
    return {
        "seq": message.seq,
        "consumer": said("Consumer")[:200],
        "stream": said("Stream")[:200],
        "origin_seq": _number(said("Seq"), message.seq),
        "subject": said("Subject"),
        "event_id": message.header("ce-id")[:200] or None,
        "type": type[:200],
        "trace_id": trace(message),
        "refs": _refs(message),
        "reason": said("Reason", "unknown")[:200],
        "error": said("Error"),
        "fingerprint": fingerprint(said("Consumer"), type, said("Reason"), said("Error"), said("Stack")),
        "died_at": moment(said("At")) or message.at,
        "deliveries": _number(said("Deliveries"), 0),
        "size": len(message.data),
        "state": State.WAITING,
        "came_of": int(came_of) if came_of.isdigit() else None,
    }


def _number(text: str, default: int) -> int:
    return int(text) if text.isdigit() else default


async def take_attempts(session: AsyncSession, stored: Sequence[Stored]) -> None:
    """Enters notes of tries."""
    rows = []
    for message in stored:
        try:
            said = json.loads(message.data)
            rows.append(
                {
                    "seq": message.seq,
                    "consumer": str(said["consumer"])[:200],
                    "stream": str(said["stream"])[:200],
                    "origin_seq": int(said["seq"]),
                    "delivery": int(said["delivery"]),
                    "phase": "failed" if said["phase"] == "failed" else "began",
                    "at": datetime.fromisoformat(said["at"]),
                    "host": str(said["host"])[:200],
                    "version": str(said["version"])[:200],
                    "error": str(said["error"]),
                    "frames": str(said["frames"]),
                    "again_in": said["again_in"],
                }
            )
        except (ValueError, KeyError, TypeError):  # somebody else's; a note is no promise
            continue
    if rows:
        await session.execute(insert(Attempt).on_conflict_do_nothing(), rows)


async def take_advisories(session: AsyncSession, stored: Sequence[Stored]) -> None:
    """Enters what the server gave up, unless it is a letter already."""
    rows = {}
    for message in stored:
        said = json.loads(message.data)
        if str(said.get("type", "")).endswith(".max_deliver"):
            key = (said["consumer"], said["stream"], said["stream_seq"])
            rows[key] = moment(said.get("timestamp")) or message.at
    for (consumer, stream, seq), at in rows.items():
        there = select(Letter.letter_id).where(
            Letter.consumer == consumer, Letter.stream == stream, Letter.origin_seq == seq
        )
        if not await session.scalar(there):
            given_up = {"consumer": consumer, "stream": stream, "origin_seq": seq, "at": at}
            await session.execute(insert(GivenUp).on_conflict_do_nothing(), given_up)
