"""What every page of the console shares: who looks, what they may, and what follows by itself."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import structlog
from fastapi import Request
from fastapi.sse import ServerSentEvent
from starlette.responses import HTMLResponse

from kompetensnav_chassis.identity import Identity
from kompetensnav_operations.actions.snapshot import Board
from kompetensnav_operations.domain.picture import Picture
from kompetensnav_operations.edges.roles import ACT, EDIT, RULE
from kompetensnav_pages.pages import Pages, said

log = structlog.get_logger()
PAGES = Pages("kompetensnav_operations")
LONGEST = 900.0
"""Seconds after which a browser that looks on asks anew, and is asked who it is."""
MENU = (
    ("overview", "/"),
    ("dead_letters", "/dead-letters"),
    ("replays", "/replays"),
    ("search", "/search"),
    ("alerts", "/alerts"),
    ("audit", "/audit"),
    ("map", "/map"),
)
ADMINS = (("logins", "/logins"),)
STATE_COLOURS = {
    "waiting": "warning", "returned": "danger", "handled": "success",
    "planned": "neutral", "canary": "warning", "stopped": "danger", "done": "success",
}  # fmt: skip
"""State of a dead letter or a replay -> a colour of the theme; the others are neutral."""


def words(request: Request) -> dict[str, Any]:
    """The texts of the console in a reader's language."""
    return PAGES.texts(PAGES.language(request))


def _common(request: Request, me: Identity | None) -> dict[str, Any]:
    roles = me.roles if me else frozenset()
    return {
        "me": me,
        "menu": (*MENU, *(ADMINS if RULE.roles & roles else ())),
        "stack": request.app.state.stack,
        "may_act": bool(ACT.roles & roles),
        "may_edit": bool(EDIT.roles & roles),
        "trace_url": request.app.state.trace_url,
        "state_colours": STATE_COLOURS,
    }


def live_block(request: Request, template: str, me: Identity | None, **values: Any) -> str:
    """The block `live` of a page, in somebody's language."""
    return PAGES.fragment(request, template, "live", **{**_common(request, me), **values})


def render(
    request: Request,
    template: str,
    me: Identity | None,
    *,
    status: int = 200,
    here: str = "",
    live: bool = False,
    **values: Any,
) -> HTMLResponse:
    """A page."""
    issuer = request.app.state.login.place
    shared = _common(request, me) | {"here": here} | values
    return PAGES.render(request, template, status, form_action=issuer, live=live, **shared)


def problem(request: Request, refused: Any) -> list[dict[str, str]]:
    """A refusal as a page shows it beside what was asked for: what is said, then each fault of its own."""
    each = getattr(refused, "errors", None) or []
    faults = [{"said": str(e.get("reason") or ""), "code": str(e["where"])} for e in each]
    return [{"said": _said(request, refused)}, *faults]


def _said(request: Request, refused: Any) -> str:
    if hasattr(refused, "sv"):
        return said(refused, PAGES.language(request))
    return str(getattr(refused, "detail", "")) or str(words(request)["error"]["title"])


def error_page(request: Request, status: int, refused: Any) -> HTMLResponse:
    """What somebody sees when it did not work."""
    me = getattr(request.state, "identity", None)
    if callable(getattr(refused, "errors", None)):  # a request that does not fit
        faults = [{"said": e["msg"], "code": ".".join(map(str, e["loc"]))} for e in refused.errors()]
    else:
        faults = [{"said": _said(request, refused)}]
    return render(request, "error.html", me, status=status, faults=faults, code=str(status))


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
