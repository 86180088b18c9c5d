"""Replay: letters are given to the consumer that failed, and to no other, as they were.

A letter is taken by one replay at a time, under its row's lock, and sent with a message id of its own:
whoever was killed in between sends it again, and the broker has it once. First goes a canary; only when its
letters are handled does the rest follow, no faster than the rate.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import nats.errors
import structlog
import uuid_utils.compat as uuids
from sqlalchemy import ColumnElement, and_, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_chassis.db import Scope, Sessions, transaction
from kompetensnav_chassis.errors import Conflict, Forbidden
from kompetensnav_chassis.failpoints import failpoint
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.operations import LetterReplayed
from kompetensnav_operations.actions.audit import Who, console, enter
from kompetensnav_operations.actions.event_reader import COME_OF, original
from kompetensnav_operations.actions.letters import MOST, Selection, chosen, target
from kompetensnav_operations.actions.snapshot import Board
from kompetensnav_operations.domain.letters import CANARY, Standing, State, hindrance, way
from kompetensnav_operations.domain.picture import Picture, Queue
from kompetensnav_operations.edges.broker import AWAY, Broker, Held, Refused, Stored
from kompetensnav_operations.edges.roles import EDIT
from kompetensnav_operations.tables import (
    Bookmark,
    Correction,
    GivenUp,
    Letter,
    Replay,
    ReplayLetter,
    among,
)

log = structlog.get_logger()
LOCK = 7_314
"""Key of the advisory lock of whoever sends."""
AT_ONCE = 50
"""Letters sent in one turn of the job, at most."""
CANARY_PATIENCE = 1800.0
"""Seconds that the canary may take to be handled: longer than a failing message is tried again."""
TRIES = 5
"""How often a letter is sent to a broker that does not take it."""
LAG = 1.5
"""Seconds after its consumer has answered until everything is told that the server gave up then."""
UNDER_WAY = ("canary", "running")
ENDED = ("done", "stopped")
SENT = ("sent", "handled", "returned")


@dataclass(frozen=True)
class Plan:
    """A dry run: how many letters would be sent, how many not and why, and to which consumers."""

    replay_id: UUID
    eligible: int
    hindered: Mapping[str, int]
    consumers: Mapping[str, int]
    boomerangs: int
    """Eligible letters that are themselves the end of a replay."""
    paused: Sequence[str] = ()
    """Consumers among them that are paused, and hear nothing until they go on."""


async def plan(
    session: AsyncSession,
    who: Who,
    picture: Picture,
    held: Held,
    selection: Selection,
    reason: str,
    rate: int,
) -> Plan:
    """Chooses the letters and writes them down; nothing is sent. `held`: what the stream of dead letters
    holds. Raises Conflict for too many."""
    rows = (await session.scalars(chosen(selection).limit(MOST + 1))).all()
    if len(rows) > MOST:
        raise Conflict(
            f"More than {MOST} dead letters fit; choose fewer.",
            f"Fler än {MOST} meddelanden passar; välj färre.",
        )
    outcomes = {row.letter_id: _hindrance(row, picture, row.seq in held) for row in rows}
    id = uuids.uuid7()
    session.add(
        Replay(
            replay_id=id,
            by=who.subject[:200],
            reason=reason,
            selection=selection.said,
            rate=rate,
            state="planned",
        )
    )
    await session.flush()
    if outcomes:
        values = [
            {"replay_id": id, "letter_id": letter, "outcome": why or None} for letter, why in outcomes.items()
        ]
        await session.execute(insert(ReplayLetter), values)
    fit = [row for row in rows if not outcomes[row.letter_id]]
    consumers = {(row.consumer, row.stream) for row in fit}
    queues = [queue for name, stream in consumers if (queue := picture.of_consumer(name, stream))]
    return Plan(
        replay_id=id,
        eligible=len(fit),
        hindered=_counted(why for why in outcomes.values() if why),
        consumers=_counted(row.consumer for row in fit),
        boomerangs=sum(1 for row in fit if row.came_of),
        paused=sorted(queue.name for queue in queues if queue.paused),
    )


def _counted(values: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _hindrance(letter: Letter, picture: Picture, is_there: bool, is_taken: bool = False) -> str:
    """Why it cannot be sent. `is_taken`: by the very replay that is about to send it."""
    state = State.WAITING if is_taken else letter.state
    return hindrance(Standing(state, is_there), picture.of_consumer(letter.consumer, letter.stream))


async def begin(session: AsyncSession, who: Who, replay_id: UUID) -> Replay:
    """Has a planned replay sent. Raises Conflict when it is begun already, or nothing is left to send, and
    Forbidden for an edited letter that they may not edit."""
    replay = await _locked(session, replay_id)
    await _may(session, who, replay_id)
    if replay.state != "planned":
        raise Conflict("This replay has begun already.", "Omspelningen är redan påbörjad.")
    left = await _left(session, replay_id)
    if not left:
        raise Conflict("No dead letter of it can be replayed.", "Inget av meddelandena kan skickas igen.")
    selection = Selection.of(replay.selection)
    number = await enter(
        session, who, "replay", target(selection), reason=replay.reason, letters=left, rate=replay.rate,
        replay=str(replay_id), selection=selection.said,
    )  # fmt: skip
    said = LetterReplayed(act_id=replay_id, audit_number=number, letters=left)
    tell(session, said, municipality=who.stack, revision=1)
    replay.state, replay.began_at, replay.by = "canary", datetime.now(UTC), who.subject[:200]
    return replay


async def go_on(session: AsyncSession, who: Who, replay_id: UUID) -> Replay:
    """Has a stopped replay go on: with its canary, when somebody had stopped that; with the rest in spite of
    its canary otherwise. Raises Conflict, and Forbidden."""
    replay = await _locked(session, replay_id)
    await _may(session, who, replay_id)
    left = await _left(session, replay_id, "refused")
    if replay.state != "stopped" or not left:
        raise Conflict("There is nothing to go on with.", "Det finns inget att fortsätta med.")
    await enter(session, who, "replay-on", f"replay {replay_id}", reason=replay.reason)
    again = update(ReplayLetter).where(ReplayLetter.replay_id == replay_id, ReplayLetter.outcome == "refused")
    await session.execute(again.values(outcome=None, tries=0))
    found = await outcomes(session, replay_id)
    is_early = replay.stopped_why == "asked" and sum(found.get(each, 0) for each in SENT) <= CANARY
    replay.state = "canary" if is_early else "running"
    replay.began_at, replay.stopped_why, replay.ended_at = datetime.now(UTC), None, None
    return replay


async def _may(session: AsyncSession, who: Who, replay_id: UUID) -> None:
    """What is edited is sent by whoever may edit."""
    edited = await session.scalar(select(Correction.event_id).where(Correction.replay_id == replay_id))
    if edited is not None and not EDIT.roles & set(who.roles):
        raise Forbidden("Only a corrector may send what is edited.", "Bara den som får rätta får skicka det.")


async def stop(session: AsyncSession, who: Who, replay_id: UUID, why: str = "asked") -> Replay:
    """Sends no more of it. Raises Conflict when it has ended."""
    replay = await _locked(session, replay_id)
    if replay.state in ENDED:
        raise Conflict("This replay has ended.", "Omspelningen är redan avslutad.")
    await enter(session, who, "replay-stop", f"replay {replay_id}", reason=why)
    replay.state, replay.stopped_why, replay.ended_at = "stopped", why, datetime.now(UTC)
    return replay


async def _locked(session: AsyncSession, replay_id: UUID) -> Replay:
    found = await session.get(Replay, replay_id, with_for_update=True)
    if found is None:
        raise Conflict("There is no such replay.", "Det finns ingen sådan omsändning.")
    return found


async def _left(session: AsyncSession, replay_id: UUID, *also: str) -> int:
    is_left = or_(ReplayLetter.outcome.is_(None), ReplayLetter.outcome.in_(also))
    rows = select(func.count()).where(ReplayLetter.replay_id == replay_id, is_left)
    return await session.scalar(rows) or 0


async def outcomes(session: AsyncSession, replay_id: UUID) -> dict[str, int]:
    """Outcome -> letters of a replay; `left` for those without one."""
    rows = await session.execute(
        select(func.coalesce(ReplayLetter.outcome, "left"), func.count())
        .where(ReplayLetter.replay_id == replay_id)
        .group_by(ReplayLetter.outcome)
    )
    return {outcome: n for outcome, n in rows}


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
                select(Replay.replay_id, Letter.letter_id)
                .join(Replay, Replay.replay_id == Letter.replay_id)
                .where(Letter.state == State.TAKEN, Replay.state.in_(ENDED))
                .limit(AT_ONCE)
            )
        ).all()
    turns: list[Callable[[], Awaitable[bool]]] = [partial(_settle, sessions, board)]
    for replay_id, letter_id in taken:  # it may be sent already, so it is sent, once more
        turns.append(partial(_finish, sessions, board, replay_id, letter_id))
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


async def _finish(sessions: Sessions, board: Board, replay_id: UUID, letter_id: int) -> bool:
    await _one(sessions, board, replay_id, letter_id)
    return False


async def _turn(sessions: Sessions, board: Board, replay: Replay) -> bool:
    async with transaction(sessions, Scope()) as session:
        found = await outcomes(session, replay.replay_id)
    sent = sum(n for outcome, n in found.items() if outcome in SENT)
    state, why = _next(replay, found, sent)
    if state != replay.state:
        async with transaction(sessions, Scope()) as session:
            row = await _locked(session, replay.replay_id)
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
    """Sends some letters; returns how many were settled one way or another. Ends with one that the broker
    does not take."""
    async with transaction(sessions, Scope()) as session:
        rows = await session.scalars(
            select(ReplayLetter.letter_id)
            .where(ReplayLetter.replay_id == replay.replay_id, ReplayLetter.outcome.is_(None))
            .order_by(ReplayLetter.letter_id)
            .limit(most)
        )
        ids = rows.all()
    for n, id in enumerate(ids):
        if not await _one(sessions, board, replay.replay_id, id):
            return n
    return len(ids)


async def _one(sessions: Sessions, board: Board, replay_id: UUID, letter_id: int) -> bool:
    """Takes a letter, sends it, and writes down that it is sent; False when the broker does not take it. Each
    step may be the last one of this process: the next one begins with a letter that is taken already, and
    sends it with the same id."""
    broker = board.ready_broker
    async with transaction(sessions, Scope()) as session:
        letter = await session.get(Letter, letter_id, with_for_update=True)
        mine = await session.get(ReplayLetter, (replay_id, letter_id), with_for_update=True)
        state = await session.scalar(select(Replay.state).where(Replay.replay_id == replay_id))
        if letter is None or mine is None or mine.outcome is not None:
            return True
        is_taken = letter.state == State.TAKEN and letter.replay_id == replay_id
        if state in ENDED and not is_taken:
            return True
        message = await original(broker, board.names.dead, letter)
        queue = board.picture.of_consumer(letter.consumer, letter.stream)
        corrected = await session.scalar(select(Correction).where(Correction.replay_id == replay_id))
        why = _hindrance(letter, board.picture, message is not None, is_taken)
        if corrected is not None and corrected.body is None:
            why = why or "withdrawn"
        if why or message is None or queue is None:
            mine.outcome = why or "gone"
            if is_taken:
                _put_back(letter)
            return True
        if not is_taken:
            letter.state, letter.replay_id, letter.replays = State.TAKEN, replay_id, letter.replays + 1
    failpoint("operations.replay.taken")
    try:
        seq = await _publish(broker, letter, message, queue, corrected)
    except (*AWAY, ValueError) as refused:
        if not broker.is_there:
            raise
        for_good = isinstance(refused, nats.errors.MaxPayloadError)
        await _refused(sessions, replay_id, letter_id, refused, TRIES if for_good else 1)
        return False
    failpoint("operations.replay.sent")
    async with transaction(sessions, Scope()) as session:
        taken = (Letter.letter_id == letter_id, Letter.state == State.TAKEN)
        replayed = update(Letter).where(*taken, Letter.replay_id == replay_id)
        await session.execute(replayed.values(state=State.REPLAYED, sent_at=func.now(), sent_seq=seq))
        mine_now = update(ReplayLetter).where(
            ReplayLetter.replay_id == replay_id, ReplayLetter.letter_id == letter_id
        )
        await session.execute(mine_now.values(outcome="sent"))
        if corrected is not None:
            sent = update(Correction).where(Correction.event_id == corrected.event_id)
            await session.execute(sent.values(sent_seq=seq, body=None))
    return True


def _put_back(letter: Letter) -> None:
    """Nobody has it any more. It keeps its number, so that the broker knows it again if it was sent."""
    letter.state, letter.replays = State.WAITING, letter.replays - 1


async def _refused(sessions: Sessions, replay_id: UUID, letter_id: int, why: Exception, tries: int) -> None:
    """Counts that the broker has not taken a letter; in the end it is left out."""
    log.warning("replay_refused", letter=letter_id, error=type(why).__name__)
    async with transaction(sessions, Scope()) as session:
        letter = await session.get(Letter, letter_id, with_for_update=True)
        mine = await session.get(ReplayLetter, (replay_id, letter_id), with_for_update=True)
        if letter is None or mine is None or (letter.state, letter.replay_id) != (State.TAKEN, replay_id):
            return
        mine.tries += tries
        if mine.tries >= TRIES:
            mine.outcome = "refused"
            _put_back(letter)


async def _publish(
    broker: Broker, letter: Letter, message: Stored, queue: Queue, corrected: Correction | None
) -> int:
    headers: dict[str, str] = dict(corrected.headers) if corrected else message.headers
    body = corrected.body if corrected and corrected.body is not None else message.data
    kept = {k: v for k, v in headers.items() if not k.lower().startswith(("kn-dead-", "nats-"))}
    death = (letter.consumer, letter.stream, letter.origin_seq, letter.died_at.timestamp(), letter.replays)
    kept |= {
        # a number of the console's own would be another letter's in a database made anew
        "Nats-Msg-Id": "r:" + hashlib.sha256(repr(death).encode()).hexdigest()[:32],
        COME_OF: str(letter.letter_id),
    }
    seq, _ = await broker.publish(way(queue, letter.subject), body, kept)
    return seq


async def _settle(sessions: Sessions, board: Board) -> bool:
    """What has become of the letters that are sent: handled, when their consumer has answered everything up
    to them and they are no new letter; returned, when they are; lost, when the stream or the consumer that
    they were sent to is no more what it was.

    Whoever puts a message aside makes the letter first. So it is none when its consumer had answered a moment
    before the picture, and everything is read of letters and of what the server gave up that was there at the
    picture, and that does not name it.
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
            select(Letter.stream, Letter.consumer)
            .where(Letter.state == State.REPLAYED)
            .group_by(Letter.stream, Letter.consumer)
        )
        consumers = [(stream, consumer) for stream, consumer in rows]
    held = {
        stream: await board.ready_broker.held(stream) if stream in last else Held(0, 0, frozenset())
        for stream in {stream for stream, _ in consumers}
    }
    async with transaction(sessions, Scope()) as session:
        await _write(session, "returned", Letter.state == State.RETURNED)
        for stream, consumer in consumers:
            mine = and_(Letter.state == State.REPLAYED, Letter.stream == stream, Letter.consumer == consumer)
            holds = held[stream]
            is_out = Letter.sent_seq > holds.last
            if holds.keeps:
                is_out = or_(is_out, Letter.sent_seq < holds.first, among(Letter.sent_seq, holds.deleted))
            is_gone = picture.of_consumer(consumer, stream) is None
            await _write(session, "lost", mine if is_gone else and_(mine, is_out))
            if queue := was.get(f"{stream}/{consumer}"):
                given_up = select(GivenUp.origin_seq).where(
                    GivenUp.stream == stream, GivenUp.consumer == consumer,
                    GivenUp.origin_seq == Letter.sent_seq,
                )  # fmt: skip
                is_past = and_(mine, Letter.sent_seq <= queue.floor, ~given_up.exists())
                await _write(session, "handled", is_past)
    return False


BECOMES: dict[str, dict[str, object]] = {
    "handled": {"state": State.HANDLED, "settled_at": func.now()},
    "lost": {"state": State.WAITING},
    "returned": {},
}
"""Outcome of a letter that was sent -> what changes of it."""


async def _write(session: AsyncSession, outcome: str, which: ColumnElement[bool]) -> None:
    """Writes down what has become of letters that were sent: in their replays, and of themselves."""
    sent = select(Letter.letter_id).join(ReplayLetter, ReplayLetter.letter_id == Letter.letter_id)
    ids = (await session.scalars(sent.where(ReplayLetter.outcome == "sent", which))).all()
    if not ids:
        return
    mine = update(ReplayLetter).where(among(ReplayLetter.letter_id, ids), ReplayLetter.outcome == "sent")
    if becomes := BECOMES[outcome]:
        await session.execute(update(Letter).where(among(Letter.letter_id, ids), which).values(**becomes))
    await session.execute(mine.values(outcome=outcome))
