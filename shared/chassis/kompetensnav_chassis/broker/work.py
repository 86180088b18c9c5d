"""What happens to each message of a consumer: inbox, handler, commit, acknowledgement."""

import asyncio
from collections.abc import Callable, Sequence

import asyncpg
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from sqlalchemy import text

from kompetensnav_chassis import wire
from kompetensnav_chassis.attempts import note
from kompetensnav_chassis.broker.listener import Consumer
from kompetensnav_chassis.db import Scope, Sessions, transaction
from kompetensnav_chassis.errors import InvalidMessage
from kompetensnav_chassis.failpoints import failpoint
from kompetensnav_chassis.inbox import failed, first_time
from kompetensnav_chassis.retry import DeadLetters
from kompetensnav_chassis.streams import Stored
from kompetensnav_contracts import Envelope, Event, Federated, subject

log = structlog.get_logger()


class Gate:
    """Shut while the database is away: nothing is fetched then, so no message uses up its deliveries."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions, self._shut = sessions, False

    def shut(self) -> None:
        """The database did not answer."""
        self._shut = True

    async def wait(self) -> None:
        """Returns when the database answers."""
        while self._shut:
            try:
                async with transaction(self._sessions, Scope()) as session:
                    await session.execute(text("select 1"))
                self._shut = False
            except Exception as error:
                log.warning("waiting_for_database", error=type(error).__name__)
                await asyncio.sleep(0.5)


class Work:
    """What happens to each message of one consumer."""

    def __init__(
        self,
        consumer: Consumer,
        sessions: Sessions,
        dead_letters: DeadLetters,
        client: Callable[[], Client],
        gate: Gate,
    ) -> None:
        self._consumer, self._sessions, self._gate = consumer, sessions, gate
        self._dead_letters, self._client = dead_letters, client
        self._service = dead_letters.service

    async def one(self, message: Msg) -> None:
        """Handles one message: inbox, handler, commit, ack."""
        await self._alone(message)

    async def many(self, messages: Sequence[Msg]) -> None:
        """Handles a batch in one transaction; on an error one by one, so that only the bad message
        suffers."""
        if self._consumer.in_turn:
            for message in messages:
                await self._alone(message)
                failpoint(f"{self._consumer.durable}.mid-batch")
            return
        for message in messages:
            await self._begins(message)
        try:
            events = [read(self._consumer, message) for message in messages]
            await take(self._consumer, self._sessions, events)
        except Exception:
            for message in messages:
                await self._alone(message, noted=True)
            return
        failpoint(f"{self._consumer.durable}.after-commit")
        await messages[0].ack()
        failpoint(f"{self._consumer.durable}.mid-batch")
        await asyncio.gather(*(message.ack() for message in messages[1:]))

    async def _begins(self, message: Msg) -> None:
        """Of a try that ends with its process nothing else is ever known; the first is seldom one."""
        if message.metadata.num_delivered > 1:
            await note(self._client(), self._service, message, "began")

    async def _alone(self, message: Msg, noted: bool = False) -> None:
        event: Event | None = None
        if not noted:
            await self._begins(message)
        try:
            event = read(self._consumer, message)
            _bind(event.envelope)
            async with transaction(
                self._sessions, Scope.of([event.envelope]), cause=event.envelope
            ) as session:
                if await first_time(session, self._consumer.durable, [event.envelope.id]):
                    await self._consumer.handler([event] if self._consumer.many else event, session)
                failpoint(f"{self._consumer.durable}.before-commit")
        except Exception as error:
            await self._failed(message, event, error)
        else:
            failpoint(f"{self._consumer.durable}.after-commit")
            await message.ack()

    async def _failed(self, message: Msg, event: Event | None, error: Exception) -> None:
        attempts = message.metadata.num_delivered
        if _is_away(error):  # it may be back already; the try is not counted
            self._gate.shut()
            attempts = 1
        elif event is not None and not isinstance(error, InvalidMessage):
            try:
                attempts = await failed(self._sessions, self._consumer.durable, event.envelope.id)
            except Exception:  # the database has gone away, which is not the message's fault
                self._gate.shut()
                attempts = 1
        await self._dead_letters.settle(self._client(), message, error, attempts)


def read(consumer: Consumer, message: Msg | Stored) -> Event:
    """The event in a message of a consumer. Raises InvalidMessage, also when another stack speaks for a
    municipality that it may not speak for: what it may is held by the subjects that it can publish to."""
    headers = message.headers or {}
    event = wire.read(consumer.event(headers.get("ce-type", "")), headers, message.data)
    if isinstance(event, Federated) and not message.subject.endswith(
        subject(event, event.envelope.municipality)
    ):
        raise InvalidMessage("the envelope says otherwise than the subject", "bad-envelope")
    return event


async def take(consumer: Consumer, sessions: Sessions, events: Sequence[Event]) -> None:
    """Gives a batch to the consumer's handler, in one transaction with its inbox rows."""
    async with transaction(sessions, Scope.of(e.envelope for e in events)) as session:
        new = await first_time(session, consumer.durable, [e.envelope.id for e in events])
        if fresh := [e for e in events if e.envelope.id in new]:
            session.info["cause"] = fresh[0].envelope
            _bind(fresh[0].envelope)
            await consumer.handler(_distinct(fresh), session)
        failpoint(f"{consumer.durable}.before-commit")


def _bind(envelope: Envelope) -> None:
    """Ties what is logged from here on to the event and to the chain it belongs to."""
    structlog.contextvars.bind_contextvars(
        event_id=str(envelope.id),
        correlation_id=str(envelope.correlationid),
        traceparent=envelope.traceparent,
    )


def _distinct(events: Sequence[Event]) -> list[Event]:
    """The batch in order, each event once (a batch may hold a message twice)."""
    return list({e.envelope.id: e for e in events}.values())


def _is_away(error: Exception) -> bool:
    """Whether it tells that the database is away, which is not the message's fault."""
    return isinstance(error, ConnectionError | asyncpg.InternalClientError) or bool(
        getattr(error, "connection_invalidated", False)
    )
