"""The command line `kompetensnav topology`."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import nats
import nats.errors
import nats.js.errors
import typer
from nats.js import JetStreamContext
from rich.console import Console
from rich.table import Table

from kompetensnav_topology import apply as work
from kompetensnav_topology import render as server
from kompetensnav_topology import secrets
from kompetensnav_topology import stack as stacks

topology = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Streams, consumers and users of a stack."
)
Stack = Annotated[str, typer.Option(help="Name of the stack.")]
AckWait = Annotated[
    float,
    typer.Option(envvar="KOMPETENSNAV_ACK_WAIT", help="Seconds until an unanswered message comes again."),
]


@topology.command()
def services(write: Annotated[bool, typer.Option(help="Write services.toml.")] = False) -> None:
    """What the installed services listen to, ask and answer."""
    text = stacks.write_services(stacks.installed_services())
    if write:
        stacks.SERVICES.write_text(text)
    print(text, end="")


@topology.command()
def render(
    stack: Stack,
    out: Annotated[Path, typer.Option(help="Folder for server.conf and keys/.")],
    store: Annotated[Path, typer.Option(help="Folder for the streams.")],
    host: str = "127.0.0.1",
    port: int = 4222,
    monitor: int = 8222,
) -> None:
    """Write the server's configuration and the users' keys."""
    users = stacks.users(stack, stacks.read_services())
    public = server.keys(out / "keys", [user.name for user in users])
    path = out / "server.conf"
    path.write_text(
        server.configuration(
            stack=stack, users=users, public=public, store=store, host=host, port=port, monitor=monitor
        )
    )
    server.check(path)


@topology.command()
def containers(
    out: Annotated[Path, typer.Option(help="Folder for server.conf, keys/ and secrets/.")] = Path(
        ".kompetensnav/compose"
    ),
    stack: Stack = "local",
) -> None:
    """Write what compose.yaml reads: the broker's configuration, and a file for each secret. What is there is
    kept."""
    services = stacks.read_services()
    render(stack=stack, out=out, store=Path("/data"), host="0.0.0.0")
    secrets.write(out, services)
    print(f"Written to {out}: server.conf, keys/ and secrets/ (keep them: they open this stack's data)")


@topology.command()
def apply(
    stack: Stack,
    url: Annotated[str, typer.Option(help="NATS server.")] = "nats://127.0.0.1:4222",
    seed: Annotated[Path | None, typer.Option(help="File with the topology user's seed.")] = None,
    ack_wait: AckWait = 30.0,
    max_bytes: Annotated[
        int, typer.Option(envvar="KOMPETENSNAV_MAX_BYTES", help="Most bytes per event stream.")
    ] = 8 << 30,
    dry_run: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
) -> None:
    """Make and change streams and consumers; safe to run again."""

    async def go(js: JetStreamContext) -> list[work.Change]:
        wanted = work.streams(stack, max_bytes=max_bytes)
        durables = work.consumers(stack, stacks.read_services(), ack_wait=ack_wait)
        step = work.plan if dry_run else work.carry_out
        return await step(js, wanted, durables)

    changes = _at(url, seed, go)
    table = Table("", "kind", "name", title=f"Topology of {stack}: {'plan' if dry_run else 'done'}")
    for change in changes:
        table.add_row(change.verb, change.kind, change.name)
    Console().print(table if changes else f"Topology of {stack}: nothing to change")


@topology.command()
def redeliver(
    stack: Stack,
    service: Annotated[str, typer.Argument(help="Whose consumers begin again.")],
    since: Annotated[
        datetime,
        typer.Option(
            help="When its backup was made (UTC); it hears again from an hour before, for what waited."
        ),
    ],
    url: Annotated[str, typer.Option(help="NATS server.")] = "nats://127.0.0.1:4222",
    seed: Annotated[Path | None, typer.Option(help="File with the topology user's seed.")] = None,
    ack_wait: AckWait = 30.0,
) -> None:
    """Have a service hear again what was told since then; what it has handled already it passes over."""
    mine = [s for s in stacks.read_services() if s.name == service]
    if not mine:
        sys.exit(
            f"There is no service {service!r}; there are {', '.join(s.name for s in stacks.read_services())}"
        )
    moment = since.replace(tzinfo=since.tzinfo or UTC) - work.MARGIN

    async def go(js: JetStreamContext) -> list[work.Change]:
        durables = work.consumers(stack, mine, ack_wait=ack_wait)
        return await work.begin_again(js, [d for d in durables if d[1].durable_name != "collector"], moment)

    for change in _at(url, seed, go):
        print(f"{change.name} begins again from {moment:%Y-%m-%d %H:%M:%S} UTC")


def _at(
    url: str, seed: Path | None, act: Callable[[JetStreamContext], Awaitable[list[work.Change]]]
) -> list[work.Change]:
    """Does something as the topology's user; exits with one line when it cannot."""

    async def go() -> list[work.Change]:
        options = {"nkeys_seed": str(seed)} if seed else {}
        connection = await nats.connect(
            url, connect_timeout=5, allow_reconnect=False, error_cb=_quiet, **options
        )
        try:
            return await act(connection.jetstream())
        finally:
            await connection.close()

    try:
        return asyncio.run(go())
    except nats.js.errors.APIError as refused:
        sys.exit(f"NATS at {url} refuses it: {refused.description}")
    except (OSError, nats.errors.Error) as down:
        sys.exit(f"NATS at {url} does not answer: {type(down).__name__}")


async def _quiet(_: Exception) -> None:
    """The error is told once, by the caller."""
