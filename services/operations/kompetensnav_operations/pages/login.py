"""Logging in and out."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse

from kompetensnav_chassis.identity import open_to_all
from kompetensnav_chassis.security import note
from kompetensnav_operations.edges.login import COOKIE, LASTS, STEP, STEP_LASTS, Login, only_ours, safe_path

router = APIRouter(include_in_schema=False, dependencies=[Depends(open_to_all)])


@router.get("/login")
async def login(request: Request, then: str = "/") -> RedirectResponse:
    """Sends somebody to the issuer."""
    url, step = await _login(request).start(safe_path(then))
    answer = RedirectResponse(url, 303)
    answer.set_cookie(STEP, step, max_age=STEP_LASTS, secure=True, httponly=True, samesite="lax")
    return answer


@router.get("/login/back")
async def back(request: Request) -> RedirectResponse:
    """They come back."""
    note("login")
    session, then = await _login(request).finish(request)
    answer = RedirectResponse(then, 303)
    answer.set_cookie(COOKIE, session, max_age=LASTS, secure=True, httponly=True, samesite="lax")
    answer.delete_cookie(STEP, secure=True, httponly=True)
    return answer


@router.post("/logout", dependencies=[Depends(only_ours)])
async def logout(request: Request) -> RedirectResponse:
    """Forgets who it is."""
    _login(request).recognise(request)
    note("logout")
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, secure=True, httponly=True)
    return answer


def _login(request: Request) -> Login:
    login: Login = request.app.state.login
    return login
