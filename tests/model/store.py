"""A service's database in memory, as the chassis uses one: transactions, row locks, and the relay's lock."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from model.bus import Loop
from sqlalchemy.orm import DeclarativeBase

from kompetensnav_chassis import inbox, outbox
from kompetensnav_chassis.db import metadata
from kompetensnav_chassis.outbox import OutboxRow

if TYPE_CHECKING:
    from model.simulation import Process


class Base(DeclarativeBase):
    """The one table whose name the chassis needs."""

    metadata = metadata()


class Outbox(OutboxRow, Base):
    """Rows on their way out."""


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


def effect(session: Session, consumer: str, id: UUID) -> None:
    """Notes that a handler had its effect for an event, in the handler's own transaction."""
    session.change.effects[consumer, id] += 1
