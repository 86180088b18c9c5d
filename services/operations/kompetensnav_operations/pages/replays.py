"""Replays: the dry run, the canary, the rest, and what came of it."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy import func, select
from starlette.responses import HTMLResponse, RedirectResponse

from kompetensnav_chassis.errors import Forbidden, NotFound, Problem
from kompetensnav_chassis.identity import Identity
from kompetensnav_operations.actions import replays
from kompetensnav_operations.actions.console import Console, TheConsole
from kompetensnav_operations.domain.picture import Picture
from kompetensnav_operations.edges.roles import Operator, Viewer
from kompetensnav_operations.pages.shown import live_block, pieces, problem, render
from kompetensnav_operations.tables import DeadLetter, Replay, ReplayDeadLetter

router = APIRouter(include_in_schema=False)
STEPS = {"planned": "dry", "canary": "canary", "running": "rest", "stopped": "result", "done": "result"}


@router.get("/replays")
async def list_replays(request: Request, me: Viewer, console: TheConsole) -> HTMLResponse:
    """The last hundred."""
    async with console.begin() as session:
        rows = await session.scalars(select(Replay).order_by(Replay.made_at.desc()).limit(100))
        found = [(row, await replays.outcomes(session, row.replay_id)) for row in rows.all()]
    return render(request, "replays.html", me, here="replays", rows=found)


@router.get("/replays/{replay_id}")
async def show_replay(request: Request, me: Viewer, console: TheConsole, replay_id: UUID) -> HTMLResponse:
    """One of them."""
    return await _page(request, me, console, replay_id)


async def _page(
    request: Request, me: Identity, console: Console, replay_id: UUID, refused: Any = None
) -> HTMLResponse:
    values = await _values(console, replay_id)
    return render(
        request, "replay.html", me, here="replays", live=values["replay"].state in ("canary", "running"),
        problem=problem(request, refused) if refused else None, status=getattr(refused, "status", 200),
        **values,
    )  # fmt: skip


async def _values(console: Console, replay_id: UUID) -> dict[str, Any]:
    async with console.begin() as session:
        replay = await session.get(Replay, replay_id)
        if replay is None:
            raise NotFound("There is no such replay.", "Det finns ingen sådan omsändning.")
        outcomes = await replays.outcomes(session, replay_id)
        consumers = await session.execute(
            select(DeadLetter.consumer, func.count(), func.count(DeadLetter.came_of))
            .join(ReplayDeadLetter, ReplayDeadLetter.dead_letter_id == DeadLetter.dead_letter_id)
            .where(ReplayDeadLetter.replay_id == replay_id)
            .group_by(DeadLetter.consumer)
            .order_by(func.count().desc())
        )
        rows = list(consumers)
    total = sum(outcomes.values())
    paused = {queue.name for queue in console.board.picture.queues if queue.paused}
    return {
        "replay": replay,
        "outcomes": outcomes,
        "step": STEPS[replay.state],
        "consumers": {name: n for name, n, _ in rows},
        "paused": sorted(paused & {name for name, *_ in rows}),
        "failed_again": sum(n for _, _, n in rows),
        "total": total,
        "done": total - outcomes.get("left", 0) - outcomes.get("sent", 0),
    }


@router.get("/live/replays/{replay_id}", response_class=EventSourceResponse)
async def live_replay(
    request: Request, me: Viewer, console: TheConsole, replay_id: UUID
) -> AsyncIterator[ServerSentEvent]:
    """It, until it has ended."""
    ended = False

    async def made(_: Picture) -> str:
        nonlocal ended
        if ended:
            return ""
        values = await _values(console, replay_id)
        ended = values["replay"].state in replays.ENDED
        return live_block(request, "replay.html", me, **values)

    async for piece in pieces(console.board, made):
        yield piece


@router.post("/replays/{replay_id}/begin")
async def begin(request: Request, me: Operator, console: TheConsole, replay_id: UUID) -> Any:
    """Sends the canary."""
    return await _act(request, me, console, replay_id, replays.begin)


@router.post("/replays/{replay_id}/stop")
async def stop(request: Request, me: Operator, console: TheConsole, replay_id: UUID) -> Any:
    """Sends no more."""
    return await _act(request, me, console, replay_id, replays.stop)


@router.post("/replays/{replay_id}/go-on")
async def go_on(request: Request, me: Operator, console: TheConsole, replay_id: UUID) -> Any:
    """Sends the rest in spite of the canary."""
    return await _act(request, me, console, replay_id, replays.go_on)


async def _act(request: Request, me: Identity, console: Console, replay_id: UUID, act: Any) -> Any:
    try:
        if act is not replays.stop:
            await console.held()  # said now, and not only seen later
        async with console.begin() as session:
            await act(session, console.who(me), replay_id)
    except Forbidden:  # which is entered in the audit
        raise
    except Problem as refused:
        return await _page(request, me, console, replay_id, refused)
    console.state.wake("replay")
    return RedirectResponse(f"/replays/{replay_id}", 303)
