"""The console for people: pages that work without scripts, by keyboard, in Swedish and English."""

from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse, Response

from kompetensnav_chassis.errors import Forbidden, Problem, Unauthorised
from kompetensnav_operations.pages import board, dead_letters, log, login, replays
from kompetensnav_operations.pages.shown import error_page
from kompetensnav_pages import assets

routers = tuple(part.router for part in (login, board, dead_letters, replays, log))


def answer(app: FastAPI) -> None:
    """Serves what pages are made with, and answers people's refusals with pages."""
    assets.mount(app)
    app.add_middleware(GZipMiddleware, minimum_size=1000)  # what is streamed goes as it is
    for kind in (Problem, Forbidden, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _answered(app.exception_handlers[kind]))


def _answered(before: Any) -> Any:
    async def answered(request: Request, refused: Any) -> Response:
        if _is_page(request) and isinstance(refused, Unauthorised):
            if request.url.path == "/login/back":  # going there again would lead back here
                return error_page(request, 401, refused)
            here = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
            then = here if request.method == "GET" else "/"
            return RedirectResponse(f"/login?{urlencode({'then': then})}", 303)
        answer: Response = await before(request, refused)
        return error_page(request, answer.status_code, refused) if _is_page(request) else answer

    return answered


def _is_page(request: Request) -> bool:
    return not request.url.path.startswith(("/api", "/health", "/static", "/live"))
