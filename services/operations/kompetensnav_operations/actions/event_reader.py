"""What the streams tell is read on and on: dead letters, notes of tries, what the server gave up, and events,
each from where it was left. A stream is read in batches, one transaction each, so that a kill repeats a batch
and never skips one."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypedDict

import nats.errors
import structlog
from sqlalchemy import delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_chassis.db import Scope, Sessions, transaction
from kompetensnav_chassis.retry import DEAD_LETTERED, Comparison, compared
from kompetensnav_chassis.streams import Stored, moment, plain
from kompetensnav_operations.domain.dead_letters import State, fingerprint, references
from kompetensnav_operations.domain.picture import Stream
from kompetensnav_operations.edges.broker import Broker
from kompetensnav_operations.tables import Attempt, Bookmark, DeadLetter, GivenUp, Seen, among

log = structlog.get_logger()
LOCK = 7_312
"""Key of the advisory lock of whoever reads: one instance at a time."""
ROUNDS = 20
"""Batches of one stream before the others have their turn."""
COME_OF = "Kn-Replay"
"""Header of what is replayed: the dead letter that it comes of."""
MALFORMED = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError)
SOON = timedelta(minutes=1)
"""A message that the server gives up is a dead letter by then, or it is in limbo."""
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
    def deaths(self) -> tuple[str, str]:
        """Those that tell what died."""
        return self.dead, self.advisories

    @property
    def own(self) -> set[str]:
        """All three."""
        return {self.dead, self.attempts, self.advisories}

    def take(self, stream: str) -> Take:
        """What is done with the messages of a stream."""
        takes = {self.dead: take_dead_letters, self.attempts: take_attempts, self.advisories: take_advisories}
        return takes.get(stream, take_events)


async def read_on(
    sessions: Sessions, broker: Broker, streams: Sequence[Stream], names: Names, done: dict[str, Stream]
) -> bool:
    """Reads every stream on; True when there may be more. Dead letters go first. `done`: the streams as they
    were when all of them was read; kept here."""
    more = False
    for stream in sorted(streams, key=lambda s: (s.name not in names.own, s.name)):
        if (before := done.get(stream.name)) and _is_same(before, stream):
            continue
        left = await _read(sessions, broker, stream, names.take(stream.name))
        if left is False:
            done[stream.name] = stream
        more |= bool(left)
    return more


def _is_same(one: Stream, other: Stream) -> bool:
    """Whether nothing was added to a stream, or taken out of it."""
    names = ("created", "first_seq", "last_seq", "deleted")
    return all(getattr(one, name) == getattr(other, name) for name in names)


async def _read(sessions: Sessions, broker: Broker, stream: Stream, take: Take) -> bool | None:
    """Whether there is more to read; None when it cannot be had at this moment."""
    for _ in range(ROUNDS):
        async with transaction(sessions, Scope()) as session:
            if not await session.scalar(text("select pg_try_advisory_xact_lock(:key)"), {"key": LOCK}):
                return None
            at = await _bookmark(session, stream)
            if (stream.deleted, stream.first_seq) != (at.deleted, at.first):
                await _forget(session, broker, stream, at, take)
            if at.seq >= stream.last_seq:
                return False
            stored = await broker.read(stream.name, at.seq + 1)
            if stored:
                await _take(session, take, stored)
                at.seq = stored[-1].seq
                continue
            held = await broker.held(stream.name)
            if held.has_after(at.seq):  # the replica that was asked lags behind
                return None
            at.seq = held.last
    return True


async def _take(session: AsyncSession, take: Take, stored: Sequence[Stored]) -> None:
    """Takes messages; one that cannot be taken is told of and left out, and keeps no other one back."""
    try:
        async with session.begin_nested():
            await take(session, stored)
    except (*MALFORMED, DBAPIError) as bad:
        if isinstance(bad, DBAPIError) and not _is_of_a_value(bad):
            raise
        if len(stored) == 1:
            log.error(
                "message_left_out", stream=stored[0].stream, seq=stored[0].seq, error=type(bad).__name__
            )
            return
        for each in stored:
            await _take(session, take, [each])


def _is_of_a_value(error: DBAPIError) -> bool:
    """Whether it is a value that the database does not take, and not the database that is away."""
    state = getattr(error.orig, "sqlstate", None)
    return not error.connection_invalidated and (state is None or state[:2] in ("22", "23", "54"))


async def _bookmark(session: AsyncSession, stream: Stream) -> Bookmark:
    at = await session.get(Bookmark, stream.name)
    if at is None:
        at = Bookmark(stream=stream.name, created=stream.created, seq=0, deleted=0)
        session.add(at)
    elif at.created != stream.created:  # made anew: what was read is of another stream of that name
        at.created, at.seq, at.deleted, at.first = stream.created, 0, 0, 0
        await session.execute(delete(Seen).where(Seen.stream == stream.name))
    return at


async def _forget(session: AsyncSession, broker: Broker, stream: Stream, at: Bookmark, take: Take) -> None:
    """What was taken out of a stream is not found here either, nor by what it named."""
    held = await broker.held(stream.name)
    if take is take_dead_letters:
        is_out = or_(among(DeadLetter.seq, held.deleted), DeadLetter.seq < held.first)
        await session.execute(update(DeadLetter).where(is_out, DeadLetter.seq <= at.seq).values(refs=[]))
    elif take is take_events:
        is_out = or_(among(Seen.seq, held.deleted), Seen.seq < held.first)
        await session.execute(delete(Seen).where(Seen.stream == stream.name, is_out))
    at.deleted, at.first = stream.deleted, stream.first_seq


async def take_events(session: AsyncSession, stored: Sequence[Stored]) -> None:
    """Remembers where events are, by the ids they have and name."""
    rows = [
        {"stream": m.stream, "seq": m.seq, "at": m.at, "subject": m.subject, "refs": _refs(m)} for m in stored
    ]
    await session.execute(insert(Seen).on_conflict_do_nothing(), rows)


def _refs(message: Stored) -> list[str]:
    own = [message.header("ce-id"), message.header("ce-correlationid"), trace(message) or ""]
    return list(dict.fromkeys([*(r.lower()[:200] for r in own if r), *references(message.data)]))


def trace(message: Stored) -> str | None:
    """The W3C trace that a message belongs to."""
    parts = message.header("traceparent").split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else None


async def take_dead_letters(session: AsyncSession, stored: Sequence[Stored]) -> None:
    """Enters new dead letters; one that is the end of a replay marks the dead letter it comes of."""
    rows = []
    for message in stored:
        if _is_dead_letter(message):
            rows.append(row := _dead_letter(message))
            await _returned(session, message, row)
    if not rows:
        return
    made = insert(DeadLetter)
    death = ["consumer", "stream", "origin_seq", "died_at"]
    # the same death in a stream that was made anew of what was kept: only its place is another
    place = {"seq": made.excluded.seq}
    await session.execute(made.on_conflict_do_update(index_elements=death, set_=place), rows)
    for row in rows:
        await session.execute(
            delete(GivenUp).where(
                GivenUp.consumer == row["consumer"],
                GivenUp.stream == row["stream"],
                GivenUp.origin_seq == row["origin_seq"],
            )
        )


class DeadLetterRow(TypedDict):
    """A row of `Dead letter` that is to be written."""

    seq: int
    consumer: str
    stream: str
    origin_seq: int
    subject: str
    event_id: str | None
    type: str
    trace_id: str | None
    refs: list[str]
    reason: str
    error: str
    fingerprint: str
    died_at: datetime
    deliveries: int
    size: int
    state: str
    came_of: int | None


async def _returned(session: AsyncSession, message: Stored, row: DeadLetterRow) -> None:
    """Marks the dead letter that a new one comes of, when it is the same event, or its edit, of that
    consumer: dead letters have other numbers in a database made anew."""
    if not row["came_of"]:
        return
    ids = [id for id in (row["event_id"], message.header("ce-causationid")) if id]
    theirs = (
        DeadLetter.dead_letter_id == row["came_of"],
        DeadLetter.consumer == row["consumer"],
        or_(DeadLetter.event_id.is_(None), DeadLetter.event_id.in_(ids)),
        func.right(row["subject"], func.length(DeadLetter.subject)) == DeadLetter.subject,
    )
    if await session.scalar(select(DeadLetter.dead_letter_id).where(*theirs)):
        came_back = update(DeadLetter).where(*theirs, DeadLetter.state != State.DISCARDED)
        await session.execute(came_back.values(state=State.RETURNED))
    else:
        row["came_of"] = None


def _is_dead_letter(message: Stored) -> bool:
    """Whether it was put where its consumer's dead letters are, by somebody who may do that."""
    consumer = message.header("Kn-Dead-Consumer")
    return bool(consumer) and message.subject == f"dead.{consumer}"


def _dead_letter(message: Stored) -> DeadLetterRow:
    def said(name: str, default: str = "") -> str:
        return message.header(f"Kn-Dead-{name}") or default

    type = message.header("ce-type") or said("Subject")
    is_replay = said("Subject").startswith("replay.")  # nobody else's word is taken for it
    return DeadLetterRow(
        seq=message.seq,
        consumer=said("Consumer")[:200],
        stream=said("Stream")[:200],
        origin_seq=_number(said("Seq"), message.seq),
        subject=said("Subject"),
        event_id=message.header("ce-id")[:200] or None,
        type=type[:200],
        trace_id=trace(message),
        refs=_refs(message),
        reason=said("Reason", "unknown")[:200],
        error=said("Error"),
        fingerprint=fingerprint(said("Consumer"), type, said("Reason"), said("Error"), said("Stack")),
        died_at=moment(said("At")) or message.at,
        deliveries=_number(said("Deliveries"), 0),
        size=len(message.data),
        state=State.WAITING,
        came_of=_number(message.header(COME_OF), 0) or None if is_replay else None,
    )


def _number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else default


def is_of(message: Stored | None, dead_letter: DeadLetter) -> bool:
    """Whether a message of the stream of dead letters is that dead letter, and not another one at its place
    in a stream that was made anew."""
    if message is None or not _is_dead_letter(message):
        return False
    theirs = _dead_letter(message)
    return all(
        theirs[name] == getattr(dead_letter, name) for name in ("consumer", "stream", "origin_seq")
    ) and (theirs["died_at"] == dead_letter.died_at)


async def original(broker: Broker, dead: str, dead_letter: DeadLetter) -> Stored | None:
    """The dead letter's message with its body; None when it is gone. Raises one of AWAY."""
    message = await broker.message(dead, dead_letter.seq)
    if message is None or not is_of(message, dead_letter):
        return None
    if not (missing := message.header("Kn-Dead-Body")):
        return message
    theirs = await broker.message(dead_letter.stream, dead_letter.origin_seq) if missing == "left" else None
    if theirs is None or theirs.subject != dead_letter.subject or theirs.at > dead_letter.died_at + SOON:
        return None
    if theirs.header("ce-id") != message.header("ce-id"):  # another event at that place
        return None
    return replace(message, data=theirs.data, headers={**theirs.headers, **message.headers})


async def comparison(broker: Broker, dead_letter: DeadLetter, message: Stored) -> Comparison:
    """What a dead letter is beside the message that it says it is of. Raises one of AWAY."""
    try:
        return compared(message, await broker.message(dead_letter.stream, dead_letter.origin_seq))
    except nats.errors.NoRespondersError:  # no such stream, or one that gives no message without a consumer
        return "gone"
    except nats.errors.BadSubjectError:  # no stream has such a name
        return "differs"


async def take_attempts(session: AsyncSession, stored: Sequence[Stored]) -> None:
    """Enters notes of tries."""
    rows = []
    for message in stored:
        try:
            said = json.loads(message.data)
            rows.append(
                {
                    "consumer": plain(str(said["consumer"]))[:200],
                    "stream": plain(str(said["stream"]))[:200],
                    "origin_seq": int(said["seq"]),
                    "delivery": int(said["delivery"]),
                    "phase": "failed" if said["phase"] == "failed" else "began",
                    "at": moment(said["at"]) or message.at,
                    "host": plain(str(said["host"]))[:200],
                    "version": plain(str(said["version"]))[:200],
                    "error": plain(str(said["error"])),
                    "frames": plain(str(said["frames"])),
                    "again_in": float(said["again_in"]) if said["again_in"] is not None else None,
                }
            )
        except MALFORMED:  # somebody else's; a note is no promise
            continue
    if rows:
        await session.execute(insert(Attempt).on_conflict_do_nothing(), rows)


async def take_advisories(session: AsyncSession, stored: Sequence[Stored]) -> None:
    """Enters what the server gave up, unless it is a dead letter already: one of that death, not of an
    earlier life of the stream."""
    rows = {}
    for message in stored:
        said = json.loads(message.data)
        kind, why = str(said.get("type", "")).rpartition(".")[2], str(said.get("reason", ""))
        if kind == "max_deliver" or (kind == "terminated" and not why.startswith(DEAD_LETTERED)):
            key = (said["consumer"], said["stream"], said["stream_seq"])
            rows[key] = moment(said.get("timestamp")) or message.at
    for (consumer, stream, seq), at in rows.items():
        there = select(DeadLetter.dead_letter_id).where(
            DeadLetter.consumer == consumer, DeadLetter.stream == stream, DeadLetter.origin_seq == seq,
            DeadLetter.died_at > at - SOON,
        )  # fmt: skip
        if not await session.scalar(there):
            given_up = {"consumer": consumer, "stream": stream, "origin_seq": seq, "at": at}
            again = insert(GivenUp).on_conflict_do_update(
                index_elements=["consumer", "stream", "origin_seq"], set_={"at": at}
            )
            await session.execute(again, given_up)
