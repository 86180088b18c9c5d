"""What a stranger may cost: how much a request carries, how long it takes to arrive, and that no body is read
before the token of whoever sends it. Sizes are in bytes, times in seconds."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kompetensnav_chassis import http
from kompetensnav_chassis.errors import Problem
from kompetensnav_chassis.identity import open_to_all, who

BODY = 64_000
"""What a route takes that does not say otherwise."""
ARRIVES = 30.0
"""Within which a body is there, and a second more for each 100 kB that the route takes."""
LINGERS = 5.0
THROWN_AWAY = 100_000_000
"""What is taken in of a body that is refused, and for how long."""
HEADERS = 64_000
HEADERS_ARRIVE = 10.0

F = TypeVar("F", bound=Callable[..., Any])


def takes(limit: int | str) -> Callable[[F], F]:
    """A route that takes more: so many bytes, or as many as `app.state` says by that name."""

    def mark(endpoint: F) -> F:
        endpoint.takes = limit  # type: ignore[attr-defined]
        return endpoint

    return mark


class Bounds:
    """Reads a body whole before the application sees it: once its sender is known, and only so much of it."""

    def __init__(self, app: ASGIApp, service: FastAPI, routers: Sequence[APIRouter]) -> None:
        self._app, self._service = app, service
        self._routes = [r for router in routers for r in router.routes if isinstance(r, APIRoute)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        headers = dict(scope.get("headers", ()))
        length = headers.get(b"content-length", b"")
        if scope["type"] != "http" or (length in (b"", b"0") and b"transfer-encoding" not in headers):
            await self._app(scope, receive, send)
            return
        route = self._route(scope)
        limit = self._limit(route)
        if length.isdigit() and int(length) > limit:
            await self._refuse(scope, receive, send, 413, limit)
        elif not await self._is_known(route, scope):
            nobody = _replay(b"", receive)
            await self._app(scope, nobody, _closing(receive, send))
        else:
            try:
                async with asyncio.timeout(ARRIVES + limit / 100_000):
                    body = await _read(receive, limit)
            except TimeoutError:
                await self._refuse(scope, receive, send, 408, limit)
            except ClientDisconnect:
                return  # half a body is none
            else:
                if body is None:
                    await self._refuse(scope, receive, send, 413, limit)
                else:
                    await self._app(scope, _replay(body, receive), send)

    def _route(self, scope: Scope) -> APIRoute | None:
        return next((r for r in self._routes if r.matches(scope)[0] is Match.FULL), None)

    def _limit(self, route: APIRoute | None) -> int:
        said = getattr(route and route.endpoint, "takes", BODY)
        return int(getattr(self._service.state, said) if isinstance(said, str) else said)

    async def _is_known(self, route: APIRoute | None, scope: Scope) -> bool:
        """Whether somebody with a token sends it, or the route asks for none."""
        if route is None:
            return False
        if any(dependency.call is open_to_all for dependency in route.dependant.dependencies):
            return True
        state: dict[str, Any] = {}
        try:
            await who(Request({**scope, "app": self._service, "state": state}))
        except Problem as refused:
            state["refused"] = refused  # the route asks again, and is to hear the same
        scope.setdefault("state", {}).update(state)
        return "refused" not in state

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, status: int, limit: int) -> None:
        request = Request(scope)
        if status == 413:
            en = f"At most {limit:,} bytes are taken here."
            answer = http.problem(request, status, "too-large", en, f"Högst {limit:,} byte tas emot här.")
        else:
            en, sv = "The request did not arrive in time.", "Anropet kom inte fram i tid."
            answer = http.problem(request, status, "too-slow", en, sv)
        await answer(scope, _nothing, _closing(receive, send))


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The body; None when there is more than is taken. Raises ClientDisconnect."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            return None
        more = message.get("more_body", False)
    return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once more, then whatever comes."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again


def _closing(receive: Receive, send: Send) -> Send:
    """An answer after which the connection ends. What is still on its way is taken in and thrown away for a
    while, or else the sender would see a broken connection and no answer."""

    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        elif not message.get("more_body", False):
            await send({**message, "more_body": True})
            await _throw_away(receive)
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await send(message)

    return closing


async def _throw_away(receive: Receive) -> None:
    size, message = 0, dict[str, Any](more_body=True)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGERS):
            while message.get("more_body") and size < THROWN_AWAY:
                message = dict(await receive())
                size += len(message.get("body", b""))


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


class TimedHttp(HttpToolsProtocol):
    """Uvicorn's protocol, which ends a connection whose headers are too large or do not arrive."""

    _timer: asyncio.TimerHandle | None = None
    _size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio's."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """asyncio's."""
        self._size += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._size > HEADERS:
            self.transport.close()
        elif self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()

    def on_message_begin(self) -> None:
        """httptools'."""
        self._size = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """httptools': what is left of the size is headers, trailers and the frames of chunks."""
        self._size -= len(body)
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """httptools'."""
        self._there()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's."""
        self._there()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._timer = self.loop.call_later(HEADERS_ARRIVE, self.transport.close)

    def _there(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
