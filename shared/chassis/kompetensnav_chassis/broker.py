"""The doors for events. A service declares what it listens to; the broker is built here and nowhere else.

    listener = Listener("matching")

    @listener.on(SlotPosted)                 # acts on one event: one transaction per message
    async def on_slot_posted(event: SlotPosted, session: Session) -> None: ...

    @listener.on_many(LearnerMatched)        # volume: one transaction per at most 100 messages
    async def on_learners_matched(events: Sequence[LearnerMatched], session: Session) -> None: ...

Each is idempotent by construction: the event is entered in the inbox in the handler's own transaction, and
a message is acknowledged only after the commit.
"""

import asyncio
import contextlib
import json
import ssl
import time
import types
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import nats.errors
import nats.js.errors
import structlog
from faststream import AckPolicy, BaseMiddleware
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.opentelemetry import NatsTelemetryMiddleware
from faststream.nats.prometheus import NatsPrometheusMiddleware
from faststream.nats.security import NatsNKey
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig
from prometheus_client import REGISTRY, CollectorRegistry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_chassis import tracing, wire
from kompetensnav_chassis.attempts import note
from kompetensnav_chassis.db import Scope, Sessions, transaction
from kompetensnav_chassis.errors import Unfit
from kompetensnav_chassis.failpoints import failpoint
from kompetensnav_chassis.inbox import failed, first_time
from kompetensnav_chassis.retry import Aside
from kompetensnav_chassis.settings import ServiceSettings
from kompetensnav_contracts import Envelope, Event, Federated, subject

log = structlog.get_logger()
BATCH = 100
WORKERS = 4
PACE = 0.02
"""Seconds between the starts of two batches that are not full, at least."""
PATIENCE = 0.1
"""Seconds at most to let messages gather after a batch that took as long: a busy listener works in larger
batches, which cost less for each message."""
GRACE = 5.0
"""Seconds a handler may go on when the service is stopped; what is not finished comes again."""
Handler = Callable[[Any, AsyncSession], Awaitable[None]]
Answerer = Callable[[str, Any, Sessions], Awaitable[Any]]


@dataclass
class Door:
    """One durable consumer: the events it lets in, and what is done with them."""

    durable: str
    events: tuple[type[Event], ...]
    handler: Handler
    many: bool
    projection: bool = False
    """Whether all it writes follows from the events alone, so that a replay of the log makes it again."""
    in_turn: bool = False
    """Whether each event of a batch has a transaction of its own, in order."""
    polled_at: float = 0.0
    """When it last asked for messages, on the monotonic clock."""

    def stream(self, stack: str) -> str:
        """Where it hears them: among the stack's own events, or among what other stacks have told it."""
        return f"{'FEDIN' if self._is_federated else 'INT'}_{stack.upper()}"

    @property
    def filters(self) -> list[str]:
        """The subjects it lets in: its events, and those given to it once more."""
        kind = "fed" if self._is_federated else "int"
        return [*(subject(event) for event in self.events), f"replay.{kind}.{self.durable}.>"]

    @property
    def _is_federated(self) -> bool:
        return self.events[0].visibility == "fed"

    def event(self, name: str) -> type[Event]:
        """The class of an event's name; another version of it is read as the first class and refused
        there."""
        return next((e for e in self.events if e.name == name), self.events[0])


@dataclass
class Listener:
    """What a service listens to."""

    service: str
    doors: list[Door] = field(default_factory=list)
    questions: dict[str, Answerer] = field(default_factory=dict)

    def on(self, event: type[Event]) -> Callable[[Handler], Handler]:
        """The door for handlers that act on one event; named after it."""
        return self._door((event,), f"{self.service}-{event.name.replace('.', '-')}", many=False)

    def on_many(
        self, *events: type[Event], name: str = "", projection: bool = False, in_turn: bool = False
    ) -> Callable[[Handler], Handler]:
        """The door for volume; several events share one durable, which then needs a name. What a `projection`
        writes follows from the events alone: it can be rebuilt. `in_turn`: one event a transaction, for acts
        that lock rows in an order of their own."""
        durable = f"{self.service}-{name or events[0].name.replace('.', '-')}"
        return self._door(events, durable, many=True, projection=projection, in_turn=in_turn)

    def on_ask(self, thing: str) -> Callable[[Answerer], Answerer]:
        """Answers the question `ask.<municipality>.<service>.<thing>`: (municipality, question, sessions) ->
        answer."""

        def register(answerer: Answerer) -> Answerer:
            self.questions[thing] = answerer
            return answerer

        return register

    def _door(
        self,
        events: tuple[type[Event], ...],
        durable: str,
        *,
        many: bool,
        projection: bool = False,
        in_turn: bool = False,
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.doors.append(Door(durable, events, handler, many, projection, in_turn))
            return handler

        return register


def _security(settings: ServiceSettings) -> NatsNKey | None:
    if not settings.nats_seed:
        return None
    context = ssl.create_default_context(cafile=settings.nats_ca) if settings.nats_ca else None
    return NatsNKey.from_seed(settings.nats_seed.get_secret_value(), ssl_context=context)


def broker(listener: Listener, settings: ServiceSettings, sessions: Sessions) -> NatsBroker:
    """The service's broker with all its doors; it binds to durables that the topology has made."""
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
    streams = {
        name: JStream(name, declare=False) for name in {d.stream(settings.stack) for d in listener.doors}
    }
    aside = Aside(settings.stack, settings.retry_seconds, service)
    gate = Gate(sessions)
    for door in listener.doors:
        work = Work(door, sessions, aside, built, gate)
        _subscribe(built, service, streams[door.stream(settings.stack)], door, work)
    return built


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


class _Fallback(BaseMiddleware):
    """A message whose door could not even settle it is left to the server, which delivers it again."""

    async def after_processed(
        self, exc_type: Any = None, exc_val: Any = None, exc_tb: Any = None
    ) -> bool | None:
        if isinstance(exc_val, Exception):
            log.error("message_left_to_server", error=type(exc_val).__name__)
            return True
        return False


class Work:
    """What happens to each message of one door."""

    def __init__(self, door: Door, sessions: Sessions, aside: Aside, broker: NatsBroker, gate: Gate) -> None:
        self._door, self._sessions, self._aside, self._broker = door, sessions, aside, broker
        self.gate = gate
        self._service = aside.service

    async def one(self, message: Any) -> None:
        """Handles one message: inbox, handler, commit, ack."""
        await self._alone(message.raw_message)

    async def many(self, messages: Sequence[Msg]) -> None:
        """Handles a batch in one transaction; on an error one by one, so that only the bad message
        suffers."""
        if self._door.in_turn:
            for message in messages:
                await self._alone(message)
                failpoint(f"{self._door.durable}.mid-batch")
            return
        for message in messages:
            await self._begins(message)
        try:
            events = [self._read(message) for message in messages]
            await take(self._door, self._sessions, events)
        except Exception:
            for message in messages:
                await self._alone(message, noted=True)
            return
        failpoint(f"{self._door.durable}.after-commit")
        await messages[0].ack()
        failpoint(f"{self._door.durable}.mid-batch")
        await asyncio.gather(*(message.ack() for message in messages[1:]))

    async def _begins(self, message: Msg) -> None:
        """Of a try that ends with its process nothing else is ever known; the first is seldom one."""
        if message.metadata.num_delivered > 1:
            await note(self._service, message, "began")

    async def _alone(self, message: Msg, noted: bool = False) -> None:
        event: Event | None = None
        if not noted:
            await self._begins(message)
        try:
            event = self._read(message)
            _bind(event.envelope)
            async with transaction(
                self._sessions, Scope.of([event.envelope]), cause=event.envelope
            ) as session:
                if await first_time(session, self._door.durable, [event.envelope.id]):
                    await self._door.handler([event] if self._door.many else event, session)
                failpoint(f"{self._door.durable}.before-commit")
        except Exception as error:
            await self._failed(message, event, error)
        else:
            failpoint(f"{self._door.durable}.after-commit")
            await message.ack()

    async def _failed(self, message: Msg, event: Event | None, error: Exception) -> None:
        attempts = message.metadata.num_delivered
        if _is_away(error):  # it may be back already; the try is not counted
            self.gate.shut()
            attempts = 1
        elif event is not None and not isinstance(error, Unfit):
            try:
                attempts = await failed(self._sessions, self._door.durable, event.envelope.id)
            except Exception:  # the database has gone away, which is not the message's fault
                self.gate.shut()
                attempts = 1
        await self._aside.settle(self._js, message, error, attempts)

    def _read(self, message: Msg) -> Event:
        return read(self._door, message)

    @property
    def _js(self) -> JetStreamContext:
        return jetstream(self._broker)


def read(door: Door, message: Msg) -> Event:
    """The event in a message of a door. Raises Unfit, also when another stack speaks for a municipality that
    it may not speak for: what it may is held by the subjects that it can publish to."""
    headers = message.headers or {}
    event = wire.read(door.event(headers.get("ce-type", "")), headers, message.data)
    if isinstance(event, Federated) and not message.subject.endswith(
        subject(event, event.envelope.municipality)
    ):
        raise Unfit("the envelope says otherwise than the subject", "bad-envelope")
    return event


async def take(door: Door, sessions: Sessions, events: Sequence[Event]) -> None:
    """Gives a batch to the door's handler, in one transaction with its inbox rows."""
    async with transaction(sessions, Scope.of(e.envelope for e in events)) as session:
        new = await first_time(session, door.durable, [e.envelope.id for e in events])
        if fresh := [e for e in events if e.envelope.id in new]:
            session.info["cause"] = fresh[0].envelope
            _bind(fresh[0].envelope)
            await door.handler(_distinct(fresh), session)
        failpoint(f"{door.durable}.before-commit")


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


def _subscribe(broker: NatsBroker, service: str, stream: JStream, door: Door, work: Work) -> None:
    options: dict[str, Any] = {} if door.many else {"max_workers": WORKERS}
    subscriber: Any = broker.subscriber(
        config=ConsumerConfig(filter_subjects=door.filters),
        stream=stream,
        durable=door.durable,
        pull_sub=PullSub(BATCH, timeout=1, batch=True) if door.many else PullSub(1, timeout=1),
        inbox_prefix=f"_INBOX_{service}.".encode(),
        no_reply=True,
        decoder=_raw_batch if door.many else _raw,
        **options,
    )
    subscriber.gate, subscriber.door = work.gate, door
    subscriber._consume_pull = types.MethodType(_pull, subscriber)
    subscriber(work.many if door.many else work.one)


async def _raw(message: Any) -> Any:
    return message


async def _raw_batch(message: Any) -> Any:
    return message.raw_message


async def _pull(self: Any, cb: Callable[[Msg], Awaitable[None]] | None = None) -> None:
    """Replaces FastStream's pull loop, which waits for a full batch and spins when the connection is
    closed."""
    while self.running:
        self.door.polled_at = time.monotonic()
        await self.gate.wait()
        try:
            messages = await _fetch(self.subscription, self.pull_sub.batch_size)
        except TimeoutError:  # nats-py raises its own and, under load, the plain one
            continue
        except (nats.errors.Error, nats.js.errors.Error):
            await asyncio.sleep(0.5)
            continue
        if cb is None:
            if messages and self.running:
                began = time.monotonic()
                await self.consume(messages)
                if len(messages) < BATCH:  # let some gather; the first after a pause is taken at once
                    took = time.monotonic() - began
                    await asyncio.sleep(max(PACE - took, min(took, PATIENCE)))
            continue
        for message in messages:
            if self.running:
                await cb(message)
            else:
                await message.nak()


async def _fetch(subscription: Any, most: int) -> list[Msg]:
    """What waits, at most so many messages, as soon as there is one. Raises TimeoutError after a second.

    nats-py's fetch of many holds back what it has until the batch is full or the time is up; asked for just
    what the server says is waiting, it returns at once.
    """
    messages: list[Msg] = await subscription.fetch(1, timeout=1)
    waiting = min(most - 1, messages[0].metadata.num_pending)
    if waiting > 0:
        with contextlib.suppress(TimeoutError, nats.errors.Error, nats.js.errors.Error):
            messages += await subscription.fetch(waiting, timeout=0.1)
    return messages


def _is_away(error: Exception) -> bool:
    """Whether it tells that the database is away, which is not the message's fault."""
    return isinstance(error, ConnectionError | asyncpg.InternalClientError) or bool(
        getattr(error, "connection_invalidated", False)
    )


def jetstream(broker: NatsBroker) -> JetStreamContext:
    """The JetStream context of a connected broker."""
    js: JetStreamContext = broker.config.connection_state.stream
    return js


async def connect(broker: NatsBroker, listener: Listener, stack: str, seconds: float = 20) -> None:
    """Connects and starts; raises RuntimeError with one readable line when the server or a durable is not
    there."""
    try:
        await asyncio.wait_for(broker.connect(), seconds)
    except (TimeoutError, nats.errors.Error, OSError) as down:
        raise RuntimeError(f"NATS does not answer: {type(down).__name__}") from down
    for door in listener.doors:
        try:
            await jetstream(broker).consumer_info(door.stream(stack), door.durable)
        except (nats.js.errors.Error, nats.errors.Error) as missing:
            raise RuntimeError(
                f"Consumer {door.durable} is not there ({type(missing).__name__});"
                " run `kompetensnav topology apply`"
            ) from missing
    await broker.start()


async def answer_questions(broker: NatsBroker, listener: Listener, sessions: Sessions) -> None:
    """Subscribes the service's answers to questions (NATS request-reply, one queue group)."""
    connection = broker.config.connection_state.connection
    for thing, answerer in listener.questions.items():

        async def reply(message: Msg, answerer: Answerer = answerer) -> None:
            try:
                answered = await answerer(message.subject.split(".")[1], json.loads(message.data), sessions)
                await message.respond(wire.dumps(answered))
            except Exception as error:  # no answer: the asker tries again later
                log.warning("question_not_answered", error=type(error).__name__)

        await connection.subscribe(f"ask.*.{listener.service}.{thing}", queue=listener.service, cb=reply)


async def ask(broker: NatsBroker, municipality: str, service: str, thing: str, question: Any) -> Any:
    """The answer to a question. Raises TimeoutError when nobody answers in five seconds."""
    connection = broker.config.connection_state.connection
    try:
        answered = await connection.request(
            f"ask.{municipality}.{service}.{thing}", wire.dumps(question), timeout=5
        )
    except (nats.errors.NoRespondersError, nats.errors.TimeoutError) as silent:
        raise TimeoutError(f"{service} does not answer") from silent
    return json.loads(answered.data)


async def watch(broker: NatsBroker) -> None:
    """Raises RuntimeError when the connection will not come back; the supervisor starts the process again.

    The client's own call-back is not enough: when the server throws a user out, closing and reconnecting race
    with each other, and the client may be left neither closed nor trying.
    """
    client = broker.config.connection_state.connection
    while not (client.is_closed or _gave_up(client)):
        await asyncio.sleep(0.5)
    raise RuntimeError("the connection to NATS is closed")


def _gave_up(client: Any) -> bool:
    trying = client._reconnection_task
    return not client.is_connected and trying is not None and bool(trying.done())


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
        await broker.config.connection_state.connection.close()


def _metrics() -> CollectorRegistry:
    registry = CollectorRegistry()
    REGISTRY.register(registry)
    return registry
