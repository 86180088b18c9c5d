"""What tests of services stand on: `database`, `broker`, `tells`, `eventually`, and no more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
from faststream.nats import NatsBroker, TestNatsBroker
from sqlalchemy.ext.asyncio import AsyncEngine

from kompetensnav_chassis import db, migrate, wire
from kompetensnav_chassis.db import Sessions
from kompetensnav_chassis.patience import Patience
from kompetensnav_contracts import Event

T = TypeVar("T")


@dataclass
class Database:
    """A migrated database of a service."""

    service: str
    urls: dict[str, str]
    engine: AsyncEngine
    sessions: Sessions

    async def empty(self) -> None:
        """Removes every row, as the owner."""
        async with self.as_role("owner") as connection:
            tables = await connection.fetch(
                "select format('%I.%I', schemaname, tablename) t from pg_tables"
                " where schemaname in ('public', 'vault') and tablename <> 'alembic_version'"
            )
            await connection.execute(f"truncate {', '.join(r['t'] for r in tables)} restart identity cascade")

    @asynccontextmanager
    async def as_role(self, role: str) -> AsyncIterator[asyncpg.Connection]:
        """A plain connection as one of the four roles."""
        connection = await asyncpg.connect(self.urls[role])
        try:
            yield connection
        finally:
            await connection.close()

    async def published(self) -> list[asyncpg.Record]:
        """The outbox in order."""
        async with self.as_role("owner") as connection:
            return list(await connection.fetch("select id, subject, headers, body from outbox order by id"))


_made: dict[tuple[str, str], dict[str, str]] = {}
"""(server, package of migrations) -> the URLs of the database that has been made for it."""


@asynccontextmanager
async def database(
    admin_url: str, service: str, outbox: type, *, package: str = ""
) -> AsyncIterator[Database]:
    """A provisioned, migrated and empty database of a service; `package` is where its migrations are, when
    not in `kompetensnav_<service>`. It is made once for each server, and emptied for each test."""
    package = package or f"kompetensnav_{service}"
    if (admin_url, package) not in _made:
        urls = await migrate.provision(admin_url, service)
        await asyncio.to_thread(migrate.migrate, urls["owner"], package)
        _made[admin_url, package] = urls
    urls = _made[admin_url, package]
    engine = db.engine(urls["app"])
    made = Database(service, urls, engine, db.sessions(engine, service, outbox))
    await made.empty()
    try:
        yield made
    finally:
        await engine.dispose()


@contextlib.asynccontextmanager
async def broker(real: NatsBroker) -> AsyncIterator[NatsBroker]:
    """The broker in memory: published messages reach its consumers without a server."""
    async with TestNatsBroker(real) as fake:
        yield fake


@asynccontextmanager
async def tells(database: Database, *expected: type[Event]) -> AsyncIterator[list[Event]]:
    """The block tells exactly these events, in any order; they are in the list afterwards."""
    before = len(await database.published())
    events: list[Event] = []
    yield events
    rows = (await database.published())[before:]
    names = sorted(row["subject"].split(".", 3)[3] for row in rows)
    assert names == sorted(e.name for e in expected), f"published {names}"
    by_name = {e.name: e for e in expected}
    for row in rows:
        import json

        events.append(
            wire.read(by_name[row["subject"].split(".", 3)[3]], json.loads(row["headers"]), row["body"])
        )


async def eventually(check: Callable[[], Awaitable[T]], seconds: float = 20.0) -> T:
    """What `check` returns once it is true. Raises AssertionError with the last answer when patience is
    over; on a busy machine that is later."""
    patience, pauses = Patience(seconds), _pauses()
    while True:
        answer = await check()
        if answer:
            return answer
        if patience.is_over:
            raise AssertionError(f"not within {patience}; the last answer was {answer!r}")
        await asyncio.sleep(next(pauses))


def _pauses() -> Iterator[float]:
    pause: float = 0.01
    while True:
        yield pause
        pause = min(pause * 1.5, 0.25)


def headers_of(event: Event, **envelope: Any) -> dict[str, str]:
    """Message headers for an event, with a fresh envelope; for publishing by hand."""
    from datetime import UTC, datetime

    import uuid_utils.compat as uuids

    from kompetensnav_contracts import Envelope

    id = envelope.pop("id", uuids.uuid7())
    values: dict[str, Any] = {
        "id": id,
        "type": event.name,
        "source": "urn:test",
        "subject": event.aggregate_id,
        "time": datetime.now(UTC),
        "municipality": "2580",
        "revision": 1,
        "correlationid": id,
    }
    return wire.headers(Envelope(**(values | envelope)))
