"""What every page shares: templates, words, who looks, and how values are written."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from fastapi import Request
from fastapi.sse import ServerSentEvent
from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.responses import HTMLResponse

from kompetensnav_chassis.identity import Identity
from kompetensnav_operations.actions.snapshot import Board
from kompetensnav_operations.domain.picture import Picture
from kompetensnav_operations.edges.roles import ACT, EDIT
from kompetensnav_operations.edges.texts import texts

log = structlog.get_logger()
LONGEST = 900.0
"""Seconds after which a browser that looks on asks anew, and is asked who it is."""
HERE = Path(__file__).parent
ZONE = ZoneInfo("Europe/Stockholm")
LANGUAGE = "operations-language"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self' {issuer}; base-uri 'none'; frame-ancestors 'none'"
)
MENU = (
    ("overview", "/"),
    ("letters", "/letters"),
    ("replays", "/replays"),
    ("search", "/search"),
    ("alerts", "/alerts"),
    ("audit", "/audit"),
    ("map", "/map"),
)


def _local(at: datetime | None) -> str:
    return at.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def _field(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") if at else ""


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")


def _rate(value: float) -> str:
    return _number(value) if value >= 10 or value == int(value) else f"{value:.1f}".replace(".", ",")


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min"
    if seconds < 2 * 86_400:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
    return f"{seconds // 86_400:.0f} d"


def _size(bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if bytes < 1000 or unit == "GB":
            return f"{bytes:.0f} {unit}" if bytes >= 10 or unit == "B" else f"{bytes:.1f} {unit}"
        bytes /= 1000
    return ""


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


_templates = Environment(
    loader=FileSystemLoader(HERE.parent / "templates"),
    autoescape=select_autoescape(),
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {
    "local": _local, "field": _field, "number": _number, "rate": _rate, "span": _span, "size": _size,
    "cut": _cut,
}  # fmt: skip


def language(request: Request) -> str:
    """What somebody has chosen, or else what their browser prefers; Swedish first."""
    chosen = request.cookies.get(LANGUAGE)
    if chosen in ("sv", "en"):
        return chosen
    return "en" if request.headers.get("accept-language", "sv").lower().startswith("en") else "sv"


def render_part(request: Request, template: str, me: Identity | None, **values: Any) -> str:
    """A piece of a page, in somebody's language."""
    roles = me.roles if me else frozenset()
    return _templates.get_template(template).render(
        t=texts(language(request)),
        me=me,
        menu=MENU,
        stack=request.app.state.stack,
        path=request.url.path,
        may_act=bool(ACT.roles & roles),
        may_edit=bool(EDIT.roles & roles),
        trace_url=request.app.state.trace_url,
        **values,
    )


def render(
    request: Request, template: str, me: Identity | None, *, status: int = 200, here: str = "", **values: Any
) -> HTMLResponse:
    """A page."""
    html = render_part(request, template, me, here=here, **{"live": False, "problem": None} | values)
    return HTMLResponse(html, status, headers=_policy(request))


def said(request: Request, refused: Any) -> str:
    """A refusal in somebody's language."""
    if hasattr(refused, "sv"):
        return str(refused.sv if language(request) == "sv" else refused.en)
    return str(getattr(refused, "detail", "")) or texts(language(request))["error"]["title"]


def problem(request: Request, refused: Any) -> dict[str, Any]:
    """A refusal as a page shows it beside what was asked for."""
    return {"said": said(request, refused), "errors": getattr(refused, "errors", None) or []}


def error_page(request: Request, status: int, refused: Any) -> HTMLResponse:
    """What somebody sees when it did not work."""
    me = getattr(request.state, "identity", None)
    errors = refused.errors() if callable(getattr(refused, "errors", None)) else None
    listed = [{"where": ".".join(map(str, e["loc"])), "reason": e["msg"]} for e in errors or []]
    words = "" if errors else said(request, refused)
    html = render_part(
        request, "error.html", me, here="", live=False, said=words, errors=listed, status=str(status)
    )
    return HTMLResponse(html, status, headers=_policy(request))


def _policy(request: Request) -> dict[str, str]:
    return {"content-security-policy": POLICY.format(issuer=request.app.state.login.place)}


async def pieces(board: Board, made: Callable[[Picture], Awaitable[str]]) -> AsyncIterator[ServerSentEvent]:
    """A piece of a page whenever the picture changes, for a while; ends when it is empty or cannot be made,
    and the browser asks anew."""
    end = time.monotonic() + LONGEST
    async for picture in board.follow():
        try:
            html = await made(picture)
        except Exception as error:  # what it is of is gone, or the database is away
            log.warning("piece_not_made", error=type(error).__name__)
            return
        if not html or time.monotonic() > end:
            return
        yield ServerSentEvent(raw_data=html)
