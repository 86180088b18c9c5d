"""The broker in memory, as nats-py shows it: a stream, dead letters, and durable consumers."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import nats.errors

if TYPE_CHECKING:
    from model.simulation import Process

WINDOW = 600.0
"""Seconds in which the broker knows a message id again."""
ACK_WAIT = 5.0
MAX_DELIVER = 4
STORED = datetime(2026, 11, 1, tzinfo=UTC)
"""When every message was stored: the stream is never made anew here."""
DELAYS = (1.0, 5.0)
"""Pauses before a failing message comes again."""


class Violation(AssertionError):
    """A promise was broken; the message names it."""


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when told."""

    now = 0.0

    def time(self) -> float:
        """Virtual seconds."""
        return self.now


@dataclass
class Stored:
    """A message of the stream."""

    seq: int
    subject: str
    headers: dict[str, str]
    data: bytes

    @property
    def name(self) -> str:
        """The event's name."""
        return self.subject.split(".", 3)[3]


@dataclass
class Pending:
    """A message that a consumer has delivered and that is not settled."""

    deliveries: int
    due: float
    """When it is delivered again."""


class Consumer:
    """A durable consumer: pull, explicit acknowledgement, a limited number of deliveries."""

    def __init__(self, server: "Server", name: str, accepts: Callable[[Stored], bool], log: list[Stored]):
        self.server, self.name, self.accepts, self.log = server, name, accepts, log
        self.next = 0
        self.pending: dict[int, Pending] = {}
        self.settled: dict[int, str] = {}
        self.not_before: dict[int, float] = {}
        self.waiters: list[asyncio.Future[None]] = []

    def waiting(self) -> int:
        """Messages not yet delivered for the first time."""
        return sum(self.accepts(m) for m in self.log[self.next :])

    def take(self, most: int) -> list[tuple[Stored, int]]:
        """(message, deliveries) of what can be delivered now."""
        now, taken = self.server.loop.now, []
        for seq, waits in sorted(self.pending.items()):
            if waits.due > now + 1e-6:  # timers may be early by the clock's resolution
                continue
            if waits.deliveries >= MAX_DELIVER:
                del self.pending[seq]
                self.settled[seq] = "given up"
                self.server.advise(self.name, seq, waits.deliveries)
            elif len(taken) < most:
                taken.append((self.log[seq - 1], waits.deliveries + 1))
        while self.next < len(self.log) and len(taken) < most:
            message = self.log[self.next]
            self.next += 1
            if self.accepts(message):
                taken.append((message, 1))
        for message, deliveries in taken:
            if now < self.not_before.pop(message.seq, 0):
                raise Violation(f"retried at once: message {message.seq} of {self.name}")
            self._again(message.seq, deliveries, ACK_WAIT)
        return taken

    def _again(self, seq: int, deliveries: int, after: float) -> None:
        due = self.server.loop.now + after
        self.pending[seq] = Pending(deliveries, due)
        self.server.loop.call_at(due, self.notify)

    def settle(self, seq: int, how: str, delay: float | None = None) -> None:
        """Acknowledged, ended, or to come again."""
        if seq not in self.pending:
            return
        if how == "nak":
            self.not_before[seq] = self.server.loop.now + 0.85 * DELAYS[0]
            self._again(seq, self.pending[seq].deliveries, delay or 0.0)
        else:
            del self.pending[seq]
            self.settled[seq] = how

    def notify(self) -> None:
        """Whoever waits for a message looks again."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
        self.waiters.clear()

    async def available(self) -> None:
        """Returns when there may be something to take."""
        waiter = self.server.loop.create_future()
        self.waiters.append(waiter)
        await waiter

    def is_quiet(self) -> bool:
        """Whether everything is settled."""
        return not self.pending and not self.waiting()


class Server:
    """The broker: a stream of events, dead letters, advisories, and durable consumers."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.log: list[Stored] = []
        self.dead: list[Stored] = []
        self.advisories: list[Stored] = []
        self.consumers: dict[str, Consumer] = {}
        self._known: dict[str, tuple[int, float]] = {}

    def consumer(self, name: str, names: frozenset[str]) -> None:
        """Makes a durable over the events of these names."""
        self.consumers[name] = Consumer(self, name, lambda m: m.name in names, self.log)

    def store(self, subject: str, data: bytes, headers: dict[str, str]) -> int:
        """Stores a message, unless its id was seen within the window; returns its sequence."""
        into = self.dead if subject.startswith("dead.") else self.log
        id = headers.get("Nats-Msg-Id", "")
        seq, at = self._known.get(id, (0, -WINDOW))
        if id and self.loop.now - at < WINDOW:
            return seq
        into.append(Stored(len(into) + 1, subject, dict(headers), data))
        self._known[id] = (len(into), self.loop.now)
        self._notify()
        return len(into)

    def advise(self, consumer: str, seq: int, deliveries: int) -> None:
        """Tells that a message was delivered as often as it may be."""
        about = {"type": "max_deliver", "stream": "INT_MODEL", "stream_seq": seq, "consumer": consumer}
        data = json.dumps(about | {"deliveries": deliveries}).encode()
        self.advisories.append(Stored(len(self.advisories) + 1, "advisory.x.x.x", {}, data))
        self._notify()

    def _notify(self) -> None:
        for consumer in self.consumers.values():
            consumer.notify()


class Message:
    """A delivered message as nats-py gives it."""

    def __init__(self, process: "Process", consumer: Consumer, stored: Stored, deliveries: int) -> None:
        self.process, self.consumer, self.stored = process, consumer, stored
        self.headers, self.data, self.subject = stored.headers, stored.data, stored.subject
        self.reply = f"ack.{consumer.name}.{stored.seq}"
        self.metadata = SimpleNamespace(
            num_delivered=deliveries, consumer=consumer.name, stream="INT_MODEL",
            sequence=SimpleNamespace(stream=stored.seq), num_pending=consumer.waiting(),
            timestamp=STORED,
        )  # fmt: skip

    async def _settle(self, how: str, delay: float | None = None) -> None:
        if await self.process.cross("nats", how):
            self.consumer.settle(self.stored.seq, how, delay)

    async def ack(self) -> None:
        """Done."""
        await self._settle("ack")

    async def nak(self, delay: float | None = None) -> None:
        """Again later."""
        await self._settle("nak", delay)


class Subscription:
    """A pull subscription as nats-py gives it."""

    def __init__(self, process: "Process", consumer: Consumer) -> None:
        self.process, self.consumer = process, consumer

    async def fetch(self, most: int, timeout: float) -> list[Message]:
        """At least one message; waits for ever unless asked not to."""
        await self._cross("fetch")
        while not (taken := self.consumer.take(most)):
            if timeout < 1:
                raise nats.errors.TimeoutError
            await self.consumer.available()
        await self._cross("deliver")
        return [Message(self.process, self.consumer, stored, n) for stored, n in taken]

    async def _cross(self, label: str) -> None:
        if not await self.process.cross("nats", label):
            raise nats.errors.ConnectionClosedError


class Client:
    """A connection as nats-py gives it."""

    max_payload = 1_048_576

    def __init__(self, process: "Process") -> None:
        self.process = process

    def jetstream(self) -> "JetStream":
        """Its JetStream."""
        return JetStream(self.process)

    async def publish(self, subject: str, data: bytes) -> None:
        """Ends a message: `+TERM reason`. A note of a try reaches nobody here."""
        if subject.startswith("attempt."):
            return
        assert data.startswith(b"+TERM ")
        _, consumer, seq = subject.split(".")
        if await self.process.cross("nats", "term"):
            self.process.simulation.server.consumers[consumer].settle(int(seq), "term")

    async def request(self, subject: str, question: bytes, timeout: float) -> Any:
        """A stored message, as the answer to a direct get."""
        assert subject.startswith("$JS.API.DIRECT.GET.")
        if not await self.process.cross("nats", "get"):
            raise nats.errors.TimeoutError
        stored = self.process.simulation.server.log[json.loads(question)["seq"] - 1]
        place = {"Nats-Sequence": str(stored.seq), "Nats-Time-Stamp": STORED.isoformat()}
        headers = stored.headers | place | {"Nats-Subject": stored.subject}
        return SimpleNamespace(headers=headers, data=stored.data)


class JetStream:
    """A connection's JetStream as nats-py gives it."""

    def __init__(self, process: "Process") -> None:
        self.process, self.server = process, process.simulation.server

    async def publish(self, subject: str, data: bytes, headers: dict[str, str], timeout: float) -> Any:
        """Stored, and acknowledged; a time-out says neither yes nor no."""
        if not await self.process.cross("nats", "publish"):
            raise nats.errors.TimeoutError
        seq = self.server.store(subject, data, headers)
        if not await self.process.cross("nats-back", "published"):
            raise nats.errors.TimeoutError
        return SimpleNamespace(seq=seq, duplicate=None)

    async def pull_subscribe_bind(self, durable: str, *_: Any, **__: Any) -> Subscription:
        """A subscription to a durable."""
        return Subscription(self.process, self.server.consumers[durable])
