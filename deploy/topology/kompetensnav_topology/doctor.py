"""Is a stack's broker as its file says, and are its links alive? Each finding says what to do."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nats.errors
import nats.js.errors
from cryptography import x509
from nats.js import JetStreamContext

from kompetensnav_topology import apply, exchange, links
from kompetensnav_topology.stackfile import StackFile

SOON = timedelta(days=30)
"""A certificate that runs out within this is listed of."""
ROOM = 0.1
"""Least share of the disk, where the streams lie, that should be free."""
Open = Callable[[str], AbstractAsyncContextManager[JetStreamContext]]
"""Opens JetStream as a user."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, what is wrong with it (empty: nothing), and what to do."""

    what: str
    wrong: str = ""
    todo: str = ""


async def examine(
    made: StackFile, *, out: Path, store: Path | None, monitor: int, open_as: Open
) -> AsyncIterator[Finding]:
    """Everything that can be looked at; what does not answer is a finding, too."""
    for finding in (*_keys(out), *_certificates(made)):
        yield finding
    if store is not None:
        yield _disk(store)
    try:
        varz, jsz = links.monitored(monitor, "varz"), links.monitored(monitor, "jsz?config=1")
        linked = {account for account, _ in links.linked(monitor)}
    except OSError as down:
        yield Finding("server", f"port {monitor} does not answer ({down})", "start it, and look at its log")
        return
    yield _has_read(out / "server.conf", str(varz["config_load_time"]))
    synced = bool(jsz.get("config", {}).get("sync_always"))
    late = "" if synced else "the server acknowledges before it has written"
    yield Finding("acknowledged is on disk", late, "render its configuration again, and restart it")
    for wanted in _links_of(made):
        away = "" if wanted in linked else "there is no connection"
        yield Finding(f"link {wanted}", away, "is the other side up, and does it know this key?")
    for account in apply.accounts(made):
        async for finding in _account(account, open_as):
            yield finding


def _keys(out: Path) -> Iterator[Finding]:
    loose = [path.name for path in sorted((out / "keys").glob("*")) if path.stat().st_mode & 0o077]
    yield Finding("keys are their owner's alone", ", ".join(loose), "chmod 600, and rotate them")


def _certificates(made: StackFile) -> Iterator[Finding]:
    for path in exchange.files_of(made):
        if path.suffix == ".key":
            continue
        try:
            ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
        except (OSError, ValueError) as bad:
            yield Finding(
                f"certificate {path.name}", f"cannot be read ({type(bad).__name__})", "put it there"
            )
            continue
        late = ends - datetime.now(UTC) < SOON
        yield Finding(
            f"certificate {path.name}", f"runs out {ends:%Y-%m-%d %H:%M} UTC" if late else "", "renew it"
        )


def _disk(store: Path) -> Finding:
    usage = shutil.disk_usage(store)
    few = usage.free < ROOM * usage.total
    return Finding("room on disk", f"{usage.free >> 20} MB left" if few else "", "make room, or give it more")


def _has_read(conf: Path, loaded: str) -> Finding:
    """The server's own time has nanoseconds; the file's is compared by the second."""
    if not conf.exists():
        return Finding("configuration", f"{conf} is not there", "topology render")
    newer = conf.stat().st_mtime > datetime.fromisoformat(loaded[:19] + "+00:00").timestamp() + 1
    return Finding(
        "configuration is in use", "the server has not read the newest one" if newer else "",
        "topology render --reload",
    )  # fmt: skip


def _links_of(made: StackFile) -> list[str]:
    if made.hub:
        return [member.name.upper() for member in made.members]
    return ["GATE"] if made.region else []


async def _account(account: apply.Account, open_as: Open) -> AsyncIterator[Finding]:
    what = f"streams and consumers of {account.user}"
    try:
        async with open_as(account.user) as js:
            changes = await apply.plan(js, account.streams, account.consumers)
            listed = ", ".join(f"{c.verb} {c.kind} {c.name}" for c in changes)
            yield Finding(what, listed, "topology apply --plan, then topology apply")
            for name in account.linked:
                silent = [s.name for s in (await js.stream_info(name)).sources or [] if links.is_stalled(s)]
                yield Finding(f"{name} hears its sources", ", ".join(silent), "is `topology watch` running?")
    except nats.js.errors.NotFoundError:
        return  # the plan has said so
    except (OSError, nats.errors.Error, nats.js.errors.Error, TimeoutError) as down:
        yield Finding(what, f"cannot be looked at ({type(down).__name__})", "is this key the server's?")
