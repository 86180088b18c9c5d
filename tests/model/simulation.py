"""Servers in memory and a clock that stands still: the chassis' own code runs on them, one step at a time.

Nothing of the chassis is imitated: its consumers, relay, retry and collector run as they are. Only what lies
behind them is in memory: a broker with a stream and durable consumers, a database for each service with
transactions and locks, and an event loop whose time passes only when told. Whatever would cross a wire waits
at a gate. Who drives the simulation opens the gates one by one, in any order that a network allows, loses
what waits there, or kills a process between any two of them.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from model.bus import DELAYS, Client, Consumer, Loop, Server, Subscription, Violation
from model.store import Database, Outbox, RelayConnection, Session

from kompetensnav_chassis import outbox, pace, retry
from kompetensnav_chassis.broker import pull
from kompetensnav_chassis.broker.work import Gate as DatabaseGate
from kompetensnav_chassis.broker.work import Work
from kompetensnav_operations.edges import collector

RESTART = 3.0
STACK = "model"


@dataclass
class Gate:
    """Something on its way over a wire. Of one line only the first can go on."""

    process: "Process"
    line: str
    label: str
    opened: asyncio.Future[bool]
    """True = it arrives, False = it is lost."""


class Process:
    """One instance of a service, which can be killed, frozen and started again."""

    def __init__(
        self, simulation: "Simulation", name: str, database: Database, consumers: Sequence[Any]
    ) -> None:
        self.simulation, self.name, self.database, self.consumers = simulation, name, database, consumers
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
        client = Client(self)
        self.relay = outbox.Relay(self.database.service, self.name, client.jetstream(), polls=(60, 60))
        self.spawn(self.relay.run())
        self.spawn(collector.collect(client, STACK, b"_INBOX"))  # type: ignore[arg-type]
        gate = DatabaseGate(self.sessions)  # type: ignore[arg-type]
        dead_letters = retry.DeadLetters(STACK, DELAYS, "town")
        for consumer in self.consumers:
            work = Work(consumer, self.sessions, dead_letters, lambda: client, gate)  # type: ignore[arg-type]
            subscriber = SimpleNamespace(
                running=True, consumer=consumer, gate=gate,
                subscription=Subscription(self, self.simulation.server.consumers[consumer.durable]),
            )  # fmt: skip
            self.spawn(pull.in_batches(subscriber, work.many))

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

    def __init__(self, consumers: dict[str, Sequence[Any]], instances: Sequence[str]) -> None:
        self.loop = Loop()
        self.gates: list[Gate] = []
        self.server = Server(self.loop)
        self.problems: list[BaseException] = []
        for service in consumers.values():
            for consumer in service:
                names = frozenset(event.name for event in consumer.events)
                self.server.consumer(consumer.durable, names)
        collector = Consumer(self.server, "collector", lambda _: True, self.server.advisories)
        self.server.consumers["collector"] = collector
        self.databases = {service: Database(service, self.loop) for service in consumers}
        self.processes: dict[str, Process] = {}
        for name in instances:
            service = re.sub(r"-\d+$", "", name)
            process = Process(self, name, self.databases[service], consumers[service])
            self.processes[name] = process
        clock = SimpleNamespace(monotonic=self.loop.time)
        self._real = (pull.time, pace.time, outbox.time, outbox.asyncpg)
        pull.time = pace.time = outbox.time = clock  # type: ignore[assignment]
        outbox.asyncpg = SimpleNamespace(  # type: ignore[assignment]
            connect=self._connect, PostgresError=self._real[3].PostgresError, InterfaceError=OSError,
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
        pull.time, pace.time, outbox.time, outbox.asyncpg = self._real
