"""What is: the overview, a queue, the map; each goes on showing while somebody looks."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import HTMLResponse, RedirectResponse

from kompetensnav_chassis.errors import Problem
from kompetensnav_chassis.identity import Identity
from kompetensnav_operations.actions import alerts, audit, dead_letters, history, pauses
from kompetensnav_operations.actions.console import Console, TheConsole
from kompetensnav_operations.actions.dead_letters import Selection
from kompetensnav_operations.actions.snapshot import by_stream
from kompetensnav_operations.domain.picture import Picture, Queue
from kompetensnav_operations.edges.roles import Admin, Operator, Viewer
from kompetensnav_operations.pages.drawing import chart, draw
from kompetensnav_operations.pages.shown import live_block, pieces, problem, render
from kompetensnav_operations.tables import Pause, Sample

router = APIRouter(include_in_schema=False)
GROUPS = 8
"""Causes that the overview names."""


@router.get("/")
async def overview(request: Request, me: Viewer, console: TheConsole) -> HTMLResponse:
    """What needs attention, and every queue."""
    values = await _overview(console)
    return render(request, "overview.html", me, here="overview", live=True, **values)


async def _overview(console: Console) -> dict[str, Any]:
    picture = console.board.picture
    found: dict[str, Any] = {"alerts": (), "groups": (), "lines": {}}
    if "database" not in picture.faults:
        try:
            async with console.begin() as session:
                found["alerts"] = await alerts.open_now(session)
                found["groups"] = await dead_letters.groups(session, Selection(), GROUPS)
                found["lines"] = await history.last(session)
        except Exception:  # it is said on the page that the database does not answer
            picture = _without_database(picture)
    found["lines"] = {q.key: _rates(found["lines"].get(q.key, ()) or [q]) for q in picture.queues}
    return found | {"picture": picture, "streams": by_stream(picture.queues), "age": console.board.age}


def _rates(samples: Sequence[Sample | Queue]) -> tuple[str, str]:
    """The lines of what came in and of what was answered, on one scale."""
    came, went = ([getattr(each, name) for each in samples] for name in ("rate_in", "rate_out"))
    most = max([*came, *went, 0.1])
    return chart(came, 120, 22, most), chart(went, 120, 22, most)


def _without_database(picture: Picture) -> Picture:
    return replace(picture, faults={**picture.faults, "database": "away"})


@router.get("/live/overview", response_class=EventSourceResponse)
async def live_overview(request: Request, me: Viewer, console: TheConsole) -> AsyncIterator[ServerSentEvent]:
    """The overview, whenever it changes."""

    async def made(_: Picture) -> str:
        return live_block(request, "overview.html", me, **await _overview(console))

    async for piece in pieces(console.board, made):
        yield piece


@router.get("/queues/{stream}/{consumer}")
async def show_queue(
    request: Request,
    me: Viewer,
    console: TheConsole,
    stream: str,
    consumer: str,
    hours: Annotated[int, Query(ge=1, le=336)] = 1,
) -> HTMLResponse:
    """One queue, its history, and pausing it."""
    return await _queue_page(request, me, console, console.queue(stream, consumer), hours)


async def _queue_page(
    request: Request, me: Identity, console: Console, queue: Queue, hours: int, refused: Any = None
) -> HTMLResponse:
    samples: Sequence[Sample] = ()
    if "database" not in console.board.faults:
        async with console.begin() as session:
            samples = await history.of(session, queue.key, timedelta(hours=hours))
    values = await _queue(console, queue)
    return render(
        request, "queue.html", me, live=True, samples=samples, span_hours=hours,
        chart=chart([s.waiting for s in samples], 600, 116),
        most=max((s.waiting for s in samples), default=0),
        problem=problem(request, refused) if refused else None,
        status=getattr(refused, "status", 200), **values,
    )  # fmt: skip


async def _queue(console: Console, queue: Queue) -> dict[str, Any]:
    pause = None
    if queue.paused and "database" not in console.board.faults:
        async with console.begin() as session:
            pause = await session.get(Pause, (queue.stream, queue.name))
    return {"q": queue, "picture": console.board.picture, "age": console.board.age, "pause": pause}


@router.get("/live/queues/{stream}/{consumer}", response_class=EventSourceResponse)
async def live_queue(
    request: Request, me: Viewer, console: TheConsole, stream: str, consumer: str
) -> AsyncIterator[ServerSentEvent]:
    """The queue, whenever it changes."""

    async def made(picture: Picture) -> str:
        queue = picture.queue(stream, consumer)
        return live_block(request, "queue.html", me, **await _queue(console, queue)) if queue else ""

    async for piece in pieces(console.board, made):
        yield piece


Why = Annotated[str, Form(min_length=3, max_length=500)]


@router.post("/queues/{stream}/{consumer}/pause")
async def pause(
    request: Request,
    me: Operator,
    console: TheConsole,
    stream: str,
    consumer: str,
    minutes: Annotated[int, Form(ge=1, le=10_080)],
    why: Why,
) -> Any:
    """Gives a consumer nothing for a while."""
    queue = console.queue(stream, consumer)
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    try:
        broker = console.broker
        async with console.begin() as session:
            await pauses.pause(session, broker, console.who(me), queue, until, why)
    except Problem as refused:
        return await _queue_page(request, me, console, queue, 1, refused)
    await console.look_again()
    return RedirectResponse(f"/queues/{stream}/{consumer}", 303)


@router.post("/queues/{stream}/{consumer}/resume")
async def resume(
    request: Request, me: Operator, console: TheConsole, stream: str, consumer: str, why: Why
) -> Any:
    """Lets it go on."""
    queue = console.queue(stream, consumer)
    try:
        broker = console.broker
        async with console.begin() as session:
            await pauses.resume(session, broker, console.who(me), queue, why)
    except Problem as refused:
        return await _queue_page(request, me, console, queue, 1, refused)
    await console.look_again()
    return RedirectResponse(f"/queues/{stream}/{consumer}", 303)


@router.post("/forget")
async def forget(
    me: Admin, console: TheConsole, name: Annotated[str, Form(max_length=200)]
) -> RedirectResponse:
    """Stops watching what is gone for good."""
    known = console.board.known
    if [key for key in (name, f"link:{name}") if known.pop(key, None)]:
        async with console.begin() as session:
            await audit.enter(session, console.who(me), "forget", name)
    return RedirectResponse("/", 303)


@router.get("/map")
async def show_map(request: Request, me: Viewer, console: TheConsole) -> HTMLResponse:
    """Streams, consumers and services as a picture, and as a table."""
    picture = console.board.picture
    queues = by_stream(picture.queues)
    streams = sorted(picture.streams, key=lambda s: s.name)
    listeners = {d: i.service for i in picture.instances for d in i.durables}
    return render(
        request, "map.html", me, here="map", picture=picture, age=console.board.age, listeners=listeners,
        drawn=draw(picture, queues, listeners),
        table=[{"stream": s, "queues": queues.get(s.name, [])} for s in streams],
    )  # fmt: skip
