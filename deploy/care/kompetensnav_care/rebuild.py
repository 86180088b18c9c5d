"""I11: a projection made again from the whole log is the one in use.

The rebuild runs in the service's own program, into a database made for it and dropped afterwards; what
follows from the events alone is in the service's views `facts.projected_...`, and is compared by a hash.
"""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg

from kompetensnav_care.counts import AWAY, Running, connect
from kompetensnav_care.log import Published
from kompetensnav_care.world import Unreachable, read_erased

BIN = Path(sys.executable).parent
VIEWS = "select viewname from pg_views where schemaname = 'facts' and viewname like 'projected%' order by 1"
HASH = (
    "select count(*) rows, md5(coalesce(string_agg(md5(t::text), '' order by md5(t::text)), '')) hash"
    " from {} t where coalesce(to_jsonb(t) ->> 'event_id', '') <> all($1)"
)
"""Rows of events that have been erased are left out: a rebuild cannot know of them."""
MOST = 200_000
"""Rows that are compared one by one when the hashes differ."""


@dataclass(frozen=True)
class Compared:
    """A service's projection in use beside the rebuilt one."""

    service: str
    rows: int
    hash: str
    events: int
    seconds: float
    differ: tuple[str, ...]
    """The views that differ and the ids of some rows that do; empty = identical."""


async def compare(running: Running, admin_url: str) -> list[Compared]:
    """Rebuilds each projection. The stack must be at rest. Raises Unreachable."""
    connection = await connect(running)
    try:
        state = (await connection.jetstream().stream_info(f"INT_{running.stack}")).state
    finally:
        await connection.close()
    erased = await _erased(running)
    if {*range(1, state.first_seq)} - {event.seq for event in erased}:
        raise Unreachable(f"the log begins at message {state.first_seq}: nothing older can be rebuilt")
    left_out = [event.id for event in erased]
    compared = []
    for service in running.urls:
        views = await _views(running.urls[service]["care"])
        if views:
            compared.append(await _compare(running, admin_url, service, views, state.last_seq, left_out))
    return compared


async def _erased(running: Running) -> list[Published]:
    found = []
    for urls in running.urls.values():
        connection = await asyncpg.connect(urls["care"], timeout=5)
        try:
            found += await read_erased(connection)
        finally:
            await connection.close()
    return found


async def _views(url: str) -> list[str]:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return [row["viewname"] for row in await connection.fetch(VIEWS)]
    finally:
        await connection.close()


async def _compare(
    running: Running, admin: str, service: str, views: list[str], up_to: int, left_out: list[str]
) -> Compared:
    began = monotonic()
    async with _scratch(admin, f"{service}_rebuilt") as urls:
        prefix = service.upper()
        environment = {
            "OWNER_DATABASE_URL": urls["owner"],
            "DATABASE_URL": urls["app"],
            "RELAY_DATABASE_URL": urls["relay"],
            "NATS_URL": running.nats,
            "NATS_SEED": running.care_seed.read_text().strip(),
            "STACK": running.stack.lower(),
        }
        if ca := os.environ.get("KOMPETENSNAV_NATS_CA"):
            environment["NATS_CA"] = ca
        settings = {f"{prefix}_{name}": value for name, value in environment.items()}
        await _run([f"kompetensnav-{service}", "migrate"], settings)
        printed = await _run([f"kompetensnav-{service}", "rebuild", "--up-to", str(up_to)], settings)
        done = json.loads(printed.splitlines()[-1])
        found = await asyncio.gather(
            *(_hashes(url, views, left_out) for url in (_of(running, service), urls["care"]))
        )
        differ = [view for view in views if found[0][view] != found[1][view]]
        rows = sum(count for count, _ in found[0].values())
        named = [
            name
            for view in differ
            for name in (view, *await _differing(_of(running, service), urls["care"], view))
        ]
    whole = hashlib.sha256("".join(hash for _, hash in found[0].values()).encode()).hexdigest()
    return Compared(service, rows, whole[:16], done["events"], monotonic() - began, tuple(named))


def _of(running: Running, service: str) -> str:
    return running.urls[service]["care"]


async def _hashes(url: str, views: list[str], left_out: list[str]) -> dict[str, tuple[int, str]]:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        found = {}
        for view in views:
            (row,) = await connection.fetch(HASH.format(f"facts.{view}"), left_out)
            found[view] = (row["rows"], row["hash"])
        return found
    finally:
        await connection.close()


async def _differing(one: str, other: str, view: str) -> list[str]:
    """The ids (first column) of a few rows that are in one and not in the other."""
    rows: list[set[tuple[str, str]]] = []
    for url in (one, other):
        connection = await asyncpg.connect(url, timeout=5)
        try:
            found = await connection.fetch(f"select t::text all_of_it, t.* from facts.{view} t limit {MOST}")
            rows.append({(str(row[1]), row["all_of_it"]) for row in found})
        finally:
            await connection.close()
    return sorted({id for id, _ in rows[0] ^ rows[1]})[:5]


@asynccontextmanager
async def _scratch(admin: str, name: str) -> AsyncIterator[dict[str, str]]:
    """A database with its four roles, dropped at the end."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "databases.json"
        await _drop(admin, name)
        try:
            await _run(
                ["kompetensnav", "provision", name, "--out", str(out)], {"KOMPETENSNAV_ADMIN_URL": admin}
            )
            urls: dict[str, str] = json.loads(out.read_text())[name]
            yield urls
        finally:
            await _drop(admin, name)


async def _drop(admin: str, name: str) -> None:
    try:
        connection = await asyncpg.connect(admin, timeout=5)
    except AWAY as down:
        raise Unreachable(
            f"The database server does not take the administrator: {type(down).__name__}"
        ) from down
    try:
        await connection.execute(f"drop database if exists {name} with (force)")
        roles = await connection.fetch("select rolname from pg_roles where rolname like $1", f"{name}\\_%")
        for role in roles:
            await connection.execute(f"drop role {role['rolname']}")
    finally:
        await connection.close()


async def _run(command: list[str], environment: dict[str, str]) -> str:
    done: Any = await asyncio.to_thread(
        subprocess.run,
        [str(BIN / command[0]), *command[1:]],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Unreachable(f"`{command[0]} {command[1]}` failed: {last}")
    return str(done.stdout)
