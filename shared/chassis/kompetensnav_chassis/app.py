"""A service put together: settings, database, broker, relay, jobs and HTTP in one process."""

import asyncio
import contextlib
import gc
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI
from nats.aio.client import Client

from kompetensnav_chassis import bounds, db, health, http, logs, pace, security
from kompetensnav_chassis.announce import announce
from kompetensnav_chassis.attempts import version_of
from kompetensnav_chassis.broker import connection, questions
from kompetensnav_chassis.broker.listener import Listener
from kompetensnav_chassis.failpoints import failpoint
from kompetensnav_chassis.identity import Tokens
from kompetensnav_chassis.outbox import RELAY, Relay
from kompetensnav_chassis.settings import ServiceSettings

log = structlog.get_logger()


@dataclass(frozen=True)
class Job:
    """What is done because time passed: every so many seconds, and when woken by name.

    `run` returns True when there may be more to do at once.
    """

    name: str
    every: float
    run: Callable[[FastAPI], Awaitable[bool]]


def service_app(
    settings: ServiceSettings,
    *,
    listener: Listener,
    outbox: type,
    routers: Sequence[APIRouter] = (),
    jobs: Sequence[Job] = (),
    domains: Sequence[ModuleType] = (),
    state: dict[str, Any] | None = None,
    on_air: Sequence[Callable[[Client], Coroutine[Any, Any, None]]] = (),
    patient: bool = False,
) -> FastAPI:
    """The service as an ASGI application; starting it starts all of its parts. `patient`: it serves people
    while the broker is away, too, and goes on with the rest when that answers. `on_air`: what runs while
    there is a connection to the broker."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        woken = {job.name: asyncio.Event() for job in jobs}

        def wake(job: str) -> None:
            if job == RELAY and app.state.relay:
                app.state.relay.wake()
            elif job in woken:
                woken[job].set()

        def begin(works: Sequence[Coroutine[Any, Any, None]]) -> None:
            for work in works:
                tasks.append(asyncio.create_task(work))
                tasks[-1].add_done_callback(_ended)

        async def join() -> None:
            """Goes on the air: connects, listens, answers and tells."""
            await connection.connect(app.state.broker, listener, settings.stack)
            client = connection.client(app.state.broker)
            relay = app.state.relay = Relay(
                listener.service, str(settings.relay_database_url), client.jetstream()
            )
            await questions.answer(await announce(client, listener, relay), listener, app.state.sessions)
            begin([connection.watch(app.state.broker), relay.run(), *(work(client) for work in on_air)])

        async def keep_trying() -> None:
            while app.state.relay is None:
                try:
                    await join()
                except RuntimeError as failure:
                    log.warning("waiting_for_broker", why=str(failure))
                    await asyncio.sleep(1)

        tasks: list[asyncio.Task[None]] = []
        app.state.wake = wake
        app.state.engine = db.engine(str(settings.database_url))
        app.state.sessions = db.sessions(app.state.engine, listener.service, outbox, wake)
        app.state.broker = connection.broker(listener, settings, app.state.sessions)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(app.state.engine.dispose)
            stack.push_async_callback(connection.stop, app.state.broker)
            stack.push_async_callback(_cancel, tasks)
            try:
                await (_nothing() if patient else join())
            except RuntimeError as failure:
                app.state.failure = str(failure)
                raise
            begin([_repeat(app, job, woken[job.name]) for job in jobs])
            if patient:
                begin([keep_trying()])
            yield

    app = FastAPI(title=f"Kompetensnav {listener.service}", version="1", lifespan=lifespan, docs_url=None,
                  redoc_url=None, openapi_url=None)  # fmt: skip
    app.state.listener, app.state.stack = listener, settings.stack
    app.state.failure, app.state.version = "see the log", version_of(listener.service)
    app.state.relay = None
    app.state.tokens = Tokens(str(settings.issuer), settings.audience)
    for name, value in (state or {}).items():
        setattr(app.state, name, value)
    http.answer(app, *domains)
    app.add_middleware(bounds.Bounds, service=app, routers=[health.router, *routers])
    app.add_middleware(security.Watch, chain=security.Chain(listener.service, settings.security_log))
    app.add_middleware(http.SafeHeaders)
    app.include_router(health.router)
    for router in routers:
        app.include_router(router)
    return app


def serve(app: FastAPI, settings: ServiceSettings) -> None:
    """Runs the service until it is told to stop. A start that fails says why in one line."""
    logs.configure(app.state.listener.service)
    gc.freeze()  # what is imported stays; collecting it again and again costs a tenth of the time
    gc.set_threshold(20_000, 20, 50)
    gc.enable()
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        http=bounds.TimedHttp,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    with contextlib.suppress(SystemExit):  # uvicorn's own way to end when the start has failed
        server.run()
    if not server.started:
        sys.exit(f"{app.state.listener.service} did not start: {app.state.failure}")


async def _repeat(app: FastAPI, job: Job, woken: asyncio.Event) -> None:
    """Runs a job for ever; an error is logged and the job tried again after its pause."""
    while True:
        woken.clear()
        more, began = False, time.monotonic()
        failpoint(f"{app.state.listener.service}.{job.name}.before")
        try:
            more = await job.run(app)
            failpoint(f"{app.state.listener.service}.{job.name}.after")
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.error("job_failed", job=job.name, error=type(error).__name__, exc_info=not _is_outage(error))
            await asyncio.sleep(min(job.every, 1.0))
        await pace.rest(began)
        if not more:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), job.every)


async def _nothing() -> None:
    """For those who need not wait."""


def _is_outage(error: Exception) -> bool:
    return isinstance(error, db.AWAY) or "asyncpg" in type(error).__module__  # SQLAlchemy has its own, too


def _ended(task: asyncio.Task[None]) -> None:
    """A part that ends by itself ends the process: half a service is worse than none."""
    if not task.cancelled() and task.exception() is not None:
        log.error("part_ended", exc_info=task.exception())
        os._exit(71)


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
