"""A small town on the simulation: slots are posted, learners are matched, seats are reserved, all is counted.

The handlers are as the services' are, in the rules that delivery stands on: rows locked in the order of their
ids, whole states guarded by the revision, a fact per counted event.
"""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from model.bus import DELAYS, Violation
from model.simulation import Simulation
from model.store import Session, effect

from kompetensnav_chassis.broker.listener import Listener
from kompetensnav_chassis.db import Scope, transaction
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.matching import LearnerMatched
from kompetensnav_contracts.events.registry import SeatRefused, SeatReserved, SlotChanged, SlotPosted
from kompetensnav_contracts.vocabulary import Refusal

CODE = "2580"
INSTANCES = ("registry-1", "registry-2", "matching-1", "reporting-1")
SLOT = {
    "employer_id": UUID(int=1), "workplace_id": UUID(int=2), "placement_type": "apl", "occupation": "5321",
    "starts_on": "2027-02-01", "ends_on": "2027-03-26", "locality": "lulea",
}  # fmt: skip
MATCH = {
    "round_id": UUID(int=3), "slot_municipality": CODE, "workplace_id": UUID(int=2), "placement_type": "apl",
    "occupation": "5321", "starts_on": "2027-02-01", "cost": 1,
}  # fmt: skip
REPORTED = (SlotPosted, SlotChanged, LearnerMatched, SeatReserved, SeatRefused)
Run = Callable[[Any], Any]


class Stumble(Exception):
    """A handler that fails, for a while."""


class Town:
    """The people's acts, and what they were told."""

    def __init__(self) -> None:
        random.seed(0)
        self.stumbles: Counter[str] = Counter()
        """Durable -> how many of its next calls fail."""
        self.deadly: Counter[str] = Counter()
        """Durable -> how many of its next calls kill the process."""
        self.failures: Counter[tuple[str, UUID]] = Counter()
        self.asked: dict[UUID, str] = {}
        """Slot -> acked or unknown."""
        self.slots: list[UUID] = []
        self.harmed = False
        """Whether anything was lost, killed, frozen or late."""
        self._ids = 1000
        consumers = {
            "registry": self._consumers("registry", self._reserve, LearnerMatched),
            "matching": self._consumers("matching", self._project, SlotPosted, SlotChanged, name="registry"),
            "reporting": self._consumers("reporting", self._count, *REPORTED, name="placements"),
        }
        self.simulation = Simulation(consumers, INSTANCES)

    def _consumers(self, service: str, handler: Any, *events: Any, name: str = "") -> Sequence[Any]:
        listener = Listener(service)

        async def handle(batch: Sequence[Any], session: Session) -> None:
            durable = listener.consumers[0].durable
            if self.deadly[durable] > 0:
                self.deadly[durable] -= 1
                session.process.crash()
                await session.get("nothing")  # never answered
            if self.stumbles[durable] > 0:
                self.stumbles[durable] -= 1
                self.failures.update((durable, event.envelope.id) for event in batch)
                raise Stumble
            await handler(batch, session)
            for event in batch:
                effect(session, durable, event.envelope.id)

        listener.on_many(*events, name=name)(handle)
        return listener.consumers

    async def _reserve(self, batch: Sequence[LearnerMatched], session: Session) -> None:
        for slot_id in sorted({event.slot_id for event in batch}):
            await session.lock(("slot", slot_id))
        for event in batch:
            row = await session.get(("slot", event.slot_id)) or {"seats": 0, "taken": 0}
            seat = {
                "match_id": event.match_id, "request_id": event.request_id, "slot_id": event.slot_id,
                "round_id": event.round_id, "workplace_id": event.workplace_id,
                "workplace_municipality": CODE,
            }  # fmt: skip
            if row["taken"] < row["seats"]:
                session.put(("slot", event.slot_id), row | {"taken": row["taken"] + 1})
                told: Any = SeatReserved(**seat, seat_id=event.match_id)
            else:
                told = SeatRefused(**seat, refusal=Refusal.SLOT_IS_FULL)
            self._tell(session, told, 1, event.envelope)

    async def _project(self, batch: Sequence[Any], session: Session) -> None:
        for event in sorted(batch, key=lambda event: (event.slot_id, event.envelope.revision)):
            await session.lock(("slot", event.slot_id))
            row = await session.get(("slot", event.slot_id))
            if row is None or row["revision"] < event.envelope.revision:
                state = {"seats": event.seats, "revision": event.envelope.revision}
                session.put(("slot", event.slot_id), state)

    async def _count(self, batch: Sequence[Any], session: Session) -> None:
        for event in batch:
            session.put(("fact", event.envelope.id), event.name)

    def _tell(self, session: Session, event: Any, revision: int, cause: Any = None) -> None:
        tell(session, event, municipality=CODE, revision=revision, administration="school",
             cause=cause)  # type: ignore[arg-type]  # fmt: skip

    def _id(self) -> UUID:
        self._ids += 1
        return UUID(int=self._ids)

    def _act(self, process: str, work: Callable[[Session], Awaitable[None]], done: Run) -> None:
        """A request to a process, which may be killed before it answers."""
        at = self.simulation.processes[process]
        if not at.running:
            return

        async def request() -> None:
            try:
                async with transaction(at.sessions, Scope()) as session:  # type: ignore[arg-type]
                    await work(session)  # type: ignore[arg-type]
            except ConnectionError:
                return  # the answer is "perhaps"
            done("acked")

        at.spawn(request())
        self.simulation.settle()

    def post(self, seats: int, process: str = "registry-1") -> None:
        """A slot is posted."""
        slot_id = self._id()
        self.slots.append(slot_id)
        self.asked[slot_id] = "unknown"

        async def work(session: Session) -> None:
            session.put(("slot", slot_id), {"seats": seats, "taken": 0, "revision": 1})
            self._tell(session, SlotPosted(**SLOT, slot_id=slot_id, seats=seats), 1)

        self._act(process, work, lambda outcome: self.asked.update({slot_id: outcome}))

    def change(self, choice: int, process: str = "registry-1") -> None:
        """A seat more in a slot."""
        if not self.slots:
            return
        slot_id = self.slots[choice % len(self.slots)]

        async def work(session: Session) -> None:
            await session.lock(("slot", slot_id))
            row = await session.get(("slot", slot_id))
            if row:
                row = row | {"seats": row["seats"] + 1, "revision": row["revision"] + 1}
                session.put(("slot", slot_id), row)
                event = SlotChanged(**SLOT, slot_id=slot_id, seats=row["seats"])
                self._tell(session, event, row["revision"])

        self._act(process, work, lambda _: None)

    def match(self, choice: int, learners: int) -> None:
        """Learners are matched to a slot that matching knows."""
        known = [key for key in self.simulation.databases["matching"].tables.rows if key[0] == "slot"]
        if not known:
            return
        slot_id = known[choice % len(known)][1]
        ids = [self._id() for _ in range(learners)]

        async def work(session: Session) -> None:
            for id in ids:
                event = LearnerMatched(**MATCH, match_id=id, request_id=id, learner_id=id, slot_id=slot_id)
                self._tell(session, event, 1)

        self._act("matching-1", work, lambda _: None)

    def poison(self) -> None:
        """Something that is no event is published where one is expected."""
        self.simulation.server.store(f"nav.{CODE}.int.registry.slot.posted.v1", b"{", {"ce-id": "x"})
        self.simulation.settle()

    def repeat(self, choice: int) -> None:
        """A stored message comes again, beyond the window in which the broker knows it."""
        log = self.simulation.server.log
        if log:
            again = log[choice % len(log)]
            headers = again.headers | {"Nats-Msg-Id": f"again-{len(log)}"}
            self.simulation.server.store(again.subject, again.data, headers)
            self.simulation.settle()

    def judge(self) -> None:
        """Holds every promise against what came of it. Raises Violation."""
        self.simulation.drain()
        for problem in self.simulation.problems:
            raise Violation(f"a part ended: {problem!r}") from problem
        log, databases = self.simulation.server.log, self.simulation.databases
        events = {m.headers["ce-id"]: m for m in reversed(log) if "ce-specversion" in m.headers}
        self._everywhere(databases)
        self._seats(databases)
        self._effects(events, databases)
        self._revisions(log)
        self._limbo(databases)
        told = {str(row["event_id"]): row for db in databases.values() for row in db.tables.outbox}
        if told.keys() != events.keys():
            raise Violation(f"I4: {len(told)} events committed, {len(events)} in the stream")
        for db in databases.values():
            if parked := [row["parked"] for row in db.tables.outbox if row["parked"]]:
                raise Violation(f"I1 lost: a row was parked: {parked[0]}")

    def _everywhere(self, databases: Any) -> None:
        dead = self._dead("matching-registry")
        for slot_id, outcome in self.asked.items():
            row = databases["registry"].tables.rows.get(("slot", slot_id))
            if outcome == "acked" and row is None:
                raise Violation("I1 lost: acknowledged, not in the registry")
            seen = databases["matching"].tables.rows.get(("slot", slot_id))
            if row and not dead and (seen is None or seen["revision"] != row["revision"]):
                raise Violation(f"I1 lost: matching knows {seen}, the registry {row}")
            if seen and not row:
                raise Violation("I1 phantom: in matching, not in the registry")

    def _seats(self, databases: Any) -> None:
        reserved = Counter(
            json.loads(m.data)["slot_id"]
            for m in {m.headers["ce-id"]: m for m in self.simulation.server.log if "ce-type" in m.headers
                      and m.name == SeatReserved.name}.values()
        )  # fmt: skip
        for (_, slot_id), row in databases["registry"].tables.rows.items():
            if reserved[str(slot_id)] > row["seats"] or reserved[str(slot_id)] != row["taken"]:
                raise Violation(f"I3: {reserved[str(slot_id)]} seats reserved, the ledger has {row}")

    def _effects(self, events: Any, databases: Any) -> None:
        for service, database in databases.items():
            for (consumer, id), times in database.tables.effects.items():
                if times != 1:
                    raise Violation(f"I4 duplicated: {consumer} had its effect {times} times")
                if str(id) not in events:
                    raise Violation(f"I4 phantom: {consumer} handled what was never told")
            for consumer in self.simulation.server.consumers.values():
                if not consumer.name.startswith(service):
                    continue
                dead = self._dead(consumer.name)
                for id, message in events.items():
                    had = database.tables.effects[consumer.name, UUID(id)]
                    if consumer.accepts(message) and not had and id not in dead:
                        raise Violation(f"I4 lost: {consumer.name} never had its effect")

    def _dead(self, consumer: str) -> set[str]:
        return {
            m.headers.get("ce-id", "")
            for m in self.simulation.server.dead
            if m.headers["Kn-Dead-Consumer"] == consumer
        }

    def _revisions(self, log: Sequence[Any]) -> None:
        last: dict[tuple[str, str], int] = defaultdict(int)
        seen = set()
        for message in log:
            about = message.headers
            if "ce-specversion" not in about or about["ce-id"] in seen:
                continue
            seen.add(about["ce-id"])
            key = (message.name.rsplit(".", 2)[0], about["ce-subject"])
            if int(about["ce-revision"]) != last[key] + 1:
                raise Violation(f"I5: revision {about['ce-revision']} after {last[key]} in the stream")
            last[key] += 1

    def _limbo(self, databases: Any) -> None:
        letters = {
            (m.headers["Kn-Dead-Consumer"], int(m.headers["Kn-Dead-Seq"])): m.headers
            for m in self.simulation.server.dead
        }
        for consumer in self.simulation.server.consumers.values():
            for seq, how in consumer.settled.items():
                letter = letters.get((consumer.name, seq))
                if how in ("term", "given up") and letter is None:
                    raise Violation(f"I8: {consumer.name} lost {seq} ({how} without a dead letter)")
                if letter and not self.harmed and how != "term":
                    raise Violation(f"I8: {seq} is a dead letter of {consumer.name} and was never ended")
                if how == "ack" and consumer.name != "collector" and seq <= len(consumer.log):
                    self._acked(consumer, seq, letter, databases)
        for letter in letters.values():
            about = (letter["Kn-Dead-Consumer"], UUID(letter["ce-id"])) if len(letter["ce-id"]) > 30 else None
            if letter["Kn-Dead-Reason"] == "failed" and about and self.failures[about] <= len(DELAYS):
                raise Violation(f"I8: given up after {self.failures[about]} failures")

    def _acked(self, consumer: Any, seq: int, letter: Any, databases: Any) -> None:
        message = consumer.log[seq - 1]
        database = databases[consumer.name.split("-")[0]]
        known = message.headers.get("ce-specversion") and database.tables.inbox.get(
            (consumer.name, UUID(message.headers["ce-id"]))
        )
        if letter is None and not (known and known["handled"]):
            raise Violation(f"I8: {consumer.name} acknowledged {seq} and did not handle it")
