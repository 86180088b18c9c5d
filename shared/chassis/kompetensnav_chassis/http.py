"""Answers over HTTP: refusals as problem+json (RFC 9457) in Swedish and English, and safe headers."""

import inspect
import re
import secrets
from types import ModuleType
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kompetensnav_chassis.db import traceparent
from kompetensnav_chassis.errors import Problem

log = structlog.get_logger()
TYPE = "urn:kompetensnav:problem:"
PASSING = {"40001", "40P01", "55P03", "57P01", "57P03"}
"""SQLSTATEs that pass: serialisation failure, deadlock, lock not available, the server going down or up."""
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"x-frame-options": b"DENY",
    b"content-security-policy": b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
    b" base-uri 'none'; frame-ancestors 'none'",
    b"strict-transport-security": b"max-age=63072000",  # heeded over TLS alone
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
}


def answer(app: FastAPI, *domains: ModuleType) -> None:
    """Registers how refusals are answered: problems, bad requests, and the refusals of the domain modules."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _plain)
    for lost in (OperationalError, PoolTimeout, OSError, DBAPIError):
        app.add_exception_handler(lost, _unavailable)
    app.add_exception_handler(Exception, _unexpected)
    for domain in domains:
        for _, refusal in inspect.getmembers(domain, inspect.isclass):
            if issubclass(refusal, Exception) and refusal.__module__ == domain.__name__:
                app.add_exception_handler(refusal, _refusal)


def problem(
    request: Request, status: int, slug: str, en: str, sv: str, errors: list[dict[str, Any]] | None = None
) -> JSONResponse:
    """A problem+json answer; `detail` in the language the caller prefers, Swedish first."""
    english = request.headers.get("accept-language", "sv").lower().startswith("en")
    body: dict[str, Any] = {
        "type": TYPE + slug,
        "title": slug.replace("-", " "),
        "status": status,
        "detail": en if english else sv,
        "detail_en": en,
        "detail_sv": sv,
    }
    if errors:
        body["errors"] = errors
    return JSONResponse(body, status, media_type="application/problem+json")


async def _problem(request: Request, refused: Any) -> Response:
    return problem(request, refused.status, refused.type, refused.en, refused.sv, refused.errors)


async def _refusal(request: Request, refused: Exception) -> Response:
    slug = re.sub(r"(?<!^)(?=[A-Z])", "-", type(refused).__name__).lower()
    en, _, sv = (type(refused).__doc__ or slug).partition("|")
    where = f" ({refused})" if str(refused) else ""
    return problem(
        request,
        getattr(refused, "status", 409),
        slug,
        " ".join(en.split()) + where,
        " ".join(sv.split()) + where,
        [{"rule": refused.rule}] if hasattr(refused, "rule") else None,
    )


async def _invalid(request: Request, bad: Any) -> Response:
    errors = [
        {"where": ".".join(str(p) for p in e["loc"]), "reason": e["msg"], "rule": e["type"]}
        for e in bad.errors()
    ]
    return problem(
        request, 422, "invalid-request", "Some values do not fit.", "Några värden passar inte.", errors
    )


async def _plain(request: Request, refused: Any) -> Response:
    slug = {404: "not-found", 405: "method-not-allowed"}.get(refused.status_code, "refused")
    return problem(request, refused.status_code, slug, str(refused.detail), str(refused.detail))


async def _unavailable(request: Request, lost: Exception) -> Response:
    if isinstance(lost, IntegrityError):
        return problem(
            request,
            409,
            "conflict",
            "It clashes with something already there.",
            "Det krockar med något som finns.",
        )
    state = str(getattr(getattr(lost, "orig", None), "sqlstate", ""))
    if state.startswith("22"):  # data that no column takes, such as a NUL character
        return problem(
            request, 422, "invalid-request", "Some values do not fit.", "Några värden passar inte."
        )
    if (
        state not in PASSING
        and isinstance(lost, DBAPIError)
        and not isinstance(lost, OperationalError)
        and not lost.connection_invalidated
    ):
        return await _unexpected(request, lost)
    log.warning("database_unavailable", error=type(lost).__name__)
    return problem(
        request,
        503,
        "unavailable",
        "The service is catching its breath; try again.",
        "Försök igen om en stund.",
    )


async def _unexpected(request: Request, bug: Exception) -> Response:
    log.error("unexpected_error", error=type(bug).__name__, route=_route(request), exc_info=bug)
    return problem(request, 500, "internal", "Something went wrong on our side.", "Något gick fel hos oss.")


def _route(request: Request) -> str:
    route = request.scope.get("route")
    return str(getattr(route, "path", "unknown"))


def trace_request(given: str) -> None:
    """Binds the request's W3C trace context to logs and to the events it leads to; a new one when there is
    none."""
    fits = re.fullmatch(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", given)
    trace = given if fits else f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
    traceparent.set(trace)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(trace_id=trace.split("-")[1])


class SafeHeaders:
    """Adds the headers every answer carries; a page may set its own content security policy."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            trace_request(dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1"))

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((n, v) for n, v in HEADERS.items() if n not in there),
                ]
            await send(message)

        await self._app(scope, receive, add if scope["type"] == "http" else send)
