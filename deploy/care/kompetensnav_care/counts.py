"""What the databases hold, what the streams hold, and what waits between them. Reads as the role `care`."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client

from kompetensnav_chassis import streams

AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg raises when its server is away or goes away in the middle of an answer."""
TABLES = {
    "registry": {
        "learners": "select count(distinct learner_id) from request where not by_hand",
        "seats": "select coalesce(sum(seats), 0) from slot where not own_found and withdrawn_at is null",
        "offers": "select count(*) from offer where not by_hand",
        "declined": "select count(*) from offer where state in ('declined', 'expired')",
        "confirmed": "select count(*) from placement where not by_hand",
    },
    "matching": {
        "matched": "select count(*) from proposal where state not in ('draft', 'left_out')",
        "refused": "select count(*) from proposal where state = 'refused'",
        "objective": "select coalesce(sum(cost), 0) from proposal where state = 'confirmed'",
    },
    "notifications": {"e_mails": "select count(*) from message where state = 'sent'"},
    "reporting": {},
}
WAITING = {
    "registry": {},
    "matching": {"repairs": "select count(*) from stale"},
    "notifications": {
        "messages": "select count(*) from message where state = 'claimed' or (state = 'waiting' and"
        " (due_at <= now() or (attempts > 0 and due_at <= now() + interval '1 minute')))"
    },
    "reporting": {},
}
HANDLED = "select consumer, count(*) from inbox where handled_at is not null group by consumer"
BACKLOG = "select count(*) from outbox where published_at is null"
OVERFULL = """
select (select count(*) from facts.workplace_week where held > receives)
    + (select count(*) from facts.slot s where taken > seats or taken <> (
        select count(*) from facts.seat where seat.slot_id = s.slot_id and released_at is null))
"""
EVENTS = {
    "matched": ("matching.learner.matched.v1",),
    "offers": ("registry.offer.made.v1",),
    "accepted": ("registry.offer.accepted.v1",),
    "declined": ("registry.offer.declined.v1", "registry.offer.expired.v1"),
    "confirmed": ("registry.placement.confirmed.v1",),
    "e_mails": ("notifications.message.sent.v1",),
}


PATIENCE = 5.0
"""Seconds a server may take to answer."""


@dataclass(frozen=True)
class Running:
    """A running stack, as `run.json` tells of it."""

    nats: str
    stack: str
    care_seed: Path
    urls: dict[str, dict[str, str]]
    replay_seed: Path | None = None
    """Of the user that may give a dead letter to its consumer once more."""
    admin_url: str = ""
    """A superuser's, for the few acts that need one; empty = not known."""
    programs: Path | None = None
    """The folder of PostgreSQL's programs, when they are not on the path."""
    services: Mapping[str, str] = field(default_factory=dict)
    """Service -> its address."""
    described: tuple[str, ...] = ()
    """How the topology's commands are told which stack it is."""

    @classmethod
    def read(cls, path: Path) -> "Running":
        """Raises OSError or KeyError when the stack is not running."""
        about = json.loads(path.read_text())
        urls = json.loads(Path(about["databases"]).read_text())
        admin = os.environ.get("KOMPETENSNAV_ADMIN_URL", "")
        if not admin and "admin_url" in about:
            admin = Path(about["admin_url"]).read_text()
        programs = Path(about["postgres_programs"]) if "postgres_programs" in about else None
        care = Path(about["care_seed"])
        replay = care.with_name("replay.nk")
        described = tuple(about.get("described", ("--stack", about["stack"])))
        services = about.get("services", {})
        stack = about["stack"].upper()
        return cls(about["nats"], stack, care, urls, replay, admin, programs, services, described)


async def connect(running: Running, seed: Path | None = None, *, stays: bool = False) -> Client:
    """A connection as the care user, or that of another seed. Raises OSError, or what nats-py raises, when
    the server does not answer; one that `stays` tries for as long as it takes."""
    return await streams.connect(running.nats, seed or running.care_seed, stays=stays)


async def count(running: Running) -> dict[str, Any]:
    """The counts of tables and streams, each read on its own, and what must be 0."""
    connection = await connect(running)
    try:
        js = connection.jetstream()
        databases = await asyncio.gather(*(_database(running, s, TABLES[s]) for s in TABLES))
        tables = {name: value for part in databases for name, value in part["values"].items()}
        events = {
            k: v for name in ("INT", "PUB") for k, v in (await _events(js, f"{name}_{running.stack}")).items()
        }
        handled = {c: n for part in databases for c, n in part["handled"].items()}
        return {
            "tables": tables,
            "stream": {name: sum(events.get(e, 0) for e in kinds) for name, kinds in EVENTS.items()}
            | await _bodies(connection, running.stack),
            "events": events,
            "outboxes": sum(part["published"] for part in databases),
            "dead_letters": (await js.stream_info(f"DEAD_{running.stack}")).state.messages,
            "limbo": await _limbo(js, running.stack, handled),
            "capacity_violations": databases[0]["overfull"],
        }
    finally:
        await connection.close()


async def waiting(running: Running) -> dict[str, int]:
    """What waits, by place; only what is not 0."""
    async for found in follow(running, 0):
        return found
    return {}


async def follow(running: Running, every: float) -> AsyncIterator[dict[str, int]]:
    """What waits, by place, each so many seconds; goes on while parts of the stack are away."""
    connection = await connect(running, stays=True)
    pools: dict[str, asyncpg.Pool] = {}
    try:
        while True:
            left: dict[str, int] = {}
            for service, queries in WAITING.items():
                if service not in pools:
                    url = running.urls[service]["care"]
                    pools[service] = await asyncpg.create_pool(url, min_size=0, max_size=1)
                try:
                    left[f"{service}.outbox"] = await pools[service].fetchval(BACKLOG)
                    for name, query in queries.items():
                        left[f"{service}.{name}"] = await pools[service].fetchval(query)
                except AWAY:
                    left[f"{service}.database_away"] = 1
            try:
                for name in ("INT", "ADVISORY"):
                    for consumer in await connection.jetstream().consumers_info(f"{name}_{running.stack}"):
                        if consumer.config.durable_name:  # not somebody who only reads, such as verify
                            left[consumer.name] = (consumer.num_pending or 0) + (
                                consumer.num_ack_pending or 0
                            )
            except (nats.errors.Error, nats.js.errors.Error):
                left["nats_away"] = 1
            yield {place: n for place, n in left.items() if n}
            await asyncio.sleep(every)
    finally:
        for pool in pools.values():
            await pool.close()
        await connection.close()


async def _database(running: Running, service: str, queries: dict[str, str]) -> dict[str, Any]:
    connection = await asyncpg.connect(running.urls[service]["care"])
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return {
                "values": {name: int(await connection.fetchval(query)) for name, query in queries.items()},
                "published": await connection.fetchval(
                    "select count(*) from outbox where published_at is not null"
                ),
                "handled": {consumer: n for consumer, n in await connection.fetch(HANDLED)},
                "overfull": await connection.fetchval(OVERFULL) if service == "registry" else 0,
            }
    finally:
        await connection.close()


async def _events(js: Any, stream: str) -> dict[str, int]:
    """Event name -> messages, over all municipalities."""
    found: dict[str, int] = {}
    for subject, n in ((await js.stream_info(stream, subjects_filter=">")).state.subjects or {}).items():
        if subject.startswith("nav."):
            name = subject.split(".", 3)[3]
            found[name] = found.get(name, 0) + n
    return dict(sorted(found.items()))


async def _bodies(client: Client, stack: str) -> dict[str, int]:
    """Learners and seats, from the events themselves."""
    learners, seats = set(), {}
    names = ("registry.request.opened.v1", "registry.slot.posted.v1", "registry.slot.changed.v1",
             "registry.slot.withdrawn.v1")  # fmt: skip
    filters = [f"nav.*.int.{name}" for name in names]
    async for messages in streams.batches(client, f"INT_{stack}", filters):
        for message in messages:
            body = json.loads(message.data)
            if "learner_id" in body:
                learners.add(body["learner_id"])
            else:
                withdrawn = message.subject.endswith("withdrawn.v1")
                seats[body["slot_id"]] = 0 if withdrawn else body["seats"]
    return {"learners": len(learners), "seats": sum(seats.values())}


async def _limbo(js: Any, stack: str, handled: dict[str, int]) -> int:
    """Messages that are nowhere: stored for a consumer, but neither waiting, in flight, handled nor dead
    (I8)."""
    stored = await _events(js, f"INT_{stack}")
    dead = (await js.stream_info(f"DEAD_{stack}", subjects_filter=">")).state.subjects or {}
    lost = 0
    for consumer in await js.consumers_info(f"INT_{stack}"):
        if not consumer.config.durable_name:  # somebody who only reads, such as this
            continue
        filters = consumer.config.filter_subjects or [consumer.config.filter_subject]
        events = [f.split(".", 3)[3] for f in filters if f and f.startswith("nav.")]
        name = consumer.name
        known = handled.get(name, 0) + dead.get(f"dead.{name}", 0)
        known += (consumer.num_pending or 0) + (consumer.num_ack_pending or 0)
        lost += max(0, sum(stored.get(e, 0) for e in events) - known)
    return lost
