"""Events leave through the outbox, in the same transaction as the rows they tell of.

`tell` adds to the outbox; a relay, one per database, publishes the rows in order and marks them. Nothing else
publishes events. The outbox is append-only: it is what refills a lost broker.
"""

import asyncio
import contextlib
import json
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import nats.errors
import nats.js.errors
import structlog
import uuid_utils.compat as uuids
from sqlalchemy import BigInteger, DateTime, Identity, Index, Integer, LargeBinary, String, event, insert
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, Session, declared_attr, mapped_column

from kompetensnav_chassis import pace, wire
from kompetensnav_chassis.db import AWAY
from kompetensnav_chassis.failpoints import failpoint
from kompetensnav_contracts import Envelope, Event, subject

log = structlog.get_logger()
LIMIT = 900_000
"""Largest body in bytes that may be told; leaves room for headers below the server's limit."""
MAX_PAYLOAD = 1_000_000
"""Largest body with headers in bytes, a little under the server's 1 MiB."""
BATCH = 500
POLLS = (0.1, 1.0)
"""Seconds between two looks at the outbox, while rows wait or came lately, and at most when none do. A commit
in this process wakes the relay at once; a look finds what another instance has committed."""
RELAY = "relay"
"""The relay's name among the jobs that a commit can wake."""
AGAIN = "Kn-Again"
"""Header of an event told again: how often. Its place in the stream is not its place in time."""
LOCK = 7_301
"""Key of the advisory lock that the active relay of a database holds."""
WAITING = "select count(*) from outbox where published_at is null and parked is null"
_TRANSIENT = {10077, 10047, 10023}
"""JetStream error codes that pass: stream full (discard new), store failed, resources exceeded."""


class OutboxRow:
    """Mix into a service's own Base: `class Outbox(OutboxRow, Base)`."""

    __tablename__ = "outbox"

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        return (
            Index("ix_outbox_waiting", "id", postgresql_where="published_at is null and parked is null"),
            {"postgresql_partition_by": "RANGE (told_at)"},
        )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    told_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    event_id: Mapped[UUID]
    subject: Mapped[str] = mapped_column(String(200))
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    published_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    published_seq: Mapped[int | None] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    parked: Mapped[str | None] = mapped_column(String(200))


def tell(
    session: AsyncSession,
    event: Event,
    *,
    municipality: str,
    revision: int,
    administration: str | None = None,
    cause: Envelope | None = None,
) -> UUID:
    """Publishes an event through the outbox when, and only if, the transaction commits; returns its id.

    `revision` counts up within the event's aggregate; `cause` is the event that led to it, when the handler
    was given many. Raises ValueError for an event the service may not speak or that is too large, so that
    no row can ever block the relay.
    """
    info = session.info
    if event.name.split(".")[0] != info["service"]:
        raise ValueError(f"{info['service']} may not tell {event.name}")
    now, id, cause = datetime.now(UTC), uuids.uuid7(), cause or info.get("cause")
    leaves = event.visibility == "fed"  # its chain begins anew: no id of the stack's own events goes with it
    envelope = Envelope(
        id=id,
        type=event.name,
        source=f"urn:kompetensnav:{info['service']}",
        subject=event.aggregate_id,
        time=now,
        municipality=municipality,
        administration=administration,
        revision=revision,
        correlationid=id if leaves else cause.correlationid if cause else info.setdefault("correlation", id),
        causationid=cause.id if cause and not leaves else None,
        traceparent=None if leaves else cause.traceparent if cause else info.get("traceparent"),
    )
    body = event.model_dump_json().encode()
    if len(body) > LIMIT:
        raise ValueError(f"{event.name} is {len(body)} bytes; at most {LIMIT} can be told")
    info.setdefault("telling", []).append(
        {
            "told_at": now,
            "event_id": id,
            "subject": subject(event, municipality),
            "headers": wire.headers(envelope),
            "body": body,
        }
    )
    return id


@event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    rows = session.info.pop("telling", None)
    if rows:
        session.flush()
        session.execute(insert(session.info["outbox"].__table__).inline(), rows)
        failpoint(f"{session.info['service']}.tell.before-commit")
        session.info.setdefault("nudged", set()).add(RELAY)


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop("telling", None)
    session.info.pop("nudged", None)


class Relay:
    """Publishes the outbox of one database, in order, at least once.

    Any number may run; one holds the advisory lock and works. It stops at the first transient failure, so
    order is kept, and tries again; a row the server refuses for good is parked and logged as an error.
    """

    def __init__(
        self, service: str, database_url: str, jetstream: Any, *, polls: tuple[float, float] = POLLS
    ) -> None:
        self._service, self._url = service, database_url
        self._js, self._polls = jetstream, polls
        self._woken = asyncio.Event()
        self.backlog = 0
        """Rows waiting at the last look."""
        self.oldest = 0.0
        """Seconds that the first of them had waited."""
        self.parked = 0
        """Rows that the server has refused for good since this process began."""
        self.answered_at = time.monotonic()
        """When the database answered last, on the monotonic clock."""

    def wake(self) -> None:
        """Look now; called after a commit in this process."""
        self._woken.set()

    async def run(self) -> None:
        """Works until cancelled; survives lost connections."""
        while True:
            try:
                await self._serve()
            except AWAY as lost:
                log.warning("relay_lost_database", error=type(lost).__name__)
                await asyncio.sleep(0.2)

    async def _serve(self) -> None:
        connection = await asyncpg.connect(
            self._url,
            timeout=5,
            command_timeout=30,
            server_settings={
                "application_name": "relay",
                "idle_session_timeout": "5000",
                "tcp_keepalives_idle": "5",
                "tcp_keepalives_interval": "1",
                "tcp_keepalives_count": "3",
            },
        )
        try:
            while not await connection.fetchval("select pg_try_advisory_lock($1)", LOCK):
                self.answered_at = time.monotonic()
                self.backlog, self.oldest, self.parked = 0, 0.0, 0  # the one that works tells of them
                await asyncio.sleep(1)
            pause, longest = self._polls
            while True:
                self._woken.clear()
                began = time.monotonic()
                if await self.publish(connection):
                    await pace.rest(began)
                else:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._woken.wait(), pause)
                pause = self._polls[0] if self.backlog else min(2 * pause, longest)
        finally:
            await connection.close(timeout=2)

    async def publish(self, connection: asyncpg.Connection) -> int:
        """Publishes one batch; returns how many rows were settled (0 = nothing to do, or a failure)."""
        rows = await connection.fetch(
            "select id, told_at, event_id, subject, headers, body, attempts from outbox"
            " where published_at is null and parked is null order by id limit $1",
            BATCH,
        )
        self.answered_at = time.monotonic()
        self.backlog = len(rows) if len(rows) < BATCH else await connection.fetchval(WAITING)
        self.oldest = (datetime.now(UTC) - rows[0]["told_at"]).total_seconds() if rows else 0.0
        if not rows:
            return 0
        failpoint(f"{self._service}.relay.before-publish")
        # not publish_async: nats-py leaves its future pending for ever when the server refuses
        answers = await asyncio.gather(*(self._send(row) for row in rows), return_exceptions=True)
        published: list[tuple[int, int]] = []
        for row, answered in zip(rows, answers, strict=True):
            if not isinstance(answered, BaseException):
                published.append((row["id"], answered))
            elif await self._is_for_good(connection, row["id"], answered):
                continue
            else:
                log.warning("relay_stopped", error=type(answered).__name__)
                await asyncio.sleep(0.2)
                break
        failpoint(f"{self._service}.relay.after-publish")
        if published:
            await connection.execute(
                "update outbox o set published_at = now(), published_seq = u.seq"
                " from unnest($1::bigint[], $2::bigint[]) u(id, seq) where o.id = u.id",
                [id for id, _ in published],
                [seq for _, seq in published],
            )
        return len(published)

    async def _send(self, row: asyncpg.Record) -> int:
        """The stream sequence of a published row; raises what nats-py raises."""
        headers = {"Nats-Msg-Id": str(row["event_id"]), **json.loads(row["headers"])}
        if row["attempts"]:  # told again because the stream has lost it; the server still knows the old id
            headers |= {"Nats-Msg-Id": f"{row['event_id']}:{row['attempts']}", AGAIN: str(row["attempts"])}
        size = len(row["body"]) + sum(len(name) + len(value) + 4 for name, value in headers.items())
        if size > MAX_PAYLOAD:  # the client checks the body only, and the server then closes the connection
            raise nats.errors.MaxPayloadError
        ack = await self._js.publish(row["subject"], row["body"], headers=headers, timeout=5)
        return int(ack.seq)

    async def _is_for_good(self, connection: asyncpg.Connection, id: int, error: BaseException) -> bool:
        """Parks a row that the server will never take."""
        if isinstance(error, nats.errors.MaxPayloadError):
            await self._park(connection, id, "larger than the server takes")
            return True
        refused = isinstance(error, nats.js.errors.APIError) and 400 <= (error.code or 0) < 500
        if refused and error.err_code not in _TRANSIENT:  # type: ignore[attr-defined]
            await self._park(connection, id, str(error)[:200])
            return True
        return False

    async def _park(self, connection: asyncpg.Connection, id: int, why: str) -> None:
        self.parked += 1
        log.error("outbox_row_parked", outbox_id=id, why=why)
        await connection.execute("update outbox set parked = $2 where id = $1", id, why)
