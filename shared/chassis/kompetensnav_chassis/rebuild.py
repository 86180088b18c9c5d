"""A projection made again from the log, in a database of its own, to be compared with the one in use."""

import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import nats
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from kompetensnav_chassis import db
from kompetensnav_chassis.broker.listener import Consumer, Listener
from kompetensnav_chassis.broker.pull import BATCH
from kompetensnav_chassis.broker.work import read, take
from kompetensnav_chassis.db import Sessions
from kompetensnav_chassis.settings import ServiceSettings

log = structlog.get_logger()


@dataclass
class Rebuilt:
    """How much was taken in; `failed` could not be (the service itself makes them dead letters)."""

    events: int = 0
    failed: int = 0


async def rebuild(listener: Listener, settings: ServiceSettings, outbox: type, up_to: int) -> Rebuilt:
    """Replays the stack's log into the database of the settings, for each projection of the service.

    Reads with whatever user the settings name and acknowledges nothing, so that no consumer in use notices.
    """
    engine = db.engine(str(settings.database_url))
    sessions = db.sessions(engine, listener.service, outbox)
    seed = settings.nats_seed.get_secret_value().strip() if settings.nats_seed else None
    trust = {"tls": ssl.create_default_context(cafile=settings.nats_ca)} if settings.nats_ca else {}
    connection = await nats.connect(
        settings.nats_url.split(","), nkeys_seed_str=seed, connect_timeout=5, **trust
    )
    rebuilt = Rebuilt()
    try:
        for consumer in (c for c in listener.consumers if c.projection):
            async for messages in _log(connection, settings.stack, consumer, up_to):
                await _take(consumer, sessions, messages, rebuilt)
    finally:
        await connection.close()
        await engine.dispose()
    return rebuilt


async def _log(connection: Client, stack: str, consumer: Consumer, up_to: int) -> AsyncIterator[list[Msg]]:
    """The consumer's messages in stream order, in batches."""
    config = ConsumerConfig(
        filter_subjects=consumer.filters, deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE,
        inactive_threshold=60,
    )  # fmt: skip
    js = connection.jetstream()
    subscription = await js.pull_subscribe("", stream=consumer.stream(stack), config=config)
    left = (await subscription.consumer_info()).num_pending or 0
    while left > 0:
        messages = await subscription.fetch(min(BATCH, left), timeout=10)
        left -= len(messages)
        if wanted := [m for m in messages if m.metadata.sequence.stream <= up_to]:
            yield wanted
        else:
            return


async def _take(consumer: Consumer, sessions: Sessions, messages: Sequence[Msg], rebuilt: Rebuilt) -> None:
    try:
        await take(consumer, sessions, [read(consumer, message) for message in messages])
        rebuilt.events += len(messages)
    except Exception:
        for message in messages:
            await _alone(consumer, sessions, message, rebuilt)


async def _alone(consumer: Consumer, sessions: Sessions, message: Msg, rebuilt: Rebuilt) -> None:
    try:
        await take(consumer, sessions, [read(consumer, message)])
        rebuilt.events += 1
    except Exception as error:
        rebuilt.failed += 1
        log.warning("failed", seq=message.metadata.sequence.stream, error=type(error).__name__)
