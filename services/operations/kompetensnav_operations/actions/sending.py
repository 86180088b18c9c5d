"""Sending what is replayed, a turn at a time.

A dead letter is taken by one replay at a time, under its row's lock, and sent with a message id of its own:
whoever was killed in between sends it again, and the broker has it once. First goes a canary; only when its
dead letters are handled does the rest follow, no faster than the rate.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import nats.errors
import structlog
from sqlalchemy import ColumnElement, and_, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_chassis.db import Scope, Sessions, transaction
from kompetensnav_chassis.failpoints import failpoint
from kompetensnav_chassis.streams import Stored
from kompetensnav_operations.actions.audit import console, enter
from kompetensnav_operations.actions.event_reader import COME_OF, comparison, original
from kompetensnav_operations.actions.replays import ENDED, SENT, hindrance_of, locked, outcomes
from kompetensnav_operations.actions.snapshot import Board
from kompetensnav_operations.domain.dead_letters import CANARY, State, way
from kompetensnav_operations.domain.picture import Queue
from kompetensnav_operations.edges.broker import AWAY, Broker, Held, Refused
from kompetensnav_operations.tables import (
    Bookmark,
    Correction,
    DeadLetter,
    GivenUp,
    Replay,
    ReplayDeadLetter,
    among,
)

log = structlog.get_logger()
LOCK = 7_314
"""Key of the advisory lock of whoever sends."""
AT_ONCE = 50
"""Dead letters sent in one turn of the job, at most."""
CANARY_PATIENCE = 1800.0
"""Seconds that the canary may take to be handled: longer than a failing message is tried again."""
TRIES = 5
"""How often a dead letter is sent to a broker that does not take it."""
LAG = 1.5
"""Seconds after its consumer has answered until everything is told that the server gave up then."""
UNDER_WAY = ("canary", "running")


async def send(sessions: Sessions, board: Board) -> bool:
    """A turn of every replay that is under way, and of what others have left behind; True when there is more
    to do at once. One instance at a time sends, so that a canary is ten and the rate is one. What one replay
    cannot do keeps no other one back. Raises one of AWAY when the broker is away."""
    async with transaction(sessions, Scope()) as only:
        if not await only.scalar(text("select pg_try_advisory_xact_lock(:key)"), {"key": LOCK}):
            return False
        return await _send(sessions, board)


async def _send(sessions: Sessions, board: Board) -> bool:
    async with transaction(sessions, Scope()) as session:
        under_way = (
            await session.scalars(select(Replay).where(Replay.state.in_(UNDER_WAY)).order_by(Replay.began_at))
        ).all()
        taken = (
            await session.execute(
                select(Replay.replay_id, DeadLetter.dead_letter_id)
                .join(Replay, Replay.replay_id == DeadLetter.replay_id)
                .where(DeadLetter.state == State.TAKEN, Replay.state.in_(ENDED))
                .limit(AT_ONCE)
            )
        ).all()
    turns: list[Callable[[], Awaitable[bool]]] = [partial(_settle, sessions, board)]
    for replay_id, dead_letter_id in taken:  # it may be sent already, so it is sent, once more
        turns.append(partial(_finish, sessions, board, replay_id, dead_letter_id))
    turns += [partial(_turn, sessions, board, replay) for replay in under_way]
    more = False
    for turn in turns:
        try:
            more |= await turn()
        except (*AWAY, Refused) as away:
            if not board.ready_broker.is_there:
                raise
            log.warning("replay_waits", error=type(away).__name__)
    return more


async def _finish(sessions: Sessions, board: Board, replay_id: UUID, dead_letter_id: int) -> bool:
    await _one(sessions, board, replay_id, dead_letter_id)
    return False


async def _turn(sessions: Sessions, board: Board, replay: Replay) -> bool:
    async with transaction(sessions, Scope()) as session:
        found = await outcomes(session, replay.replay_id)
    sent = sum(n for outcome, n in found.items() if outcome in SENT)
    state, why = _next(replay, found, sent)
    if state != replay.state:
        async with transaction(sessions, Scope()) as session:
            row = await locked(session, replay.replay_id)
            if row.state != replay.state:  # somebody was quicker
                return True
            row.state, row.stopped_why = state, why or None
            if state in ENDED:
                row.ended_at = datetime.now(UTC)
                await enter(
                    session, console(board.stack), "replay-end", f"replay {replay.replay_id}", reason=why,
                    result=state, outcomes=found,
                )  # fmt: skip
        return True
    quota = CANARY - sent if replay.state == "canary" else AT_ONCE
    if quota <= 0 or not found.get("left"):
        return False
    began = time.monotonic()
    done = await _some(sessions, board, replay, min(quota, max(1, replay.rate // 5)))
    if done:
        pause = done / replay.rate - (time.monotonic() - began)
        await asyncio.sleep(max(0.0, pause))
    return bool(done)


def _next(replay: Replay, found: Mapping[str, int], sent: int) -> tuple[str, str]:
    """The state that a replay should be in, and why it stops."""
    refused, left = found.get("refused", 0), found.get("left", 0)
    if refused and (replay.state == "canary" or refused >= CANARY) and left:
        return "stopped", "refused"
    if replay.state == "canary":
        if found.get("returned"):
            return "stopped", "canary-returned"
        if found.get("handled", 0) and found.get("handled", 0) == sent and (sent >= CANARY or not left):
            return ("running" if left else "done"), ""
        if not left and not sent:
            return "done", ""
        began = replay.began_at or replay.made_at
        if sent and (datetime.now(UTC) - began).total_seconds() > CANARY_PATIENCE:
            return "stopped", "canary-slow"
        return "canary", ""
    if not left and not found.get("sent"):
        return "done", ""
    return "running", ""


async def _some(sessions: Sessions, board: Board, replay: Replay, most: int) -> int:
    """Sends some dead letters; returns how many were settled one way or another. Ends with one that the
    broker does not take."""
    async with transaction(sessions, Scope()) as session:
        rows = await session.scalars(
            select(ReplayDeadLetter.dead_letter_id)
            .where(ReplayDeadLetter.replay_id == replay.replay_id, ReplayDeadLetter.outcome.is_(None))
            .order_by(ReplayDeadLetter.dead_letter_id)
            .limit(most)
        )
        ids = rows.all()
    for n, id in enumerate(ids):
        if not await _one(sessions, board, replay.replay_id, id):
            return n
    return len(ids)


async def _one(sessions: Sessions, board: Board, replay_id: UUID, dead_letter_id: int) -> bool:
    """Takes a dead letter, sends it, and writes down that it is sent; False when the broker does not take it.
    Each step may be the last one of this process: the next one begins with a dead letter that is taken
    already, and sends it with the same id."""
    broker = board.ready_broker
    async with transaction(sessions, Scope()) as session:
        dead_letter = await session.get(DeadLetter, dead_letter_id, with_for_update=True)
        mine = await session.get(ReplayDeadLetter, (replay_id, dead_letter_id), with_for_update=True)
        state = await session.scalar(select(Replay.state).where(Replay.replay_id == replay_id))
        if dead_letter is None or mine is None or mine.outcome is not None:
            return True
        is_taken = dead_letter.state == State.TAKEN and dead_letter.replay_id == replay_id
        if state in ENDED and not is_taken:
            return True
        message = await original(broker, board.names.dead, dead_letter)
        queue = board.picture.of_consumer(dead_letter.consumer, dead_letter.stream)
        corrected = await session.scalar(select(Correction).where(Correction.replay_id == replay_id))
        why = hindrance_of(dead_letter, board.picture, message is not None, is_taken)
        if corrected is not None and corrected.body is None:
            why = why or "withdrawn"
        if not why and message is not None and await comparison(broker, dead_letter, message) == "differs":
            why = "differs"
        if why or message is None or queue is None:
            mine.outcome = why or "gone"
            if is_taken:
                _put_back(dead_letter)
            return True
        if not is_taken:
            dead_letter.state, dead_letter.replay_id, dead_letter.replays = (
                State.TAKEN,
                replay_id,
                dead_letter.replays + 1,
            )
    failpoint("operations.replay.taken")
    try:
        seq = await _publish(broker, dead_letter, message, queue, corrected)
    except (*AWAY, ValueError) as refused:
        if not broker.is_there:
            raise
        for_good = isinstance(refused, nats.errors.MaxPayloadError)
        await _refused(sessions, replay_id, dead_letter_id, refused, TRIES if for_good else 1)
        return False
    failpoint("operations.replay.sent")
    async with transaction(sessions, Scope()) as session:
        taken = (DeadLetter.dead_letter_id == dead_letter_id, DeadLetter.state == State.TAKEN)
        replayed = update(DeadLetter).where(*taken, DeadLetter.replay_id == replay_id)
        await session.execute(replayed.values(state=State.REPLAYED, sent_at=func.now(), sent_seq=seq))
        mine_now = update(ReplayDeadLetter).where(
            ReplayDeadLetter.replay_id == replay_id, ReplayDeadLetter.dead_letter_id == dead_letter_id
        )
        await session.execute(mine_now.values(outcome="sent"))
        if corrected is not None:
            sent = update(Correction).where(Correction.event_id == corrected.event_id)
            await session.execute(sent.values(sent_seq=seq, body=None))
    return True


def _put_back(dead_letter: DeadLetter) -> None:
    """Nobody has it any more. It keeps its number, so that the broker knows it again if it was sent."""
    dead_letter.state, dead_letter.replays = State.WAITING, dead_letter.replays - 1


async def _refused(
    sessions: Sessions, replay_id: UUID, dead_letter_id: int, why: Exception, tries: int
) -> None:
    """Counts that the broker has not taken a dead letter; in the end it is left out."""
    log.warning("replay_refused", dead_letter=dead_letter_id, error=type(why).__name__)
    async with transaction(sessions, Scope()) as session:
        dead_letter = await session.get(DeadLetter, dead_letter_id, with_for_update=True)
        mine = await session.get(ReplayDeadLetter, (replay_id, dead_letter_id), with_for_update=True)
        if (
            dead_letter is None
            or mine is None
            or (dead_letter.state, dead_letter.replay_id) != (State.TAKEN, replay_id)
        ):
            return
        mine.tries += tries
        if mine.tries >= TRIES:
            mine.outcome = "refused"
            _put_back(dead_letter)


async def _publish(
    broker: Broker, dead_letter: DeadLetter, message: Stored, queue: Queue, corrected: Correction | None
) -> int:
    headers: dict[str, str] = dict(corrected.headers) if corrected else message.headers
    body = corrected.body if corrected and corrected.body is not None else message.data
    kept = {k: v for k, v in headers.items() if not k.lower().startswith(("kn-dead-", "nats-"))}
    death = (
        dead_letter.consumer,
        dead_letter.stream,
        dead_letter.origin_seq,
        dead_letter.died_at.timestamp(),
        dead_letter.replays,
    )
    kept |= {
        # a number of the console's own would be another dead letter's in a database made anew
        "Nats-Msg-Id": "r:" + hashlib.sha256(repr(death).encode()).hexdigest()[:32],
        COME_OF: str(dead_letter.dead_letter_id),
    }
    seq, _ = await broker.publish(way(queue, dead_letter.subject), body, kept)
    return seq


async def _settle(sessions: Sessions, board: Board) -> bool:
    """What has become of the dead letters that are sent: handled, when their consumer has answered everything
    up to them and they are no new dead letter; returned, when they are; lost, when the stream or the consumer
    that they were sent to is no more what it was.

    Whoever puts a message aside makes the dead letter first. So it is none when its consumer had answered a
    moment before the picture, and everything is read of dead letters and of what the server gave up that was
    there at the picture, and that does not name it.
    """
    was, picture = board.was(LAG), board.picture
    last = {stream.name: stream.last_seq for stream in picture.streams}
    async with transaction(sessions, Scope()) as session:
        for name in board.names.deaths:
            if last.get(name, 0) > (
                await session.scalar(select(Bookmark.seq).where(Bookmark.stream == name)) or 0
            ):
                return False
        rows = await session.execute(
            select(DeadLetter.stream, DeadLetter.consumer)
            .where(DeadLetter.state == State.REPLAYED)
            .group_by(DeadLetter.stream, DeadLetter.consumer)
        )
        consumers = [(stream, consumer) for stream, consumer in rows]
    held = {
        stream: await board.ready_broker.held(stream) if stream in last else Held(0, 0, frozenset())
        for stream in {stream for stream, _ in consumers}
    }
    async with transaction(sessions, Scope()) as session:
        await _write(session, "returned", DeadLetter.state == State.RETURNED)
        for stream, consumer in consumers:
            mine = and_(
                DeadLetter.state == State.REPLAYED,
                DeadLetter.stream == stream,
                DeadLetter.consumer == consumer,
            )
            holds = held[stream]
            is_out = DeadLetter.sent_seq > holds.last
            if holds.keeps:
                is_out = or_(
                    is_out, DeadLetter.sent_seq < holds.first, among(DeadLetter.sent_seq, holds.deleted)
                )
            is_gone = picture.of_consumer(consumer, stream) is None
            await _write(session, "lost", mine if is_gone else and_(mine, is_out))
            if queue := was.get(f"{stream}/{consumer}"):
                given_up = select(GivenUp.origin_seq).where(
                    GivenUp.stream == stream, GivenUp.consumer == consumer,
                    GivenUp.origin_seq == DeadLetter.sent_seq,
                )  # fmt: skip
                is_past = and_(mine, DeadLetter.sent_seq <= queue.floor, ~given_up.exists())
                await _write(session, "handled", is_past)
    return False


BECOMES: dict[str, dict[str, object]] = {
    "handled": {"state": State.HANDLED, "settled_at": func.now()},
    "lost": {"state": State.WAITING},
    "returned": {},
}
"""Outcome of a dead letter that was sent -> what changes of it."""


async def _write(session: AsyncSession, outcome: str, which: ColumnElement[bool]) -> None:
    """Writes down what has become of dead letters that were sent: in their replays, and of themselves."""
    sent = select(DeadLetter.dead_letter_id).join(
        ReplayDeadLetter, ReplayDeadLetter.dead_letter_id == DeadLetter.dead_letter_id
    )
    ids = (await session.scalars(sent.where(ReplayDeadLetter.outcome == "sent", which))).all()
    if not ids:
        return
    mine = update(ReplayDeadLetter).where(
        among(ReplayDeadLetter.dead_letter_id, ids), ReplayDeadLetter.outcome == "sent"
    )
    if becomes := BECOMES[outcome]:
        await session.execute(
            update(DeadLetter).where(among(DeadLetter.dead_letter_id, ids), which).values(**becomes)
        )
    await session.execute(mine.values(outcome=outcome))
