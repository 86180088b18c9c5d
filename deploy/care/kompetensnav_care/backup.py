"""A stack's backup, and the way back: databases, keys, and a manifest that says what belongs together.

Databases are backed up one after the other while everything works; they need not be of one moment, since what
one has published and another has not taken in yet comes again by the log. The streams are not in it: whatever
was published is in the outboxes, and is published again.

manifest.json   <service>.dump (one a database)   stack.toml, when there is one
keys/ (they open the vault, and the broker's accounts)
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg

from kompetensnav_care.counts import Running
from kompetensnav_care.world import Unreachable

OPENS = ("vault.secret", "link.secret")
"""Keys without which a registry's database is of no use; another stack has others."""
NOT_KEPT = ("admin.url", "postgres.secret")
"""What belongs to the database server that was left, and not to the stack."""


@dataclass(frozen=True)
class Manifest:
    """What a backup is made of."""

    stack: str
    made_at: str
    """When it was begun (UTC): whatever was published later may be lacking."""
    revisions: dict[str, str]
    """Service -> the revision of its tables."""
    files: dict[str, str]
    """File in the folder -> its SHA-256."""

    @property
    def moment(self) -> datetime:
        """When it was begun."""
        return datetime.fromisoformat(self.made_at)


def tool(name: str, folder: Path | None) -> str:
    """A program of PostgreSQL. Raises Unreachable when it is not installed."""
    found = str(folder / name) if folder and (folder / name).exists() else shutil.which(name)
    if not found:
        raise Unreachable(f"{name} is not installed; it comes with PostgreSQL's client programs")
    return found


def _pg(admin_url: str, program: str, *arguments: str) -> None:
    at = urlsplit(admin_url)
    where = ["-h", str(at.hostname), "-p", str(at.port or 5432), "-U", unquote(at.username or "")]
    done = subprocess.run(
        [program, *where, *arguments], env=os.environ | {"PGPASSWORD": unquote(at.password or "")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Unreachable(f"{Path(program).name} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


async def back_up(running: Running, to: Path) -> Manifest:
    """Writes a backup of every service into an empty folder; whole, or without a manifest. Raises
    Unreachable."""
    if to.exists() and any(to.iterdir()):
        raise Unreachable(f"{to} is not empty; every backup has a folder of its own")
    to.mkdir(parents=True, exist_ok=True, mode=0o700)
    dump, began = tool("pg_dump", running.programs), datetime.now(UTC)
    revisions = {}
    for service, urls in running.urls.items():
        revisions[service] = await revision(urls["owner"])
        path = to / f"{service}.dump"
        path.touch(mode=0o600)
        _pg(running.admin_url, dump, "--format", "custom", "--file", str(path), service)
    keys = running.care_seed.parent
    shutil.copytree(keys, to / "keys", ignore=shutil.ignore_patterns(*NOT_KEPT))
    if running.described[:1] == ("--file",):
        shutil.copy(running.described[1], to / "stack.toml")
    files = {str(path.relative_to(to)): _sha256(path) for path in sorted(to.rglob("*")) if path.is_file()}
    made = Manifest(running.stack.lower(), began.isoformat(timespec="seconds"), revisions, files)
    (to / "manifest.json").write_text(json.dumps(asdict(made), indent=1))
    return made


async def revision(owner_url: str) -> str:
    """The revision of a service's tables."""
    connection = await asyncpg.connect(owner_url, timeout=5)
    try:
        return str(await connection.fetchval("select version_num from alembic_version"))
    finally:
        await connection.close()


def read(folder: Path) -> Manifest:
    """The manifest of a backup that is whole. Raises Unreachable with what is lacking or not the same."""
    path = folder / "manifest.json"
    try:
        made = Manifest(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        raise Unreachable(f"{folder} holds no whole backup; `kompetensnav backup` makes one") from None
    for name, wanted in made.files.items():
        there = folder / name
        if not there.exists() or _sha256(there) != wanted:
            raise Unreachable(f"{there} is not as it was when the backup was made; take another backup")
    return made


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lay_keys(folder: Path, into: Path) -> int:
    """Lays a backup's keys into the folder of a stack that has not begun yet; returns how many. Raises
    Unreachable when it has keys already."""
    read(folder)
    if (into / "keys").exists():
        raise Unreachable(f"{into / 'keys'} is there already; lay the keys before the first start")
    shutil.copytree(folder / "keys", into / "keys")
    return len(list((into / "keys").iterdir()))


def check_keys(running: Running, folder: Path) -> None:
    """Raises Unreachable when the stack could not read what the backup holds."""
    for name in OPENS:
        mine, theirs = running.care_seed.with_name(name), folder / "keys" / name
        if theirs.exists() and (not mine.exists() or mine.read_bytes() != theirs.read_bytes()):
            raise Unreachable(
                f"This stack has another key ({name}) than the backup. Start it anew: stop it, and"
                f" `kompetensnav restore --from {folder} --keys FOLDER` before the first start"
            )


async def put_back(running: Running, services: Iterable[str], folder: Path) -> AsyncIterator[tuple[str, str]]:
    """Puts each database's backup in its place; gives each with the name under which the one that was there
    is kept (empty: there was none). All are laid beside first, so that a backup that cannot be read changes
    nothing. The services may run: to them the database is away for a moment. Raises Unreachable."""
    pg_restore, services = tool("pg_restore", running.programs), list(services)
    connection = await asyncpg.connect(running.admin_url, timeout=5)
    try:
        for service in services:
            new = f"{service}_new"
            await connection.execute(f"drop database if exists {new}")
            await connection.execute(f"create database {new} owner {service}_owner")
            dump = str(folder / f"{service}.dump")
            _pg(running.admin_url, pg_restore, "--dbname", new, "--exit-on-error", dump)
            await connection.execute(f"revoke connect on database {new} from public")
            for role in ("owner", "app", "relay", "care"):
                await connection.execute(f"grant connect on database {new} to {service}_{role}")
        for service in services:
            yield service, await _swap(connection, service)
    finally:
        await connection.close()


async def _swap(connection: Any, service: str) -> str:
    old = f"{service}_until_{datetime.now(UTC):%Y%m%d%H%M%S}"
    there = await connection.fetchval("select 1 from pg_database where datname = $1", service)
    if not there:
        await connection.execute(f"alter database {service}_new rename to {service}")
        return ""
    await connection.execute(f"alter database {service} with allow_connections false")
    try:
        ended = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1"
        await connection.execute(ended, service)
        async with connection.transaction():
            await connection.execute(f"alter database {service} rename to {old}")
            await connection.execute(f"alter database {service}_new rename to {service}")
    except BaseException:
        await connection.execute(f"alter database {service} with allow_connections true")
        raise
    await connection.execute(f"alter database {old} with allow_connections true")
    return old
