"""Looking back: search, alerts with their runbooks, and the audit."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from sqlalchemy import select
from starlette.responses import HTMLResponse, RedirectResponse

from kompetensnav_chassis.errors import BadRows, NotFound
from kompetensnav_operations.actions import alerts, dead_letters
from kompetensnav_operations.actions.console import TheConsole, time_said
from kompetensnav_operations.actions.dead_letters import Selection
from kompetensnav_operations.domain.alerts import RULES
from kompetensnav_operations.domain.dead_letters import envelope, masked
from kompetensnav_operations.edges.roles import Operator, Viewer
from kompetensnav_operations.pages.shown import problem, render, words
from kompetensnav_operations.tables import Audit, DeadLetter, Seen

router = APIRouter(include_in_schema=False)


@router.get("/search")
async def search(
    request: Request,
    me: Viewer,
    console: TheConsole,
    text: Annotated[str, Query(max_length=200)] = "",
    since: Annotated[str, Query(max_length=40)] = "",
    until: Annotated[str, Query(max_length=40)] = "",
) -> HTMLResponse:
    """Events and dead letters by an id or by their time, or dead letters by words of their error."""
    text, refused = text.strip(), None
    span: list[datetime | None] = [None, None]
    try:
        span = [time_said("since", since), time_said("until", until)]
    except BadRows as bad:
        refused = bad
    events: list[Seen] = []
    found: list[DeadLetter] = []
    is_asked = refused is None and (len(text) >= 3 or (not text and any(span)))
    if is_asked:
        async with console.begin() as session:
            events = list(await dead_letters.find(session, text, span[0], span[1]))
            chosen = Selection(state="all", text=text, since=span[0], until=span[1])
            found = list(await session.scalars(dead_letters.chosen(chosen).limit(200)))
    return render(
        request, "search.html", me, here="search", text=text, since=span[0], until=span[1], events=events,
        dead_letters=found, is_asked=is_asked, problem=problem(request, refused) if refused else None,
        status=getattr(refused, "status", 200),
    )  # fmt: skip


@router.get("/events/{stream}/{seq}")
async def show_event(
    request: Request, me: Viewer, console: TheConsole, stream: str, seq: int
) -> HTMLResponse:
    """An event: its envelope, the shape of its body, and who has it before them still."""
    if stream not in {s.name for s in console.board.picture.streams}:
        raise NotFound("There is no such stream.", "Det finns ingen sådan ström.")
    message = await console.message(stream, seq)
    if message is None:
        raise NotFound("There is no such message.", "Det finns inget sådant meddelande.")
    reach = [
        (queue, queue.floor >= seq)
        for queue in console.board.picture.queues
        if queue.stream == stream and _hears(queue.filters, message.subject)
    ]
    body = masked(message.data)
    return render(
        request, "event.html", me, here="search", message=message, body=body, reach=reach,
        headers=envelope(message.headers),
    )  # fmt: skip


def _hears(filters: tuple[str, ...], subject: str) -> bool:
    return not filters or any(_fits(each.split("."), subject.split(".")) for each in filters)


def _fits(pattern: list[str], subject: list[str]) -> bool:
    """Whether a subject fits a pattern with NATS' wildcards."""
    if pattern and pattern[-1] == ">":
        head = len(pattern) - 1
        return len(subject) > head and _fits(pattern[:-1], subject[:head])
    same = (p in ("*", s) for p, s in zip(pattern, subject, strict=False))
    return len(pattern) == len(subject) and all(same)


@router.get("/alerts")
async def list_alerts(request: Request, me: Viewer, console: TheConsole) -> HTMLResponse:
    """Those that go on, and the last ones that are over."""
    async with console.begin() as session:
        now, over = await alerts.open_now(session), await alerts.ended(session)
    return render(request, "alerts.html", me, here="alerts", now=now, over=over)


@router.post("/alerts/{alert_id}/seen")
async def see_alert(me: Operator, console: TheConsole, alert_id: UUID) -> RedirectResponse:
    """Says that somebody looks after it."""
    async with console.begin() as session:
        await alerts.take(session, console.who(me), alert_id)
    return RedirectResponse("/alerts", 303)


@router.get("/runbooks/{rule}")
async def runbook(request: Request, me: Viewer, rule: str) -> HTMLResponse:
    """What an alert means, what to look at, which button."""
    if rule not in RULES:
        raise NotFound("There is no such rule.", "Det finns ingen sådan regel.")
    return render(
        request, "runbook.html", me, here="alerts", rule=rule, runbook=words(request)["rules"][rule]
    )


@router.get("/audit")
async def show_audit(
    request: Request,
    me: Viewer,
    console: TheConsole,
    before: Annotated[int, Query(ge=1, le=2**62)] = 2**62,
    verify: bool = False,
) -> HTMLResponse:
    """Who did what; and, when asked, whether all of it is there as it was written."""
    verdict = await console.verdict() if verify else None
    async with console.begin() as session:
        rows = await session.scalars(
            select(Audit).where(Audit.number < before).order_by(Audit.number.desc()).limit(100)
        )
        return render(request, "audit.html", me, here="audit", rows=rows.all(), verdict=verdict)
