"""A projection made again from the log, in a database of its own, to be compared with the one in use."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from kompetensnav_chassis import db, streams
from kompetensnav_chassis.broker.listener import Consumer, Listener
from kompetensnav_chassis.broker.pull import BATCH
from kompetensnav_chassis.broker.work import read, take
from kompetensnav_chassis.db import Sessions
from kompetensnav_chassis.settings import ServiceSettings
from kompetensnav_chassis.streams import Stored

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
    seed = settings.nats_seed.get_secret_value() if settings.nats_seed else None
    connection = await streams.connect(settings.nats_url, seed, ca=settings.nats_ca)
    rebuilt = Rebuilt()
    try:
        for consumer in (c for c in listener.consumers if c.projection):
            stream = consumer.stream(settings.stack)
            async for messages in streams.batches(connection, stream, consumer.filters, BATCH):
                wanted = [m for m in messages if m.seq <= up_to]
                if not wanted:
                    break
                await _take(consumer, sessions, wanted, rebuilt)
    finally:
        await connection.close()
        await engine.dispose()
    return rebuilt


async def _take(consumer: Consumer, sessions: Sessions, messages: Sequence[Stored], rebuilt: Rebuilt) -> None:
    try:
        await take(consumer, sessions, [read(consumer, message) for message in messages])
        rebuilt.events += len(messages)
    except Exception:
        for message in messages:
            await _alone(consumer, sessions, message, rebuilt)


async def _alone(consumer: Consumer, sessions: Sessions, message: Stored, rebuilt: Rebuilt) -> None:
    try:
        await take(consumer, sessions, [read(consumer, message)])
        rebuilt.events += 1
    except Exception as error:
        rebuilt.failed += 1
        log.warning("failed", seq=message.seq, error=type(error).__name__)
