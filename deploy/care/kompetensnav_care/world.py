"""All that `verify` looks at, read once: the event log, the services' facts, and how far each listener is.

How far a listener is (the floor of its acknowledgements) is read before its facts: whatever lies below the
floor had been committed by then, and whatever lies above is on its way and proves nothing.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import asyncpg
import nats.errors
import nats.js.errors

from kompetensnav_care.counts import AWAY, Running, connect
from kompetensnav_care.log import ERASED, Published, name_of, read_log

Row = Mapping[str, Any]

FACTS: dict[str, tuple[str, ...]] = {
    "registry": ("slot", "seat", "workplace", "reception_week", "request", "offer", "placement", "ask"),
    "matching": ("slot", "request", "match"),
    "notifications": ("message",),
    "reporting": ("fact",),
}
"""Service -> its `facts` views: what it promises to checks like this, whatever its tables look like."""

BASES = {
    ("registry", "slot"): "registry.slot.posted.v1",
    ("registry", "offer"): "registry.offer.made.v1",
    ("registry", "placement"): "registry.placement.confirmed.v1",
    ("matching", "slot"): "registry.slot.posted.v1",
    ("matching", "request"): "registry.request.opened.v1",
    ("reporting", "fact"): "registry.slot.posted.v1",
}
"""A view that cannot be empty once such an event has been published."""


class Unreachable(Exception):
    """Something could not be read, so nothing can be said; the message says what."""


@dataclass(frozen=True)
class World:
    """What is held against each other."""

    log: Sequence[Published]
    before: Mapping[str, int] = field(default_factory=dict)
    """Stream -> its last sequence before the facts were read: what is published up to there is in the facts,
    and what came later need not be."""
    dead: Sequence[Published] = ()
    facts: Mapping[tuple[str, str], Sequence[Row]] = field(default_factory=dict)
    inboxes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Consumer -> event id -> how often it was handled (0 or 1)."""
    floors: Mapping[str, int] = field(default_factory=dict)
    """Consumer -> the stream sequence up to which everything is settled."""
    filters: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Consumer -> the names of the events it lets in; of our services, for nobody else's inbox is read."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Consumer -> how many messages are pending or in flight."""
    erased: Sequence[Published] = ()
    """Events of learners who have been forgotten, as their tellers' outboxes still know them: without body,
    and perhaps not in the log any more."""
    unsent: frozenset[str] = frozenset()
    """Ids of events that lie in an outbox and are not published yet."""
    mails: Mapping[str, int] | None = None
    """Message-ID's message -> how often the mail server got it; None = nobody kept the mail."""
    asked: Sequence[Row] = ()
    """What a client asked for: {municipality, ref, outcome: acked | unknown | refused}."""

    def of(self, service: str, view: str) -> Sequence[Row]:
        """The rows of a view."""
        return self.facts.get((service, view), ())

    @cached_property
    def events(self) -> list[Published]:
        """The log without poison, each event once. Poison is what a listener has dead-lettered as invalid; if
        none has, I8 says that it is nowhere."""
        poison = {
            (d.headers.get("Kn-Dead-Stream"), d.headers.get("Kn-Dead-Seq"))
            for d in self.dead
            if d.headers.get("Kn-Dead-Reason") not in ("failed", "max-deliveries")
        }
        found: dict[str, Published] = {}
        for event in self.log:
            if event.is_event and (event.stream, str(event.seq)) not in poison:
                found.setdefault(event.id, event)
        return list(found.values())

    @cached_property
    def _by_name(self) -> dict[str, list[Published]]:
        """Name -> events, oldest first."""
        found: dict[str, list[Published]] = {}
        for event in self.events:
            found.setdefault(event.name, []).append(event)
        return found

    def published(self, *names: str) -> list[Published]:
        """The events of these names, oldest first, each once."""
        found = [event for name in set(names) for event in self._by_name.get(name, ())]
        return sorted(found, key=lambda event: (event.stream, event.seq)) if len(names) > 1 else found

    def published_before(self, *names: str) -> list[Published]:
        """Those of them that were published before the facts were read."""
        return [event for event in self.published(*names) if self._is_before(event)]

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing waits, and nothing was published while the facts were read."""
        still = all(self._is_before(event) for event in self.log)
        return still and not self.unsent and not any(self.waiting.values())

    def _is_before(self, event: Published) -> bool:
        return event.seq <= self.before.get(event.stream, 0)

    def due(self, consumer: str, *names: str) -> list[Published]:
        """Those of them that the consumer has settled and that are not dead letters of it."""
        dead = {d.headers.get("ce-id") for d in self.dead if d.headers.get("Kn-Dead-Consumer") == consumer}
        floor = self.floors.get(consumer, 0)
        return [event for event in self.published(*names) if event.seq <= floor and event.id not in dead]


async def read_world(running: Running) -> World:
    """Reads all of it. Raises Unreachable with what did not answer."""
    try:
        connection = await connect(running)
    except (OSError, nats.errors.Error) as down:
        raise Unreachable(f"NATS does not answer: {type(down).__name__}") from down
    try:
        js = connection.jetstream()
        heard = [f"{name}_{running.stack}" for name in ("INT", "FEDIN")]
        consumers = [info for name in heard for info in await js.consumers_info(name)]
        floors = {c.name: c.ack_floor.stream_seq for c in consumers if c.config.durable_name and c.ack_floor}
        waiting = {
            c.name: (c.num_pending or 0) + (c.num_ack_pending or 0)
            for c in consumers
            if c.config.durable_name
        }
        filters = {
            c.name: frozenset(name_of(f) for f in c.config.filter_subjects or [] if f.startswith("nav."))
            for c in consumers
            if c.config.durable_name and c.name.partition("-")[0] in FACTS
        }
        streams = [f"{name}_{running.stack}" for name in ("INT", "PUB", "FED", "FEDIN")]
        before = {name: (await js.stream_info(name)).state.last_seq for name in streams}
        found = await asyncio.gather(*(_read(running, service) for service in FACTS))
        log = [event for name in streams for event in await read_log(connection, name)]
        dead = await read_log(connection, f"DEAD_{running.stack}")
    except (OSError, nats.errors.Error, nats.js.errors.Error, TimeoutError) as down:
        raise Unreachable(f"NATS does not answer: {type(down).__name__}") from down
    finally:
        await connection.close()
    return World(
        log=log,
        before=before,
        dead=dead,
        facts={key: rows for each in found for key, rows in each.facts.items()},
        inboxes={key: ids for each in found for key, ids in each.inboxes.items()},
        floors=floors,
        filters=filters,
        waiting=waiting,
        erased=[event for each in found for event in each.erased],
        unsent=frozenset(id for each in found for id in each.unsent),
    )


@dataclass(frozen=True)
class Found:
    """What one service's database says."""

    facts: dict[tuple[str, str], list[Row]]
    inboxes: dict[str, dict[str, int]]
    erased: list[Published]
    unsent: list[str]


async def _read(running: Running, service: str) -> Found:
    try:
        connection = await asyncpg.connect(running.urls[service]["care"], timeout=5)
    except (*AWAY, KeyError) as down:
        raise Unreachable(f"The database of {service} does not answer: {type(down).__name__}") from down
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            unsent = await connection.fetch("select event_id from outbox where published_at is null")
            facts = {
                (service, view): [
                    _plain(row) for row in await connection.fetch(f"select * from facts.{view}")
                ]
                for view in FACTS[service]
            }
            inbox: dict[str, dict[str, int]] = {}
            for consumer, id in await connection.fetch(
                "select consumer, event_id from inbox where handled_at is not null"
            ):
                inbox.setdefault(consumer, {})[str(id)] = 1
        return Found(facts, inbox, await read_erased(connection), [str(row["event_id"]) for row in unsent])
    except AWAY as bad:
        raise Unreachable(f"The facts of {service} cannot be read: {type(bad).__name__}") from bad
    finally:
        await connection.close()


async def read_erased(connection: Any) -> list[Published]:
    """The events of an outbox that have been erased, without body."""
    rows = await connection.fetch(
        "select subject, published_seq, headers from outbox where parked = $1 order by id", ERASED
    )
    return [
        Published("", row["published_seq"] or 0, row["subject"], json.loads(row["headers"]), b"", None)
        for row in rows
    ]


def _plain(row: asyncpg.Record) -> Row:
    """Ids as text, as the events have them."""
    return {
        name: str(value) if isinstance(value, UUID) else value
        for name, value in row.items()
        if isinstance(value, UUID | str | int | float | bool | date | datetime | list | type(None))
    }
