"""Servers in memory and a clock that stands still: the chassis' own code runs on them, one step at a time.

Nothing of the chassis is imitated: its doors, relay, retry and collector run as they are. Only what lies
behind them is in memory: a broker with a stream and durable consumers, a database for each service with
transactions and locks, and an event loop whose time passes only when told. Whatever would cross a wire waits
at a gate. Who drives the simulation opens the gates one by one, in any order that a network allows, loses
what waits there, or kills a process between any two of them.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Self
from uuid import UUID

import nats.errors
import nats.js.errors
from sqlalchemy.orm import DeclarativeBase

from kompetensnav_chassis import broker, inbox, outbox, retry
from kompetensnav_chassis.db import metadata
from kompetensnav_chassis.outbox import OutboxRow

WINDOW = 600.0
"""Seconds in which the broker knows a message id again."""
ACK_WAIT = 5.0
MAX_DELIVER = 4
DELAYS = (1.0, 5.0)
"""Pauses before a failing message comes again."""
RESTART = 3.0
STACK = "model"


class Base(DeclarativeBase):
    """The one table whose name the chassis needs."""

    metadata = metadata()


class Outbox(OutboxRow, Base):
    """Rows on their way out."""


class Violation(AssertionError):
    """A promise was broken; the message names it."""


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when told."""

    now = 0.0

    def time(self) -> float:
        """Virtual seconds."""
        return self.now


@dataclass
class Gate:
    """Something on its way over a wire. Of one line only the first can go on."""

    process: "Process"
    line: str
    label: str
    opened: asyncio.Future[bool]
    """True = it arrives, False = it is lost."""


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


@dataclass
class Tables:
    """What a database holds, or what a transaction would change of it."""

    outbox: list[dict[str, Any]] = field(default_factory=list)
    inbox: dict[tuple[str, UUID], dict[str, Any]] = field(default_factory=dict)
    rows: dict[Any, Any] = field(default_factory=dict)
    effects: Counter[Any] = field(default_factory=Counter)


class Database:
    """The database of a service: committed tables, row locks, one advisory lock."""

    def __init__(self, service: str, loop: Loop) -> None:
        self.service, self.loop = service, loop
        self.tables = Tables()
        self.away = False
        self.locks: dict[Any, Session] = {}
        self.freed: list[asyncio.Future[None]] = []
        self.relay: Any = None
        """The connection that holds the relay's lock."""

    def release(self, session: "Session") -> None:
        """Gives back what a transaction had locked."""
        self.locks = {key: owner for key, owner in self.locks.items() if owner is not session}
        for waiter in self.freed:
            if not waiter.done():
                waiter.set_result(None)
        self.freed.clear()

    def apply(self, change: Tables) -> None:
        """Commits."""
        for row in change.outbox:
            self.tables.outbox.append(row | {"id": len(self.tables.outbox) + 1})
        self.tables.inbox |= change.inbox
        self.tables.rows |= change.rows
        self.tables.effects += change.effects


class Session:
    """A transaction as the chassis sees one."""

    def __init__(self, process: "Process", info: dict[str, Any]) -> None:
        self.process, self.info = process, info
        self.database = process.database
        self.change = Tables()
        self.line = f"db:{id(self)}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.database.release(self)

    @asynccontextmanager
    async def begin(self) -> Any:
        """Commits on return."""
        yield self
        told = SimpleNamespace(info=self.info, flush=lambda: None, execute=self._tell)
        outbox._write(told)  # type: ignore[arg-type]
        await self._cross("commit")
        self.database.apply(self.change)
        self.database.release(self)
        await self._cross("committed")
        for job in self.info.pop("nudged", ()):
            self.info["wake"](job)

    def _tell(self, _: Any, rows: Sequence[dict[str, Any]]) -> None:
        self.change.outbox += [{"published": None, "parked": None, "attempts": 0, **row} for row in rows]

    async def _cross(self, label: str) -> None:
        arrives = await self.process.cross(self.line, label)
        if self.database.away or not arrives:
            raise ConnectionError("the database is away")

    async def execute(self, statement: Any, parameters: Any = None) -> Any:
        """The statements that the chassis makes: of the inbox, and a look whether the database answers."""
        await self._cross("execute")
        if statement is inbox._FIRST:
            new = []
            for id in sorted(parameters["ids"]):
                row = await self._inbox((parameters["consumer"], id))
                if not row["handled"]:
                    self.change.inbox[parameters["consumer"], id] = row | {"handled": True}
                    new.append(id)
            return SimpleNamespace(scalars=lambda: new)
        if statement is inbox._FAILED:
            key = (parameters["consumer"], parameters["id"])
            row = await self._inbox(key)
            if row["handled"]:
                return SimpleNamespace(scalar=lambda: None)
            row = row | {"attempts": row["attempts"] + 1}
            self.change.inbox[key] = row
            return SimpleNamespace(scalar=lambda: row["attempts"])
        return None

    async def _inbox(self, key: tuple[str, UUID]) -> dict[str, Any]:
        await self.lock(("inbox", *key))
        found = self.change.inbox.get(key) or self.database.tables.inbox.get(key)
        return found or {"handled": False, "attempts": 0}

    async def lock(self, key: Any) -> None:
        """Waits until no other transaction has the row."""
        while self.database.locks.get(key, self) is not self:
            waiter = self.database.loop.create_future()
            self.database.freed.append(waiter)
            await waiter
        self.database.locks[key] = self

    async def get(self, key: Any) -> Any:
        """A row, None when there is none."""
        await self._cross("read")
        return self.change.rows.get(key, self.database.tables.rows.get(key))

    def put(self, key: Any, row: Any) -> None:
        """Writes a row."""
        self.change.rows[key] = row


class RelayConnection:
    """The relay's own connection to its database."""

    def __init__(self, process: "Process") -> None:
        self.process, self.database = process, process.database
        self.line = f"db:{id(self)}"

    async def _cross(self, label: str) -> None:
        arrives = await self.process.cross(self.line, label)
        if self.database.away or not arrives:
            raise ConnectionError("the database is away")

    async def fetchval(self, _: str, __: int) -> bool:
        """Tries the advisory lock."""
        await self._cross("lock")
        if self.database.relay is None:
            self.database.relay = self
        return self.database.relay is self

    async def fetch(self, _: str, most: int) -> list[dict[str, Any]]:
        """Rows not yet published."""
        await self._cross("outbox")
        waits = [r for r in self.database.tables.outbox if r["published"] is None and r["parked"] is None]
        return [row | {"headers": json.dumps(row["headers"])} for row in waits[:most]]

    async def execute(self, statement: str, *values: Any) -> None:
        """Marks rows, or parks one."""
        await self._cross("mark")
        rows = self.database.tables.outbox
        if "parked" in statement:
            rows[values[0] - 1]["parked"] = values[1]
        else:
            for id, seq in zip(*values, strict=True):
                rows[id - 1]["published"] = seq
        await self._cross("marked")

    async def close(self, **_: Any) -> None:
        """Gives back the lock."""
        if self.database.relay is self:
            self.database.relay = None


class Message:
    """A delivered message as nats-py gives it."""

    def __init__(self, process: "Process", consumer: Consumer, stored: Stored, deliveries: int) -> None:
        self.process, self.consumer, self.stored = process, consumer, stored
        self.headers, self.data, self.subject = stored.headers, stored.data, stored.subject
        self.reply, self._ackd, self._client = "ack", False, self
        self.metadata = SimpleNamespace(
            num_delivered=deliveries, consumer=consumer.name, stream="INT_MODEL",
            sequence=SimpleNamespace(stream=stored.seq), num_pending=consumer.waiting(),
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

    async def publish(self, _: str, data: bytes) -> None:
        """Ends it: `+TERM reason`."""
        assert data.startswith(b"+TERM ")
        await self._settle("term")


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
        return SimpleNamespace(seq=seq)

    async def get_msg(self, _: str, seq: int, direct: bool) -> Any:
        """A stored message."""
        if not await self.process.cross("nats", "get"):
            raise nats.errors.TimeoutError
        stored = self.server.log[seq - 1]
        return SimpleNamespace(subject=stored.subject, data=stored.data, headers=stored.headers)

    async def pull_subscribe_bind(self, durable: str, *_: Any, **__: Any) -> Subscription:
        """A subscription to a durable."""
        return Subscription(self.process, self.server.consumers[durable])


class Process:
    """One instance of a service, which can be killed, frozen and started again."""

    def __init__(self, simulation: "Simulation", name: str, database: Database, doors: Sequence[Any]) -> None:
        self.simulation, self.name, self.database, self.doors = simulation, name, database, doors
        self.frozen, self.running = False, False
        self.tasks: list[asyncio.Task[Any]] = []

    async def cross(self, line: str, label: str) -> bool:
        """Waits at a gate; whether what waited there arrives."""
        gate = Gate(self, f"{self.name}:{line}", label, self.simulation.loop.create_future())
        self.simulation.gates.append(gate)
        return await gate.opened

    def sessions(self, info: dict[str, Any]) -> Session:
        """A new session, as the chassis' session maker gives it."""
        mine = {"service": self.database.service, "outbox": Outbox, "wake": lambda _: self.relay.wake()}
        return Session(self, mine | info)

    def start(self) -> None:
        """Starts everything that the service does by itself, as `service_app` does."""
        self.running = True
        js = JetStream(self)
        self.relay = outbox.Relay(self.database.service, self.name, js, poll_seconds=60)
        self.spawn(self.relay.run())
        self.spawn(retry.collect(js, STACK, b"_INBOX"))  # type: ignore[arg-type]
        state = SimpleNamespace(config=SimpleNamespace(connection_state=SimpleNamespace(stream=js)))
        gate = broker.Gate(self.sessions)  # type: ignore[arg-type]
        for door in self.doors:
            aside = retry.Aside(STACK, DELAYS)
            work = broker.Work(door, self.sessions, aside, state, gate)  # type: ignore[arg-type]
            subscriber = SimpleNamespace(
                running=True, door=door, gate=gate, consume=work.many,
                pull_sub=SimpleNamespace(batch_size=broker.BATCH),
                subscription=Subscription(self, self.simulation.server.consumers[door.durable]),
            )  # fmt: skip
            self.spawn(broker._pull(subscriber))

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """Starts a task that ends with the process."""
        task = self.simulation.loop.create_task(work)
        self.tasks.append(task)
        return task

    def crash(self) -> None:
        """kill -9: what it was doing ends here; it is started again after a while."""
        if not self.running:
            return
        self.running = self.frozen = False
        for gate in self.simulation.gates:
            if gate.process is self:
                gate.opened.cancel()
        for task in self.tasks:
            task.cancel()
        self.tasks.clear()
        if self.database.relay is not None and self.database.relay.process is self:
            self.database.relay = None
        self.simulation.loop.call_later(RESTART, self.start)


class Simulation:
    """Processes, databases and a broker, driven step by step."""

    def __init__(self, doors: dict[str, Sequence[Any]], instances: Sequence[str]) -> None:
        self.loop = Loop()
        self.gates: list[Gate] = []
        self.server = Server(self.loop)
        self.problems: list[BaseException] = []
        for service in doors.values():
            for door in service:
                self.server.consumer(door.durable, frozenset(event.name for event in door.events))
        collector = Consumer(self.server, "collector", lambda _: True, self.server.advisories)
        self.server.consumers["collector"] = collector
        self.databases = {service: Database(service, self.loop) for service in doors}
        self.processes: dict[str, Process] = {}
        for name in instances:
            service = re.sub(r"-\d+$", "", name)
            process = Process(self, name, self.databases[service], doors[service])
            self.processes[name] = process
        clock = SimpleNamespace(monotonic=self.loop.time)
        self._real = (broker.time, outbox.time, outbox.asyncpg)
        broker.time = outbox.time = clock  # type: ignore[assignment]
        outbox.asyncpg = SimpleNamespace(  # type: ignore[assignment]
            connect=self._connect, PostgresError=self._real[2].PostgresError, InterfaceError=OSError,
        )  # fmt: skip
        self.loop.set_exception_handler(self._problem)
        for process in self.processes.values():
            process.start()
        self.settle()

    async def _connect(self, name: str, **_: Any) -> RelayConnection:
        process = self.processes[name]
        if not await process.cross("relay", "connect") or process.database.away:
            raise ConnectionError("the database is away")
        return RelayConnection(process)

    def _problem(self, _: Any, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), Exception):
            self.problems.append(context["exception"])

    def settle(self) -> None:
        """Lets everybody go on until all wait at gates or for time to pass."""
        while self.loop._ready:  # type: ignore[attr-defined]
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
        for process in self.processes.values():
            for task in process.tasks:
                if task.done() and not task.cancelled() and isinstance(task.exception(), Violation):
                    raise task.exception()  # type: ignore[misc]

    def open_gates(self) -> list[Gate]:
        """What can go on: of each line the first, of processes that are not frozen."""
        self.gates = [gate for gate in self.gates if not gate.opened.done()]
        first: dict[str, Gate] = {}
        for gate in self.gates:
            if not gate.process.frozen:
                first.setdefault(gate.line, gate)
        return list(first.values())

    def step(self, choice: int = 0) -> bool:
        """Opens a gate; False when there is none."""
        gates = self.open_gates()
        if gates:
            gates[choice % len(gates)].opened.set_result(True)
            self.settle()
        return bool(gates)

    def lose(self, choice: int) -> None:
        """What waits at a gate is lost, and all that follows it on the same line: a broken connection."""
        gates = self.open_gates()
        if not gates:
            return
        chosen = gates[choice % len(gates)]
        lines = {chosen.line}
        if ":nats" in chosen.line:
            lines = {f"{chosen.process.name}:nats", f"{chosen.process.name}:nats-back"}
        for gate in self.gates:
            if gate.line in lines and not gate.opened.done():
                gate.opened.set_result(False)
        self.settle()

    def advance(self, seconds: float | None = None) -> None:
        """Time passes: so many seconds, or until somebody's timer."""
        timers = self.loop._scheduled  # type: ignore[attr-defined]
        if seconds is None:
            if timers:
                self.loop.now = max(self.loop.now, timers[0].when())
        else:
            self.loop.now += seconds
        self.loop.call_soon(lambda: None)
        self.settle()

    def is_quiet(self) -> bool:
        """Whether nothing is on its way."""
        waiting = any(r["published"] is r["parked"] is None for db in self.databases.values()
                      for r in db.tables.outbox)  # fmt: skip
        up = all(process.running for process in self.processes.values())
        return up and not waiting and all(c.is_quiet() for c in self.server.consumers.values())

    def drain(self) -> None:
        """Heals everything and goes on until it is quiet."""
        for process in self.processes.values():
            process.frozen = False
        for database in self.databases.values():
            database.away = False
        for _ in range(50_000):
            if self.step():
                continue
            if self.is_quiet():
                return
            self.advance()
        raise Violation("never at rest: something goes round for ever")

    def close(self) -> None:
        """Ends everything."""
        for process in self.processes.values():
            for task in process.tasks:
                task.cancel()
        self.gates.clear()
        with suppress(Violation):
            self.settle()
        self.loop.close()
        broker.time, outbox.time, outbox.asyncpg = self._real


def effect(session: Session, consumer: str, id: UUID) -> None:
    """Notes that a handler had its effect for an event, in the handler's own transaction."""
    session.change.effects[consumer, id] += 1
