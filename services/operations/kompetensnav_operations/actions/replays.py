"""Replay: letters are given to the consumer that failed, and to no other, as they were.

A letter is taken by one replay at a time, under its row's lock, and sent with a message id of its own
(`replay:<letter>:<n>`): whoever was killed in between sends it again, and the broker has it once. First goes
a canary; only when its letters are handled does the rest follow, no faster than the rate.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_chassis.db import Scope, Sessions, transaction
from kompetensnav_chassis.errors import Conflict
from kompetensnav_chassis.failpoints import failpoint
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.operations import LetterReplayed
from kompetensnav_operations.actions.audit import Who, console, enter
from kompetensnav_operations.actions.letters import MOST, Selection, chosen, target
from kompetensnav_operations.actions.reading import COME_OF
from kompetensnav_operations.domain.letters import CANARY, Standing, State, hindrance, way
from kompetensnav_operations.domain.picture import Picture, Queue
from kompetensnav_operations.edges.broker import Broker, Stored
from kompetensnav_operations.tables import Bookmark, Correction, Letter, Replay, ReplayLetter

AT_ONCE = 50
"""Letters sent in one turn of the job, at most."""
CANARY_PATIENCE = 120.0
"""Seconds that the canary may take to be handled."""
ENDED = ("done", "stopped")


@dataclass(frozen=True)
class Plan:
    """A dry run: how many letters would be sent, how many not and why, and to which consumers."""

    replay_id: UUID
    eligible: int
    hindered: Mapping[str, int]
    consumers: Mapping[str, int]
    boomerangs: int
    """Eligible letters that are themselves the end of a replay."""


async def plan(
    session: AsyncSession, who: Who, picture: Picture, selection: Selection, reason: str, rate: int
) -> Plan:
    """Chooses the letters and writes them down; nothing is sent. Raises Conflict for too many."""
    rows = (await session.scalars(chosen(selection).limit(MOST + 1))).all()
    if len(rows) > MOST:
        raise Conflict(
            f"More than {MOST} letters fit; choose fewer.", f"Fler än {MOST} brev passar; välj färre."
        )
    outcomes = {row.letter_id: _hindrance(row, picture) for row in rows}
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
    return Plan(
        replay_id=id,
        eligible=len(fit),
        hindered=_counted(why for why in outcomes.values() if why),
        consumers=_counted(row.consumer for row in fit),
        boomerangs=sum(1 for row in fit if row.came_of),
    )


def _counted(values: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _hindrance(letter: Letter, picture: Picture, is_there: bool = True) -> str:
    return hindrance(Standing(letter.state, is_there), picture.of_consumer(letter.consumer, letter.stream))


async def begin(session: AsyncSession, who: Who, replay_id: UUID) -> Replay:
    """Has a planned replay sent. Raises Conflict when it is begun already, or nothing is left to send."""
    replay = await _locked(session, replay_id)
    if replay.state != "planned":
        raise Conflict("This replay has begun already.", "Omspelningen är redan påbörjad.")
    left = await _left(session, replay_id)
    if not left:
        raise Conflict("No letter of it can be replayed.", "Inget av breven kan spelas om.")
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
    """Has a stopped replay go on with the rest, in spite of its canary. Raises Conflict."""
    replay = await _locked(session, replay_id)
    if replay.state != "stopped" or not await _left(session, replay_id):
        raise Conflict("There is nothing to go on with.", "Det finns inget att fortsätta med.")
    await enter(session, who, "replay-on", f"replay {replay_id}", reason=replay.reason)
    replay.state, replay.stopped_why, replay.ended_at = "running", None, None
    return replay


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
        raise Conflict("There is no such replay.", "Det finns ingen sådan omspelning.")
    return found


async def _left(session: AsyncSession, replay_id: UUID) -> int:
    rows = select(func.count()).where(ReplayLetter.replay_id == replay_id, ReplayLetter.outcome.is_(None))
    return await session.scalar(rows) or 0


async def outcomes(session: AsyncSession, replay_id: UUID) -> dict[str, int]:
    """Outcome -> letters of a replay; `left` for those without one."""
    rows = await session.execute(
        select(func.coalesce(ReplayLetter.outcome, "left"), func.count())
        .where(ReplayLetter.replay_id == replay_id)
        .group_by(ReplayLetter.outcome)
    )
    return {outcome: n for outcome, n in rows}


async def send(sessions: Sessions, broker: Broker, picture: Picture, dead: str, stack: str) -> bool:
    """A turn of every replay that is under way; True when there is more to do at once."""
    async with transaction(sessions, Scope()) as session:
        under_way = (
            await session.scalars(
                select(Replay).where(Replay.state.in_(("canary", "running"))).order_by(Replay.began_at)
            )
        ).all()
    more = False
    for replay in under_way:
        await _settle(sessions, broker, replay.replay_id, picture, dead)
        more |= await _turn(sessions, broker, picture, dead, replay, stack)
    return more


async def _turn(
    sessions: Sessions, broker: Broker, picture: Picture, dead: str, replay: Replay, stack: str
) -> bool:
    async with transaction(sessions, Scope()) as session:
        found = await outcomes(session, replay.replay_id)
    sent = sum(n for outcome, n in found.items() if outcome in ("sent", "handled", "returned"))
    state, why = _next(replay, found, sent)
    if state != replay.state:
        async with transaction(sessions, Scope()) as session:
            row = await _locked(session, replay.replay_id)
            if row.state != replay.state:  # somebody was quicker
                return True
            row.state, row.stopped_why = state, why or None
            if state in ENDED:
                row.ended_at = datetime.now(UTC)
                result = {"done": "done", "stopped": "stopped"}[state]
                await enter(
                    session, console(stack), "replay-end", f"replay {replay.replay_id}", reason=why,
                    result=result, outcomes=found,
                )  # fmt: skip
        return True
    quota = CANARY - sent if replay.state == "canary" else AT_ONCE
    if quota <= 0 or not found.get("left"):
        return False
    began = time.monotonic()
    done = await _some(sessions, broker, picture, dead, replay, min(quota, max(1, replay.rate // 5)))
    if done:
        pause = done / replay.rate - (time.monotonic() - began)
        await asyncio.sleep(max(0.0, pause))
    return bool(done)


def _next(replay: Replay, found: Mapping[str, int], sent: int) -> tuple[str, str]:
    """The state that a replay should be in, and why it stops."""
    if replay.state == "canary":
        if found.get("returned"):
            return "stopped", "canary-returned"
        if found.get("handled", 0) and found.get("handled", 0) == sent and (
            sent >= CANARY or not found.get("left")
        ):  # fmt: skip
            return ("running" if found.get("left") else "done"), ""
        if not found.get("left") and not sent:
            return "done", ""
        began = replay.began_at or replay.made_at
        if sent and (datetime.now(UTC) - began).total_seconds() > CANARY_PATIENCE:
            return "stopped", "canary-slow"
        return "canary", ""
    if not found.get("left") and not found.get("sent"):
        return "done", ""
    return "running", ""


async def _some(
    sessions: Sessions, broker: Broker, picture: Picture, dead: str, replay: Replay, most: int
) -> int:
    """Sends some letters; returns how many were settled one way or another."""
    async with transaction(sessions, Scope()) as session:
        rows = await session.scalars(
            select(ReplayLetter.letter_id)
            .where(ReplayLetter.replay_id == replay.replay_id, ReplayLetter.outcome.is_(None))
            .order_by(ReplayLetter.letter_id)
            .limit(most)
        )
        ids = rows.all()
    for id in ids:
        await _one(sessions, broker, picture, dead, replay.replay_id, id)
    return len(ids)


async def _one(
    sessions: Sessions, broker: Broker, picture: Picture, dead: str, replay_id: UUID, letter_id: int
) -> None:
    """Takes a letter, sends it, and writes down that it is sent. Each step may be the last one of this
    process: the next one begins with a letter that is taken already, and sends it with the same id."""
    async with transaction(sessions, Scope()) as session:
        letter = await session.get(Letter, letter_id, with_for_update=True)
        mine = await session.get(ReplayLetter, (replay_id, letter_id), with_for_update=True)
        state = await session.scalar(select(Replay.state).where(Replay.replay_id == replay_id))
        if letter is None or mine is None or mine.outcome is not None or state in ENDED:
            return
        is_mine = letter.state == State.TAKEN and letter.replay_id == replay_id
        original = await broker.message(dead, letter.seq)
        if not is_mine:
            if why := _hindrance(letter, picture, _is_it(original, letter)):
                mine.outcome = why
                return
            letter.state, letter.replay_id, letter.replays = State.TAKEN, replay_id, letter.replays + 1
        corrected = await session.scalar(
            select(Correction).where(Correction.letter_id == letter_id, Correction.sent_seq.is_(None))
        )
    failpoint("operations.replay.taken")
    queue = picture.of_consumer(letter.consumer, letter.stream)
    if original is None or queue is None or not queue.door:
        await _put_back(sessions, replay_id, letter_id, "gone" if original is None else "no-door")
        return
    seq = await _publish(broker, letter, original, queue, corrected)
    failpoint("operations.replay.sent")
    async with transaction(sessions, Scope()) as session:
        await session.execute(
            update(Letter)
            .where(Letter.letter_id == letter_id, Letter.state == State.TAKEN)
            .values(state=State.REPLAYED, sent_at=func.now(), sent_seq=seq)
        )
        mine_now = update(ReplayLetter).where(
            ReplayLetter.replay_id == replay_id, ReplayLetter.letter_id == letter_id
        )
        await session.execute(mine_now.values(outcome="sent"))
        if corrected is not None:
            sent = update(Correction).where(Correction.event_id == corrected.event_id)
            await session.execute(sent.values(sent_seq=seq, body=None))


def _is_it(original: Stored | None, letter: Letter) -> bool:
    """Whether the message in the stream of dead letters is the letter, and not another one's in a stream
    made anew."""
    return original is not None and original.header("Kn-Dead-Seq") in (str(letter.origin_seq), "")


async def _put_back(sessions: Sessions, replay_id: UUID, letter_id: int, why: str) -> None:
    async with transaction(sessions, Scope()) as session:
        letter = update(Letter).where(Letter.letter_id == letter_id)
        await session.execute(letter.values(state=State.WAITING))
        mine = update(ReplayLetter).where(
            ReplayLetter.replay_id == replay_id, ReplayLetter.letter_id == letter_id
        )
        await session.execute(mine.values(outcome=why))


async def _publish(
    broker: Broker, letter: Letter, original: Stored, queue: Queue, corrected: Correction | None
) -> int:
    headers: dict[str, str] = dict(corrected.headers) if corrected else original.headers
    body = corrected.body if corrected and corrected.body is not None else original.data
    kept = {k: v for k, v in headers.items() if not k.lower().startswith(("kn-dead-", "nats-"))}
    kept |= {
        "Nats-Msg-Id": f"replay:{letter.letter_id}:{letter.replays}",
        COME_OF: str(letter.letter_id),
    }
    seq, _ = await broker.publish(way(queue, letter.subject), body, kept)
    return seq


async def _settle(sessions: Sessions, broker: Broker, replay_id: UUID, picture: Picture, dead: str) -> None:
    """What has become of the letters that are sent: handled, when their consumer has answered everything up
    to them and they are no new letter; returned, when they are. Whether they are is known only when every
    letter has been read that there was after the picture."""
    last = await broker.last(dead)
    async with transaction(sessions, Scope()) as session:
        read = await session.scalar(select(Bookmark.seq).where(Bookmark.stream == dead))
        if last > (read or 0):
            return
        rows = (
            await session.scalars(
                select(Letter)
                .join(ReplayLetter, ReplayLetter.letter_id == Letter.letter_id)
                .where(ReplayLetter.replay_id == replay_id, ReplayLetter.outcome == "sent")
            )
        ).all()
        for outcome, ids in _settled(rows, picture).items():
            if outcome == "handled":
                handled = update(Letter).where(Letter.letter_id.in_(ids), Letter.state == State.REPLAYED)
                await session.execute(handled.values(state=State.HANDLED, settled_at=func.now()))
            mine = update(ReplayLetter).where(
                ReplayLetter.replay_id == replay_id, ReplayLetter.letter_id.in_(ids)
            )
            await session.execute(mine.values(outcome=outcome))


LAG = 1.5
"""Seconds after its consumer has answered until a message can be taken to be no new letter."""


def _settled(rows: Sequence[Letter], picture: Picture) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for letter in rows:
        queue = picture.of_consumer(letter.consumer, letter.stream)
        if letter.state == State.RETURNED:
            found.setdefault("returned", []).append(letter.letter_id)
        elif queue and letter.sent_seq and letter.sent_at and queue.floor >= letter.sent_seq:
            if (picture.at - letter.sent_at).total_seconds() > LAG:
                found.setdefault("handled", []).append(letter.letter_id)
    return found
