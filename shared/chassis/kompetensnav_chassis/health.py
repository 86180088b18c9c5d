"""Is the service alive, ready, and how does it do: the open pages `/health/live`, `/health/ready`,
`/metrics`."""

import asyncio
from typing import Any

from fastapi import APIRouter, Depends, Request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from sqlalchemy import text
from starlette.responses import JSONResponse, Response

from kompetensnav_chassis.announce import late
from kompetensnav_chassis.broker.connection import client
from kompetensnav_chassis.identity import open_to_all

router = APIRouter(prefix="/health", dependencies=[Depends(open_to_all)], include_in_schema=False)
TIMEOUT = 2.0


@router.get("/live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@router.get("/ready")
async def ready(request: Request) -> Response:
    """The database answers, the broker is connected, every durable exists and was polled lately."""
    checks = await asyncio.gather(_database(request.app.state), _broker(request.app.state))
    faults = {name: why for name, why in zip(("database", "broker"), checks, strict=True) if why}
    body = {
        "status": "ready" if not faults else "not ready",
        "faults": faults,
        "version": request.app.state.version,
    }
    return JSONResponse(body | {"outbox_backlog": _backlog(request.app.state)}, 200 if not faults else 503)


@router.get("/metrics")
async def metrics() -> Response:
    """Prometheus metrics; counts and timings only."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


async def _database(state: Any) -> str:
    try:
        async with asyncio.timeout(TIMEOUT), state.engine.connect() as connection:
            await connection.execute(text("select 1"))
    except Exception as error:
        return f"does not answer: {type(error).__name__}"
    return ""


def _backlog(state: Any) -> int | None:
    """None while there is no broker, and so no relay."""
    return state.relay.backlog if state.relay else None


async def _broker(state: Any) -> str:
    if state.relay is None or not client(state.broker).is_connected:
        return "not connected"
    if behind := late(state.listener):
        return f"not polled lately: {', '.join(behind)}"
    try:
        async with asyncio.timeout(TIMEOUT):
            js = client(state.broker).jetstream()
            for consumer in state.listener.consumers:
                await js.consumer_info(consumer.stream(state.stack), consumer.durable)
    except Exception as error:
        return f"a consumer does not answer: {type(error).__name__}"
    return ""
