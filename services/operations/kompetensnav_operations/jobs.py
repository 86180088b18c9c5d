"""Because time passed: looking, reading on, replaying, keeping, judging and telling."""

from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from fastapi import FastAPI
from sqlalchemy import select, text

from kompetensnav_chassis.app import Job
from kompetensnav_chassis.db import Scope, transaction
from kompetensnav_operations.actions import alerts, history, pauses, sending, snapshot
from kompetensnav_operations.actions.audit import console
from kompetensnav_operations.actions.event_reader import read_on
from kompetensnav_operations.actions.snapshot import Board
from kompetensnav_operations.domain.alerts import judge
from kompetensnav_operations.edges import texts
from kompetensnav_operations.edges.broker import AWAY, Broker, Refused
from kompetensnav_operations.edges.notices import AlertMessage, Failed
from kompetensnav_operations.tables import Alert, Notice

log = structlog.get_logger()
LOCK = 7_313
"""Key of the advisory lock of whoever judges: one instance at a time."""


def _board(app: FastAPI) -> Board:
    board: Board = app.state.board
    if board.broker is None and app.state.relay is not None:
        board.broker = Broker(app.state.broker.config.connection_state.connection)
    return board


async def look(app: FastAPI) -> bool:
    """Makes the picture; at the first time what was kept is shown until there is a new one."""
    board = _board(app)
    if not board.known and not board.picture.queues:
        try:
            await snapshot.recall(board, app.state.sessions)
        except Exception as away:
            log.warning("nothing_recalled", error=type(away).__name__)
    await snapshot.look(board, app.state.sessions)
    return False


async def ask(app: FastAPI) -> bool:
    """Asks services and servers how they are."""
    await snapshot.ask_everybody(_board(app), app.state.system)
    return False


async def read(app: FastAPI) -> bool:
    """Reads every stream on."""
    board = _board(app)
    if board.broker is None or "broker" in board.faults:
        return False
    try:
        return await read_on(app.state.sessions, board.broker, board.picture.streams, board.names, board.read)
    except (*AWAY, Refused) as away:
        log.warning("stream_not_read", error=type(away).__name__)
        return False


async def replay(app: FastAPI) -> bool:
    """Sends what is to be replayed."""
    board = _board(app)
    if board.broker is None or not board.broker.is_there or not board.is_live:
        return False
    try:
        return await sending.send(app.state.sessions, board)
    except (*AWAY, Refused) as away:
        log.warning("replay_waits", error=type(away).__name__)
        return False


async def keep(app: FastAPI) -> bool:
    """Keeps the picture and, once a minute, a sample of each queue; enters pauses that are over."""
    board = _board(app)
    if {"broker", "database"} & board.faults.keys() or not board.picture.streams:
        return False
    now = datetime.now(UTC)
    await snapshot.keep(board, app.state.sessions)
    async with transaction(app.state.sessions, Scope()) as session:
        await history.sample(session, board.picture, now)
        await pauses.over(session, console(board.stack), board.picture)
    return False


async def mind(app: FastAPI) -> bool:
    """Judges the picture; enters what begins and ends."""
    board = _board(app)
    if "broker" in board.faults or not board.picture.streams:
        return False
    channels = list(app.state.channels)
    async with transaction(app.state.sessions, Scope()) as session:
        if not await session.scalar(text("select pg_try_advisory_xact_lock(:key)"), {"key": LOCK}):
            return False
        died = await alerts.died(session)
        before = await alerts.before(session)
        repeats = alerts.repeats(board.picture.queues, await alerts.failed(session), before)
        findings = judge(board.picture, snapshot.recent(board, died, repeats))
        if await alerts.enter_findings(session, findings, channels, datetime.now(UTC)):
            app.state.wake("notices")
    return False


async def notices(app: FastAPI) -> bool:
    """Tells one of those concerned, that is, one notice; what is not taken is tried again later. One
    transaction each, so that a kill repeats one notice at most."""
    now = datetime.now(UTC)
    async with transaction(app.state.sessions, Scope()) as session:
        due = await session.execute(
            select(Notice, Alert)
            .join(Alert, Alert.alert_id == Notice.alert_id)
            .where(Notice.sent_at.is_(None), Notice.due_at <= now)
            .order_by(Notice.due_at)
            .limit(1)
            .with_for_update(of=Notice, skip_locked=True)
        )
        if (row := due.first()) is None:
            return False
        notice, alert = row
        channel = app.state.channels.get(notice.channel)
        try:
            if channel is not None:  # else it is not used any more
                await channel.send(_message(app, notice, alert))
            notice.sent_at = now
        except Exception as why:  # whatever it is, the others are sent
            notice.attempts += 1
            wait = alerts.AGAIN[min(notice.attempts, len(alerts.AGAIN)) - 1]
            notice.due_at = now + timedelta(seconds=wait)
            reason = str(why) if isinstance(why, Failed) else type(why).__name__
            log.warning("alert_not_sent", channel=notice.channel, why=reason, again_in=wait)
    return True


def _message(app: FastAPI, notice: Notice, alert: Alert) -> AlertMessage:
    at: Any = alert.began_at if notice.event == "began" else alert.ended_at
    return AlertMessage(
        alert_id=alert.alert_id,
        event=notice.event,
        stack=app.state.stack,
        rule=alert.rule,
        target=alert.target,
        value=alert.value,
        limit=alert.limit,
        at=at,
        title=texts.alert_title(notice.event, app.state.stack, alert.rule, alert.target),
        runbook=f"{app.state.home}/runbooks/{alert.rule}",
    )


async def prune(app: FastAPI) -> bool:
    """Forgets what is too old."""
    async with transaction(app.state.sessions, Scope()) as session:
        await history.prune(session, datetime.now(UTC))
    return False


JOBS = (
    Job("look", 0.9, look),
    Job("ask", 1.5, ask),
    Job("read", 0.5, read),
    Job("replay", 0.5, replay),
    Job("keep", 10, keep),
    Job("mind", 2, mind),
    Job("notices", 5, notices),
    Job("prune", 3600, prune),
)
