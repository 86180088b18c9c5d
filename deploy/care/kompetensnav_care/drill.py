"""After a disaster: databases backed up and put back, and events told again that a stream has lost.

Databases are backed up one after the other while everything works; they need not be of one moment, since what
one has told and another has not taken in yet comes again by the log.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from kompetensnav_care.counts import Running, connect
from kompetensnav_care.log import read_log
from kompetensnav_care.world import Unreachable


def tool(name: str, folder: Path | None) -> str:
    """A program of PostgreSQL. Raises Unreachable when it is not installed."""
    found = str(folder / name) if folder and (folder / name).exists() else shutil.which(name)
    if not found:
        raise Unreachable(f"{name} is not installed; it comes with PostgreSQL's client programs")
    return found


def _pg(admin_url: str, program: str, *arguments: str) -> None:
    at = urlsplit(admin_url)
    where = ["-h", str(at.hostname), "-p", str(at.port or 5432), "-U", str(at.username)]
    done = subprocess.run(
        [program, *where, *arguments], env=os.environ | {"PGPASSWORD": at.password or ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Unreachable(f"{Path(program).name} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


def back_up(admin_url: str, services: Iterable[str], to: Path, programs: Path | None) -> list[Path]:
    """Writes SERVICE.dump for each; whole, or not at all. Raises Unreachable."""
    to.mkdir(parents=True, exist_ok=True, mode=0o700)
    dump, made = tool("pg_dump", programs), []
    for service in services:
        part = to / f"{service}.part"
        part.touch(mode=0o600)
        _pg(admin_url, dump, "--format", "custom", "--file", str(part), service)
        part.rename(to / f"{service}.dump")
        made.append(to / f"{service}.dump")
    return made


async def restore(admin_url: str, services: Iterable[str], folder: Path, programs: Path | None) -> list[str]:
    """Puts each database's backup in its place; the one that was there is kept beside it, and named in the
    answer. The services may run: to them the database is away for a moment. Raises Unreachable."""
    pg_restore, kept = tool("pg_restore", programs), []
    for service in services:
        dump = folder / f"{service}.dump"
        if not dump.exists():
            raise Unreachable(f"{dump} is not there; `kompetensnav care backup` makes it")
        connection = await asyncpg.connect(admin_url, timeout=5)
        try:
            new, old = f"{service}_new", f"{service}_until_{datetime.now(UTC):%Y%m%d%H%M%S}"
            await connection.execute(f"drop database if exists {new}")
            await connection.execute(f"create database {new} owner {service}_owner")
            _pg(admin_url, pg_restore, "--dbname", new, "--exit-on-error", str(dump))
            await connection.execute(f"revoke connect on database {new} from public")
            for role in ("owner", "app", "relay", "care"):
                await connection.execute(f"grant connect on database {new} to {service}_{role}")
            await _swap(connection, service, new, old)
            kept.append(old)
        finally:
            await connection.close()
    return kept


async def _swap(connection: asyncpg.Connection, service: str, new: str, old: str) -> None:
    there = await connection.fetchval("select 1 from pg_database where datname = $1", service)
    if there:
        await connection.execute(f"alter database {service} with allow_connections false")
        ended = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1"
        await connection.execute(ended, service)
        await connection.execute(f"alter database {service} rename to {old}")
    await connection.execute(f"alter database {new} rename to {service}")


async def republish(running: Running, since: datetime | None, *, dry_run: bool) -> dict[str, int]:
    """Has the relays tell again whatever was told since then and is not in its stream; returns how many, by
    service. Listeners that have it already do nothing with it. Raises Unreachable."""
    connection = await connect(running)
    try:
        js = connection.jetstream()
        there = {
            message.headers.get("ce-id")
            for name in ("INT", "PUB", "FED")
            for message in await read_log(js, f"{name}_{running.stack}")
        }
    finally:
        await connection.close()
    found = {}
    for service, urls in running.urls.items():
        database = await asyncpg.connect(urls["relay"], timeout=5)
        try:
            rows = await database.fetch(
                "select id, event_id from outbox where published_at is not null and parked is null"
                " and told_at >= coalesce($1, '-infinity'::timestamptz)",
                since,
            )
            lacking = [row["id"] for row in rows if str(row["event_id"]) not in there]
            if lacking and not dry_run:
                await database.execute(
                    "update outbox set published_at = null, published_seq = null, attempts = attempts + 1"
                    " where id = any($1)",
                    lacking,
                )
            found[service] = len(lacking)
        finally:
            await database.close()
    return found
