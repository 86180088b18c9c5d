"""The service's connection with NATS: built, started, watched and stopped."""

import asyncio
import contextlib
from typing import Any

import nats.errors
import nats.js.errors
import structlog
from faststream import AckPolicy, BaseMiddleware
from faststream.nats import JStream, NatsBroker
from faststream.nats.message import NatsMessage
from faststream.nats.opentelemetry import NatsTelemetryMiddleware
from faststream.nats.prometheus import NatsPrometheusMiddleware
from faststream.nats.security import NatsNKey
from nats.aio.client import Client
from prometheus_client import REGISTRY, CollectorRegistry

from kompetensnav_chassis import streams, tracing
from kompetensnav_chassis.broker import upstream
from kompetensnav_chassis.broker.listener import Listener
from kompetensnav_chassis.broker.work import Gate, Work
from kompetensnav_chassis.db import Sessions
from kompetensnav_chassis.retry import DeadLetters
from kompetensnav_chassis.settings import ServiceSettings

log = structlog.get_logger()
GRACE = 5.0
"""Seconds a handler may go on when the service is stopped; what is not finished comes again."""


def _security(settings: ServiceSettings) -> NatsNKey | None:
    if not settings.nats_seed:
        return None
    context = streams.trust(settings.nats_ca)
    return NatsNKey.from_seed(settings.nats_seed.get_secret_value(), ssl_context=context)


def broker(listener: Listener, settings: ServiceSettings, sessions: Sessions) -> NatsBroker:
    """The service's broker with all its consumers; it binds to durables that the topology has made."""
    service = listener.service
    built = NatsBroker(
        settings.nats_url.split(","),
        name=service,
        security=_security(settings),
        inbox_prefix=f"_INBOX_{service}",
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.2,  # type: ignore[arg-type]
        connect_timeout=2,
        ping_interval=5,
        max_outstanding_pings=2,
        graceful_timeout=GRACE,
        ack_policy=AckPolicy.MANUAL,
        apply_types=False,
        logger=None,
        middlewares=[
            _Fallback,
            NatsPrometheusMiddleware(registry=_metrics()),
            NatsTelemetryMiddleware(tracer_provider=tracing.provider(service, settings.trace_endpoint)),
        ],
    )
    dead_letters = DeadLetters(settings.stack, settings.retry_seconds, service)
    gate = Gate(sessions)
    for consumer in listener.consumers:
        work = Work(consumer, sessions, dead_letters, lambda: client(built), gate)
        stream = JStream(consumer.stream(settings.stack), declare=False)
        subscriber = upstream.subscriber(built, consumer, stream, f"_INBOX_{service}.")
        subscriber.consumer, subscriber.gate = consumer, gate
        subscriber(work.many if consumer.many else work.one, decoder=_raw)
    return built


async def _raw(message: NatsMessage) -> Any:
    """nats-py's own message, or a batch of them: the consumer reads the event itself."""
    return message.raw_message


class _Fallback(BaseMiddleware):
    """A message whose consumer could not even settle it is left to the server, which delivers it again."""

    async def after_processed(
        self, exc_type: Any = None, exc_val: Any = None, exc_tb: Any = None
    ) -> bool | None:
        if isinstance(exc_val, Exception):
            log.error("message_left_to_server", error=type(exc_val).__name__)
            return True
        return False


def client(broker: NatsBroker) -> Client:
    """The connection of a connected broker."""
    connection: Client = broker.config.connection_state.connection
    return connection


async def connect(broker: NatsBroker, listener: Listener, stack: str, seconds: float = 20) -> None:
    """Connects and starts; raises RuntimeError with one readable line when the server or a durable is not
    there."""
    try:
        await asyncio.wait_for(broker.connect(), seconds)
    except (TimeoutError, nats.errors.Error, OSError) as down:
        raise RuntimeError(f"NATS does not answer: {type(down).__name__}") from down
    js = client(broker).jetstream()
    for consumer in listener.consumers:
        try:
            await js.consumer_info(consumer.stream(stack), consumer.durable)
        except (nats.js.errors.Error, nats.errors.Error) as missing:
            raise RuntimeError(
                f"Consumer {consumer.durable} is not there ({type(missing).__name__});"
                " run `kompetensnav topology apply`"
            ) from missing
    await broker.start()


async def watch(broker: NatsBroker) -> None:
    """Raises RuntimeError when the connection will not come back; the supervisor starts the process again."""
    connection = client(broker)
    while not (connection.is_closed or upstream.gave_up(connection)):
        await asyncio.sleep(0.5)
    raise RuntimeError("the connection to NATS is closed")


async def stop(broker: NatsBroker) -> None:
    """Stops fetching, lets handlers finish for a while, and closes.

    The framework's own stop drains each subscription, which waits for ever: the client does not count down
    the server's status messages that a pull subscription has been sent.
    """
    subscribers: list[Any] = list(broker.subscribers)
    for subscriber in subscribers:
        subscriber.running = False
    if pulling := [task for subscriber in subscribers for task in subscriber.tasks]:
        await asyncio.wait(pulling, timeout=GRACE)
    with contextlib.suppress(Exception):  # it may never have been connected
        await client(broker).close()


def _metrics() -> CollectorRegistry:
    registry = CollectorRegistry()
    REGISTRY.register(registry)
    return registry
