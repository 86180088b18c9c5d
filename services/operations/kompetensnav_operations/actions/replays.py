"""Replay: dead letters are given to the consumer that failed, and to no other, as they were.
They are planned, begun and stopped here, and sent by `sending`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_chassis.errors import Conflict, Forbidden
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.operations import LetterReplayed
from kompetensnav_operations.actions.audit import Who, enter
from kompetensnav_operations.actions.dead_letters import MOST, Selection, chosen, target
from kompetensnav_operations.domain.dead_letters import CANARY, Standing, State, hindrance
from kompetensnav_operations.domain.picture import Picture
from kompetensnav_operations.edges.broker import Held
from kompetensnav_operations.edges.roles import EDIT
from kompetensnav_operations.tables import (
    Correction,
    DeadLetter,
    Replay,
    ReplayDeadLetter,
)

ENDED = ("done", "stopped")
SENT = ("sent", "handled", "returned")


@dataclass(frozen=True)
class Plan:
    """A dry run: how many dead letters would be sent, how many not and why, and to which consumers."""

    replay_id: UUID
    eligible: int
    hindered: Mapping[str, int]
    consumers: Mapping[str, int]
    failed_again: int
    """Eligible dead letters that are themselves the end of a replay."""
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
    """Chooses the dead letters and writes them down; nothing is sent. `held`: what the stream of dead letters
    holds. Raises Conflict for too many."""
    rows = (await session.scalars(chosen(selection).limit(MOST + 1))).all()
    if len(rows) > MOST:
        raise Conflict(
            f"More than {MOST} dead letters fit; choose fewer.",
            f"Fler än {MOST} meddelanden passar; välj färre.",
        )
    outcomes = {row.dead_letter_id: hindrance_of(row, picture, row.seq in held) for row in rows}
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
            {"replay_id": id, "dead_letter_id": dead_letter, "outcome": why or None}
            for dead_letter, why in outcomes.items()
        ]
        await session.execute(insert(ReplayDeadLetter), values)
    fit = [row for row in rows if not outcomes[row.dead_letter_id]]
    consumers = {(row.consumer, row.stream) for row in fit}
    queues = [queue for name, stream in consumers if (queue := picture.of_consumer(name, stream))]
    return Plan(
        replay_id=id,
        eligible=len(fit),
        hindered=_counted(why for why in outcomes.values() if why),
        consumers=_counted(row.consumer for row in fit),
        failed_again=sum(1 for row in fit if row.came_of),
        paused=sorted(queue.name for queue in queues if queue.paused),
    )


def _counted(values: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def hindrance_of(dead_letter: DeadLetter, picture: Picture, is_there: bool, is_taken: bool = False) -> str:
    """Why it cannot be sent. `is_taken`: by the very replay that is about to send it."""
    state = State.WAITING if is_taken else dead_letter.state
    return hindrance(Standing(state, is_there), picture.of_consumer(dead_letter.consumer, dead_letter.stream))


async def begin(session: AsyncSession, who: Who, replay_id: UUID) -> Replay:
    """Has a planned replay sent. Raises Conflict when it is begun already, or nothing is left to send, and
    Forbidden for an edited dead letter that they may not edit."""
    replay = await locked(session, replay_id)
    await _may(session, who, replay_id)
    if replay.state != "planned":
        raise Conflict("This replay has begun already.", "Omsändningen är redan påbörjad.")
    left = await _left(session, replay_id)
    if not left:
        raise Conflict("No dead letter of it can be replayed.", "Inget av meddelandena kan skickas igen.")
    selection = Selection.of(replay.selection)
    number = await enter(
        session, who, "replay", target(selection), reason=replay.reason, dead_letters=left, rate=replay.rate,
        replay=str(replay_id), selection=selection.said,
    )  # fmt: skip
    said = LetterReplayed(act_id=replay_id, audit_number=number, letters=left)
    tell(session, said, municipality=who.stack, revision=1)
    replay.state, replay.began_at, replay.by = "canary", datetime.now(UTC), who.subject[:200]
    return replay


async def go_on(session: AsyncSession, who: Who, replay_id: UUID) -> Replay:
    """Has a stopped replay go on: with its canary, when somebody had stopped that; with the rest in spite of
    its canary otherwise. Raises Conflict, and Forbidden."""
    replay = await locked(session, replay_id)
    await _may(session, who, replay_id)
    left = await _left(session, replay_id, "refused")
    if replay.state != "stopped" or not left:
        raise Conflict("There is nothing to go on with.", "Det finns inget att fortsätta med.")
    await enter(session, who, "replay-on", f"replay {replay_id}", reason=replay.reason)
    again = update(ReplayDeadLetter).where(
        ReplayDeadLetter.replay_id == replay_id, ReplayDeadLetter.outcome == "refused"
    )
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
        raise Forbidden(
            "Only a corrector may send what is edited.", "Bara den som får redigera får skicka det."
        )


async def stop(session: AsyncSession, who: Who, replay_id: UUID, why: str = "asked") -> Replay:
    """Sends no more of it. Raises Conflict when it has ended."""
    replay = await locked(session, replay_id)
    if replay.state in ENDED:
        raise Conflict("This replay has ended.", "Omsändningen är redan avslutad.")
    await enter(session, who, "replay-stop", f"replay {replay_id}", reason=why)
    replay.state, replay.stopped_why, replay.ended_at = "stopped", why, datetime.now(UTC)
    return replay


async def locked(session: AsyncSession, replay_id: UUID) -> Replay:
    """The replay, locked. Raises Conflict when there is none."""
    found = await session.get(Replay, replay_id, with_for_update=True)
    if found is None:
        raise Conflict("There is no such replay.", "Det finns ingen sådan omsändning.")
    return found


async def _left(session: AsyncSession, replay_id: UUID, *also: str) -> int:
    is_left = or_(ReplayDeadLetter.outcome.is_(None), ReplayDeadLetter.outcome.in_(also))
    rows = select(func.count()).where(ReplayDeadLetter.replay_id == replay_id, is_left)
    return await session.scalar(rows) or 0


async def outcomes(session: AsyncSession, replay_id: UUID) -> dict[str, int]:
    """Outcome -> dead letters of a replay; `left` for those without one."""
    rows = await session.execute(
        select(func.coalesce(ReplayDeadLetter.outcome, "left"), func.count())
        .where(ReplayDeadLetter.replay_id == replay_id)
        .group_by(ReplayDeadLetter.outcome)
    )
    return {outcome: n for outcome, n in rows}
