"""The loop that fetches a consumer's messages, as subscriber classes of FastStream's.

FastStream's own loop waits for a full batch, and spins while the connection is closed
(ag2ai/faststream#2632); this one takes what is there, waits while the database is away, and lets messages
gather under load.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import nats.errors
import nats.js.errors
from faststream.nats.subscriber.usecases import BatchPullStreamSubscriber, ConcurrentPullStreamSubscriber
from nats.aio.msg import Msg

from kompetensnav_chassis import pace
from kompetensnav_chassis.broker.listener import Consumer
from kompetensnav_chassis.broker.work import Gate

BATCH = 100
"""Messages of a batch at most."""
WORKERS = 4
"""Messages that one consumer handles at the same time, when each is handled alone."""


class Subscription(Protocol):
    """What is used of nats-py's pull subscription."""

    async def fetch(self, batch: int, timeout: float) -> list[Msg]:
        """At most so many messages. Raises TimeoutError when none came in time."""


class Fetching(Protocol):
    """A subscriber of either kind."""

    running: bool
    subscription: Any
    """A `Subscription`, once started."""
    consumer: Consumer
    gate: Gate


class BatchSubscriber(BatchPullStreamSubscriber):
    """Gives a consumer its messages in batches."""

    consumer: Consumer
    gate: Gate

    async def _consume_pull(self) -> None:
        await in_batches(self, self.consume)


class SingleSubscriber(ConcurrentPullStreamSubscriber):
    """Gives a consumer its messages one by one, a few at the same time."""

    consumer: Consumer
    gate: Gate

    async def _consume_pull(self, cb: Callable[[Msg], Awaitable[Any]]) -> None:
        async for messages in fetched(self, 1):
            for message in messages:
                if self.running:
                    await cb(message)
                else:
                    await message.nak()


async def in_batches(subscriber: Fetching, consume: Callable[[list[Msg]], Awaitable[Any]]) -> None:
    """Consumes batches until the subscriber is stopped; the first after a pause is taken at once."""
    async for messages in fetched(subscriber, BATCH):
        if not subscriber.running:
            return
        began = time.monotonic()
        await consume(messages)
        if len(messages) < BATCH:
            await pace.rest(began)


async def fetched(subscriber: Fetching, most: int) -> AsyncIterator[list[Msg]]:
    """What the consumer receives, until the subscriber is stopped; nothing while the database is away."""
    while subscriber.running:
        subscriber.consumer.polled_at = time.monotonic()
        await subscriber.gate.wait()
        try:
            yield await fetch(subscriber.subscription, most)
        except TimeoutError:  # nats-py raises its own and, under load, the plain one
            continue
        except (nats.errors.Error, nats.js.errors.Error):
            await asyncio.sleep(0.5)


async def fetch(subscription: Subscription, most: int) -> list[Msg]:
    """What waits, at most so many messages, as soon as there is one. Raises TimeoutError after a second.

    nats-py's fetch of many holds back what it has until the batch is full or the time is up; asked for just
    what the server says is waiting, it returns at once.
    """
    messages = await subscription.fetch(1, timeout=1)
    waiting = min(most - 1, messages[0].metadata.num_pending)
    if waiting > 0:
        with contextlib.suppress(TimeoutError, nats.errors.Error, nats.js.errors.Error):
            messages += await subscription.fetch(waiting, timeout=0.1)
    return messages
