"""The console for people: pages that work without scripts, by keyboard, in Swedish and English."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from kompetensnav_chassis.errors import Forbidden, Problem, Unauthorised
from kompetensnav_operations.pages import board, door, letters, log, replays
from kompetensnav_operations.pages.shown import HERE, error_page

routers = tuple(part.router for part in (door, board, letters, replays, log))


def answer(app: FastAPI) -> None:
    """Serves what pages are made with, and answers people's refusals with pages."""
    app.mount("/static", StaticFiles(directory=HERE.parent / "static"), name="static")
    for kind in (Problem, Forbidden, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _answered(app.exception_handlers[kind]))


def _answered(before: Any) -> Any:
    async def answered(request: Request, refused: Any) -> Response:
        if _is_page(request) and isinstance(refused, Unauthorised):
            return RedirectResponse(f"/login?then={request.url.path}", 303)
        told: Response = await before(request, refused)
        return error_page(request, told.status_code, refused) if _is_page(request) else told

    return answered


def _is_page(request: Request) -> bool:
    return not request.url.path.startswith(("/api", "/health", "/static", "/live"))
