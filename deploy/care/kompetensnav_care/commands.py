"""The command line `kompetensnav care`."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import nats.errors
import nats.js.errors
import typer
from rich.console import Console
from rich.table import Table

from kompetensnav_care import counts
from kompetensnav_care import erase as erasing
from kompetensnav_care import replay as replaying
from kompetensnav_care import republish as telling
from kompetensnav_care.world import Unreachable
from kompetensnav_chassis.ready import is_ready
from kompetensnav_chassis.security import breaks, ends

Found = dict[str, Any]
"""What a check has found, to be shown or printed as JSON."""

if TYPE_CHECKING:
    from kompetensnav_care.verify import Verdict

care = typer.Typer(add_completion=False, no_args_is_help=True, help="Counts and checks over a running stack.")
RunFile = Annotated[
    Path,
    typer.Option(envvar="KOMPETENSNAV_RUN", help="What `kompetensnav up` wrote about the running stack."),
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
DEFAULT = Path(".kompetensnav/run.json")


@care.command()
def count(run: RunFile = DEFAULT, as_json: AsJson = False) -> None:
    """What tables and streams hold; exit 1 when a seat was given twice or a message is stuck."""
    found = _ask(run, counts.count)
    _show(
        found,
        as_json,
        {**found["tables"], **{k: found[k] for k in ("dead_letters", "limbo", "capacity_violations")}},
    )
    sys.exit(1 if found["limbo"] or found["capacity_violations"] else 0)


@care.command()
def security(
    files: Annotated[list[Path], typer.Argument(help="Security logs, each of one service.")],
) -> None:
    """Whether security logs are as they were written; exit 1 when a line was changed, added or taken away."""
    broken = 0
    for file in files:
        try:
            lines = file.read_text(errors="replace").split("\n")
        except OSError as gone:
            sys.exit(f"{file}: {gone.strerror}")
        found, last = breaks(lines), ends(lines)
        broken += len(found)
        for each in found:
            typer.echo(f"{file}: {each}", err=True)
        typer.echo(f"{file}: {len(last)} chains, {len(found)} lines do not fit")
        for chain, (number, seal) in last.items():
            typer.echo(f"  {chain} ends with {number} {seal}")
    sys.exit(1 if broken else 0)


@care.command()
def waiting(
    run: RunFile = DEFAULT,
    as_json: AsJson = False,
    every: Annotated[float, typer.Option(help="Again and again, a line of JSON each so many seconds.")] = 0,
) -> None:
    """What waits in outboxes, queues and for sending."""
    if every:

        async def go_on(running: counts.Running) -> Found:
            async for found in counts.follow(running, every):
                print(json.dumps(found), flush=True)
            return {}

        _ask(run, go_on)
        return
    found = _ask(run, counts.waiting)
    _show(found, as_json, found or {"nothing waits": 0})


Since = Annotated[datetime | None, typer.Option(help="Only what was published since then (UTC).")]


@care.command()
def republish(
    since: Since = None,
    run: RunFile = DEFAULT,
    dry_run: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
) -> None:
    """Publish again what is not in the stream any more; listeners that have it do nothing."""
    running = find(run)
    moment = since.replace(tzinfo=since.tzinfo or UTC) if since else None
    found = reach(lambda: asyncio.run(telling.republish(running, moment, dry_run=dry_run)))
    verb = "would be published again" if dry_run else "are published again"
    _show(found, False, {f"{service}: events that {verb}": n for service, n in found.items()})


@care.command()
def replay(
    consumer: Annotated[str, typer.Argument(help="Whose dead letters.")],
    seq: Annotated[list[int] | None, typer.Option(help="Only these dead letters.")] = None,
    reason: Annotated[str, typer.Option(help="Only dead letters with this reason.")] = "",
    run: RunFile = DEFAULT,
    dry_run: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
    without_audit: Annotated[
        bool, typer.Option("--without-audit", help="Also while the console runs.")
    ] = False,
) -> None:
    """For when the console is down: replay dead letters to the consumer that failed. No audit log has it."""
    running = find(run)
    console = running.services.get("operations", "")
    if console and not without_audit and is_ready(console):
        print(
            f"The console runs at {console}: replay there, or by `kompetensnav ops replay`; both enter it in"
            " the audit log. --without-audit does it here all the same.",
            file=sys.stderr,
        )
        sys.exit(2)
    done = reach(
        lambda: asyncio.run(replaying.replay(running, consumer, seq or (), reason=reason, dry_run=dry_run))
    )
    table = Table("dead letter", "reason", "outcome")
    for each in done:
        table.add_row(str(each.seq), each.reason, each.outcome)
    Console().print(table if done else f"{consumer} has no such dead letter.")


@care.command()
def erase(
    run: RunFile = DEFAULT,
    as_json: AsJson = False,
    dry_run: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
) -> None:
    """Take out of the streams and the outboxes what was published of learners whose erasure all services have
    answered; run it every night."""
    running = find(run)
    done, bodies = reach(lambda: asyncio.run(erasing.erase(running, dry_run=dry_run)))
    if as_json:
        print(json.dumps({"erasures": [asdict(each) for each in done], "outboxes": bodies}, indent=1))
        return
    some = [each for each in done if each.messages or each.waits_for]
    verb = "would be erased" if dry_run else "erased"
    table = Table("erasure", f"messages {verb}", "waits for")
    for each in some:
        table.add_row(
            each.erasure_id, "" if each.waits_for else str(each.messages), ", ".join(each.waits_for)
        )
    Console().print(table if some else "Nothing is left to erase in the streams.")
    if any(bodies.values()):
        _show(bodies, False, {f"{service}: bodies in the outbox {verb}": n for service, n in bodies.items()})


T = TypeVar("T")


def reach(work: Callable[[], T]) -> T:
    """What the work gives; exit 2 with one line when something could not be reached."""
    try:
        return work()
    except Unreachable as why:
        print(str(why), file=sys.stderr)
    except (*counts.AWAY, nats.errors.Error, nats.js.errors.Error) as down:
        print(f"Could not reach all of the stack: {type(down).__name__}: {down}", file=sys.stderr)
    sys.exit(2)


def admin_of(running: counts.Running) -> str:
    """A superuser's URL. Raises Unreachable."""
    if not running.admin_url:
        raise Unreachable("Set KOMPETENSNAV_ADMIN_URL to a superuser's URL.")
    return running.admin_url


def verify(
    run: RunFile = DEFAULT,
    as_json: AsJson = False,
    mail: Annotated[Path | None, typer.Option(help="A folder of messages that the mail server kept.")] = None,
    asked: Annotated[
        Path | None,
        typer.Option(help="What was asked for, a JSON object a line: municipality, ref, outcome."),
    ] = None,
    canary: Annotated[
        list[str] | None, typer.Option(help="A text that must stand nowhere outside the vault.")
    ] = None,
    rebuild: Annotated[
        bool,
        typer.Option(help="Also I11: rebuild each projection in a database made for it, and compare."),
    ] = False,
) -> None:
    """Check the invariants over databases and streams; reads only. Exit 1 with what is wrong, 2 when
    something could not be looked at."""
    from kompetensnav_care import verify as work

    running = find(run)
    try:
        admin = admin_of(running) if rebuild else ""
        verdict = asyncio.run(
            work.verify(running, mail=mail, asked=asked, canaries=canary or [], rebuild_by=admin)
        )
    except Unreachable as why:
        print(f"Not verified. {why}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:  # a fault of ours is no verdict, and must not look like one
        print(f"Not verified. {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
    if as_json:
        print(json.dumps(verdict.as_json(), indent=1))
    else:
        print_verdict(verdict)
    sys.exit(verdict.exit_code)


def print_verdict(verdict: "Verdict") -> None:
    """A row for each invariant, and a word on all."""
    table = Table("", "invariant", "looked at", "outcome", "what", "which")
    for line in verdict.lines:
        which = ", ".join(line.ids[:3]) + (f" and {len(line.ids) - 3} more" if len(line.ids) > 3 else "")
        mark = {"ok": "[green]✓[/]", "unknown": "[yellow]?[/]"}.get(line.outcome, "[red]✗[/]")
        table.add_row(mark, line.invariant, line.looked_at, line.outcome, line.what, which)
    Console().print(table)
    print(verdict.summary)


def find(run: Path) -> counts.Running:
    """The stack that a run file tells of; exit 2 when none runs."""
    try:
        return counts.Running.read(run)
    except (OSError, KeyError, ValueError):
        print(f"Nothing runs that {run} tells of; start with `kompetensnav up`", file=sys.stderr)
        sys.exit(2)


def _ask(run: Path, what: Callable[[counts.Running], Awaitable[Found]]) -> Found:
    running = find(run)

    async def go() -> Found:
        return await what(running)

    try:
        return asyncio.run(go())
    except (*counts.AWAY, nats.errors.Error) as down:
        print(f"Could not reach all of the stack: {type(down).__name__}", file=sys.stderr)
        sys.exit(2)


def _show(found: Found, as_json: bool, shown: Found) -> None:
    if as_json:
        print(json.dumps(found, indent=1))
        return
    table = Table("what", "how many")
    for name, number in shown.items():
        table.add_row(name.replace("_", " "), f"{number:,}")
    Console().print(table)
