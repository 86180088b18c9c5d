"""The command lines `kompetensnav backup | restore | upgrade`: acts on a whole stack, each one command."""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kompetensnav_care import backup as safe
from kompetensnav_care import counts, republish
from kompetensnav_care.commands import DEFAULT, RunFile, admin_of, find, print_verdict, reach
from kompetensnav_care.world import Unreachable

BIN = Path(sys.executable).parent
PATIENCE = 1_800.0
"""Seconds that a stack may take to hear again what it lacks."""
BREATH = 10.0
"""Seconds for what an upgrade has held up; people go on working, so nothing need come to rest."""


def backup(
    to: Annotated[Path, typer.Option(help="An empty folder, kept from others (mode 0700).")],
    run: RunFile = DEFAULT,
) -> None:
    """Write a backup of the stack while everything works: each service's database, and the keys. Whoever has
    it can read the vault: keep it encrypted, and on another machine."""
    running = find(run)
    reach(lambda: admin_of(running))
    made = reach(lambda: asyncio.run(safe.back_up(running, to)))
    for name in made.files:
        if name.endswith(".dump"):
            print(f"{to / name}  {(to / name).stat().st_size:,} bytes")
    print(f"{to / 'keys'}  {sum(name.startswith('keys') for name in made.files)} keys")


def restore(
    services: Annotated[list[str] | None, typer.Argument(help="Only these; all when left out.")] = None,
    from_: Annotated[Path, typer.Option("--from", help="Folder that `backup` has written.")] = Path("backup"),
    keys: Annotated[
        Path | None,
        typer.Option(help="Only lay the keys into the folder of a stack that has not begun; then start it."),
    ] = None,
    only_put_back: Annotated[
        bool, typer.Option(help="Have nothing heard or published again: look first (for the registry).")
    ] = False,
    run: RunFile = DEFAULT,
) -> None:
    """Put back a backup, hear and tell again what came after it, and verify. The databases that were there
    are kept under other names. Exit 1 when something is not as promised afterwards."""
    if keys is not None:
        number = reach(lambda: safe.lay_keys(from_, keys))
        print(f"{number} keys are in {keys / 'keys'}. Next: `kompetensnav up --folder {keys}`, then restore.")
        return
    running = find(run)
    some = services or list(running.urls)
    made = reach(lambda: _fitting(running, some, from_))
    new = reach(lambda: asyncio.run(_is_new(running)))

    async def put_back() -> None:
        async for service, old in safe.put_back(running, some, from_):
            print(f"{service}: restored; " + (f"what was there is now called {old}" if old else "it is new"))

    reach(lambda: asyncio.run(put_back()))
    for service in some:
        reach(partial(_migrate, running, service))
    if only_put_back:
        sys.exit(_verified(running))
    since = f"{made.moment:%Y-%m-%dT%H:%M:%S}"
    for service in [] if new else some:  # to a new log everything is published anyhow
        reach(partial(_topology, running, "redeliver", service, "--since", since))
    published = reach(lambda: asyncio.run(republish.republish(running, None, dry_run=False)))
    print(
        f"Published again what the streams lack: {sum(published.values()):,} events."
        " Waiting until all is heard ..."
    )
    if waits := reach(lambda: asyncio.run(_waits(running, PATIENCE))):
        print(f"Still waiting: {json.dumps(waits)}; look again with `kompetensnav verify`", file=sys.stderr)
    sys.exit(_verified(running))


def upgrade(
    to: Annotated[
        Path | None, typer.Option("--backup", help="An empty folder; a backup is written there first.")
    ] = None,
    run: RunFile = DEFAULT,
    dry_run: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
) -> None:
    """Bring a running stack to the installed version while everybody works: backup, tables, streams, then
    each service anew, listeners first; verify at the end. Migrations only add, so the version before goes on
    until it is its turn."""
    running = find(run)
    order = list(reversed(running.urls))
    table = Table("service", "runs", "installed", "migrations", title="Upgrade")
    for service in order:
        steps = reach(partial(_migrate, running, service, "--plan"))
        table.add_row(service, _runs(running, service), _installed(service), steps.strip() or "none")
    Console().print(table)
    print(reach(lambda: _topology(running, "apply", "--plan")).strip())
    if dry_run:
        return
    if to is None:
        print("Say where the backup goes: --backup FOLDER", file=sys.stderr)
        sys.exit(2)
    backup(to, run)
    for service in order:
        reach(partial(_migrate, running, service))
    reach(lambda: _topology(running, "apply"))
    for service in order:
        print(reach(partial(_kompetensnav, "restart", service, "--folder", _folder(run))).strip())
    reach(lambda: asyncio.run(_waits(running, BREATH)))
    sys.exit(_verified(running))


def _fitting(running: counts.Running, services: Sequence[str], folder: Path) -> safe.Manifest:
    """The backup's manifest, when it is whole and of this stack. Raises Unreachable."""
    made = safe.read(folder)
    admin_of(running)
    safe.check_keys(running, folder)
    if made.stack != running.stack.lower():
        raise Unreachable(f"{folder} is a backup of {made.stack}, and {running.stack.lower()} runs here")
    if strange := [service for service in services if service not in running.urls]:
        raise Unreachable(f"{', '.join(strange)} is no service of this stack")
    for service in set(services) & set(made.revisions):
        _migrate(running, service, "--has", made.revisions[service])
    if lacking := set(services) - set(made.revisions):
        raise Unreachable(f"{folder} holds nothing of {', '.join(sorted(lacking))}")
    return made


async def _is_new(running: counts.Running) -> bool:
    """Whether the log begins anew: nothing has been published here yet."""
    connection = await counts.connect(running)
    try:
        state = (await connection.jetstream().stream_info(f"INT_{running.stack}")).state
        return bool(state.last_seq == 0)
    finally:
        await connection.close()


async def _waits(running: counts.Running, patience: float) -> dict[str, Any]:
    """Waits until nothing waits, seen twice; gives what still does when patience (seconds) ends."""
    seen, end, found = 0, time.monotonic() + patience, {}
    while seen < 2 and time.monotonic() < end:
        found = await counts.waiting(running)
        seen = seen + 1 if not found else 0
        await asyncio.sleep(0.2)
    return found


def _verified(running: counts.Running) -> int:
    """Prints the verdict; returns its exit code."""
    from kompetensnav_care import verify

    verdict = reach(lambda: asyncio.run(verify.verify(running)))
    print_verdict(verdict)
    return verdict.exit_code


def _migrate(running: counts.Running, service: str, *options: str) -> str:
    owner = {f"{service.upper()}_OWNER_DATABASE_URL": running.urls[service]["owner"]}
    return _said([str(BIN / f"kompetensnav-{service}"), "migrate", *options], owner)


def _topology(running: counts.Running, *command: str) -> str:
    seed = str(running.care_seed.with_name("topology.nk"))
    return _kompetensnav("topology", *command, *running.described, "--url", running.nats, "--seed", seed)


def _kompetensnav(*command: str) -> str:
    return _said([str(BIN / "kompetensnav"), *command], {})


def _said(command: list[str], environment: dict[str, str]) -> str:
    """What another of our commands printed. Raises Unreachable with its last line when it fails."""
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise Unreachable(f"`{Path(command[0]).name} {' '.join(command[1:3])}` failed: {words[-1]}")
    return done.stdout


def _folder(run: Path) -> str:
    return str(json.loads(run.read_text())["folder"])


def _runs(running: counts.Running, service: str) -> str:
    """The version that a running service tells."""
    try:
        with urllib.request.urlopen(f"{running.services[service]}/health/ready", timeout=5) as answer:
            return str(json.load(answer).get("version", "?"))
    except (OSError, ValueError, KeyError):
        return "does not answer"


def _installed(service: str) -> str:
    try:
        return version(f"kompetensnav-{service}")
    except PackageNotFoundError:
        return "not installed"
