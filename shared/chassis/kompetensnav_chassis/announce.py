"""A service tells how it is to whoever operates the stack, over NATS' own protocol for services: `$SRV.PING`,
`$SRV.INFO` and `$SRV.STATS` (architecture decision 32 of NATS). Nobody needs a list of services to find them,
nor a way to them over HTTP.
"""

import json
import time
from datetime import UTC, datetime
from typing import Any

from nats.aio.client import Client
from nats.micro import add_service
from nats.micro.request import Request
from nats.micro.service import EndpointStats, Service

from kompetensnav_chassis.attempts import HOST, version_of
from kompetensnav_chassis.broker.listener import Listener
from kompetensnav_chassis.outbox import Relay

SILENT = 5.0
"""Seconds without an answer of the database after which it counts as away."""
POLLED = 120.0
"""Seconds without asking for messages after which a consumer counts as stopped; more than a batch takes."""


def late(listener: Listener) -> list[str]:
    """The durables that were not polled lately."""
    return [d.durable for d in listener.consumers if time.monotonic() - d.polled_at > POLLED]


def health(listener: Listener, relay: Relay) -> dict[str, Any]:
    """How the service is, without asking anybody: its outbox, and what it misses. Ages in seconds."""
    faults = [f"not polled lately: {durable}" for durable in late(listener)]
    if time.monotonic() - relay.answered_at > SILENT:
        faults.append("the database does not answer")
    return {
        "host": HOST,
        "at": datetime.now(UTC).isoformat(),
        "faults": faults,
        "outbox": {"waiting": relay.backlog, "oldest": relay.oldest, "parked": relay.parked},
        "durables": [consumer.durable for consumer in listener.consumers],
    }


async def announce(client: Client, listener: Listener, relay: Relay) -> Service:
    """Answers `$SRV` from now on, over a connection that may reconnect; endpoints can be added."""
    service = listener.service

    def stats(_: EndpointStats) -> dict[str, Any]:
        return health(listener, relay)

    async def answer(request: Request) -> None:
        await request.respond(json.dumps(health(listener, relay)).encode())

    made = await add_service(
        client,
        name=service,
        version=version_of(service) or "0.0.0",
        description=f"The service {service}",
        stats_handler=stats,
    )
    await made.add_endpoint(name="health", subject=f"health.{service}", handler=answer)
    return made
