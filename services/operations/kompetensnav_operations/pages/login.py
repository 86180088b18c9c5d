"""Logging in and out, and who is logged in."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import HTMLResponse, RedirectResponse

from kompetensnav_chassis.db import AWAY, Scope, transaction
from kompetensnav_chassis.errors import Unavailable
from kompetensnav_chassis.identity import Identity, open_to_all
from kompetensnav_chassis.security import note
from kompetensnav_operations.actions import logins
from kompetensnav_operations.actions.console import TheConsole
from kompetensnav_operations.edges.login import COOKIE, SAFE, STEP, STEP_LASTS, Login, only_ours, safe_path
from kompetensnav_operations.edges.roles import Admin
from kompetensnav_operations.pages.shown import render

router = APIRouter(include_in_schema=False)
PATIENCE = 2.0
REMEMBERED = 300.0
"""Seconds for which somebody is still known while the database is away."""
MOST = 1000


@router.get("/login", dependencies=[Depends(open_to_all)])
async def login(request: Request, then: str = "/") -> RedirectResponse:
    """Sends somebody to the issuer."""
    url, step = await _login(request).start(safe_path(then))
    answer = RedirectResponse(url, 303)
    answer.set_cookie(STEP, step, max_age=STEP_LASTS, secure=True, httponly=True, samesite="lax")
    return answer


@router.get("/login/back", dependencies=[Depends(open_to_all)])
async def back(request: Request, console: TheConsole) -> RedirectResponse:
    """They come back."""
    note("login")
    identity, then = await _login(request).finish(request)
    request.state.identity = identity
    async with console.begin() as session:
        token = await logins.begin(session, identity, datetime.now(UTC))
    answer = RedirectResponse(then, 303)
    lasts = int(logins.LASTS.total_seconds())
    answer.set_cookie(COOKIE, token, max_age=lasts, secure=True, httponly=True, samesite="lax")
    answer.delete_cookie(STEP, secure=True, httponly=True)
    return answer


@router.post("/logout", dependencies=[Depends(open_to_all), Depends(only_ours)])
async def logout(request: Request, console: TheConsole) -> RedirectResponse:
    """Forgets who it is, here and in the browser."""
    note("logout")
    if token := request.cookies.get(COOKIE):
        request.state.identity = await recognise(request)
        request.app.state.known.pop(token, None)
        async with console.begin() as session:
            await logins.leave(session, token)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, secure=True, httponly=True)
    return answer


@router.get("/logins")
async def list_logins(
    request: Request, me: Admin, console: TheConsole, ended: Annotated[bool, Query()] = False
) -> HTMLResponse:
    """Everybody who is logged in."""
    async with console.begin() as session:
        rows = await logins.open_now(session, datetime.now(UTC))
    return render(request, "logins.html", me, here="logins", rows=rows, ended=ended)


@router.post("/logins/{login_id}/end")
async def end_login(me: Admin, console: TheConsole, login_id: UUID) -> RedirectResponse:
    """Puts somebody out."""
    async with console.begin() as session:
        await logins.put_out(session, console.who(me), login_id)
    return RedirectResponse("/logins?ended=true", 303)


async def recognise(request: Request) -> Identity | None:
    """Who a request's cookie says it is; while the database is away, who it was a moment ago. Raises
    Forbidden for a change that another site asks for, and Unavailable."""
    if not (token := request.cookies.get(COOKIE)):
        return None
    known: dict[str, tuple[float, Identity]] = request.app.state.known
    try:
        async with asyncio.timeout(PATIENCE), transaction(request.app.state.sessions, Scope()) as session:
            identity = await logins.find(session, token, datetime.now(UTC))
    except (*AWAY, SQLAlchemyError) as away:
        at, identity = known.get(token, (-REMEMBERED, None))
        if identity is None or time.monotonic() - at > REMEMBERED:
            raise Unavailable("The login does not answer; try again.",
                              "Inloggningen svarar inte; försök igen.") from away  # fmt: skip
    else:
        if len(known) >= MOST:
            known.clear()
        if identity is not None:
            known[token] = time.monotonic(), identity
        else:
            known.pop(token, None)
    if identity is not None and request.method not in SAFE:
        request.state.identity = identity
        only_ours(request)
    return identity


def _login(request: Request) -> Login:
    login: Login = request.app.state.login
    return login
