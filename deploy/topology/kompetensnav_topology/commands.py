"""The command line `kompetensnav topology`."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import nats
import nats.errors
import nats.js.errors
import typer
from nats.js import JetStreamContext
from rich.console import Console
from rich.table import Table

from kompetensnav_chassis import streams
from kompetensnav_topology import adopt as adopting
from kompetensnav_topology import apply as work
from kompetensnav_topology import doctor, exchange, links, refusals, secrets, stackfile
from kompetensnav_topology import render as server
from kompetensnav_topology import stack as stacks
from kompetensnav_topology.stackfile import StackFile

topology = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Streams, consumers and users of a stack."
)
add = typer.Typer(no_args_is_help=True, help="Write into stack.toml: who is to be let in.")
topology.add_typer(add, name="add")
Stack = Annotated[str, typer.Option(help="Name of the stack; a file says it itself.")]
File = Annotated[Path | None, typer.Option(help="stack.toml: name, municipalities, partners, services.")]
TheFile = Annotated[Path, typer.Option("--file", help="stack.toml.")]
Url = Annotated[str, typer.Option(help="NATS server; several with commas between.")]
Seed = Annotated[Path | None, typer.Option(help="File with the topology user's seed.")]
Out = Annotated[Path, typer.Option(help="Folder with server.conf and keys/.")]
Store = Annotated[Path, typer.Option(help="Folder of the streams.")]
LOCAL = "nats://127.0.0.1:4222"
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
    out: Out,
    store: Store,
    stack: Stack = "",
    file: File = None,
    host: str = "127.0.0.1",
    port: int = 4222,
    monitor: int = 8222,
    pid_file: Annotated[
        Path | None, typer.Option(help="Where the server writes its process id, for --reload.")
    ] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Have the running server read it.")] = False,
) -> None:
    """Write the server's configuration and the users' keys; the server is asked whether it would take it.
    A stack with nodes gets a folder for each."""
    if reload and not pid_file:
        sys.exit("--reload needs --pid-file. In containers: docker compose kill -s HUP nats")
    made = _stack(stack, file)
    fetching = [partner for partner in made.partners if not partner.webhook]
    posted = [partner for partner in made.partners if partner.webhook]
    users = stacks.users(made.name, made.services, [partner.durable for partner in posted])
    names = [*(user.name for user in users), *(partner.name for partner in fetching), "system"]
    names += [f"topology-{member.name}" for member in made.members]
    names += ["topology-edge", "leaf"] if made.region else []
    public = server.keys(out / "keys", names)
    seed = (out / "keys/leaf.nk").read_text().strip() if made.region else ""
    before, files = "", exchange.files_of(made)
    if made.nodes and reload:
        sys.exit("Nodes are on machines of their own: on each, `nats-server --signal reload` twice.")
    for node in made.nodes or (None,):
        folder, streams = (out / node.name, store / node.name) if node else (out, store)
        path, checked = folder / "server.conf", folder / "server.conf.new"
        folder.mkdir(exist_ok=True)
        before = path.read_text() if path.exists() else ""
        checked.unlink(missing_ok=True)
        checked.touch(mode=0o600 if seed else 0o644)
        at, _, there = node.listen.rpartition(":") if node else (host, "", port)
        checked.write_text(
            server.configuration(
                stack=made.name, users=users, public=public, store=streams, host=at, port=int(there),
                monitor=node.monitor if node else monitor, partners=fetching, pid_file=pid_file,
                met=made, seed=seed, node=node,
            )
        )  # fmt: skip
        if lacking := [file for file in files if not file.exists()]:
            print(f"{path} is not checked: {lacking[0]} is not on this machine")
        else:
            server.check(checked)
        checked.replace(path)
    secrets.write_webhooks(out, made.name, posted)
    if made.region:
        print(f"The key of this stack for the hub {made.region.name}: {public['leaf']}")
    if reload:
        assert pid_file is not None
        server.reload(pid_file, monitor)
        if made.hub:
            same = {member.name.upper() for member in made.members if member.key in before}
            asyncio.run(links.cut(f"nats://{host}:{port}", out / "keys/system.nk", monitor, keep=same))


def _stack(name: str, file: Path | None) -> StackFile:
    """The stack of a file, or one that has nothing but our services; exits with what does not fit."""
    if file is None:
        if not name:
            sys.exit("Name the stack with --stack, or its file with --file.")
        return StackFile(name, (), services=tuple(stacks.read_services()))
    try:
        read = stackfile.read(file)
    except stackfile.BadFile as bad:
        sys.exit(str(bad))
    return read if read.hub else replace(read, services=(*stacks.read_services(), *read.services))


@add.command()
def partner(
    name: Annotated[str, typer.Argument(help="Small letters and digits.")],
    event: Annotated[list[str], typer.Option(help="Public event it may read; may be given many times.")],
    file: TheFile,
    municipality: Annotated[list[str] | None, typer.Option(help="All of the stack's, when left out.")] = None,
    webhook: Annotated[str, typer.Option(help="https address that its events are posted to.")] = "",
    contact: Annotated[str, typer.Option(help="Mailbox that is told when that fails for days.")] = "",
) -> None:
    """Let a partner read some public events, over one consumer of its own."""
    values: dict[str, Any] = {"name": name, "events": event}
    more = {"municipalities": municipality, "webhook": webhook, "contact": contact}
    _add(file, "partner", values | {key: value for key, value in more.items() if value})


@add.command()
def service(
    name: Annotated[str, typer.Argument(help="Small letters and digits.")],
    listens: Annotated[list[str], typer.Option(help="CONSUMER=EVENT; may be given many times.")],
    file: TheFile,
) -> None:
    """Let a service of one's own speak and listen."""
    consumers: dict[str, list[str]] = {}
    for each in listens:
        durable, _, event = each.partition("=")
        consumers.setdefault(durable, []).append(event)
    _add(file, "service", {"name": name, "listens": consumers})


@add.command()
def member(
    name: Annotated[str, typer.Argument(help="The name of its stack.")],
    key: Annotated[str, typer.Option(help="The public key that its topology render prints.")],
    municipality: Annotated[list[str], typer.Option(help="Its municipality; may be given many times.")],
    file: TheFile,
) -> None:
    """Let a stack be a leaf of this hub."""
    _add(file, "member", {"name": name, "municipalities": municipality, "key": key})


@add.command()
def municipality(code: Annotated[str, typer.Argument(help="SCB code, four digits.")], file: TheFile) -> None:
    """Have the stack serve one more municipality."""
    try:
        stackfile.add_municipality(file, code)
    except stackfile.BadFile as bad:
        sys.exit(str(bad))
    print(f"{code} is in {file}. Next: topology render --reload, then topology apply.")


def _add(file: Path, kind: str, values: dict[str, Any]) -> None:
    try:
        stackfile.add(file, kind, values)
    except stackfile.BadFile as bad:
        sys.exit(str(bad))
    print(f"{values['name']} is in {file}. Next: topology render --reload, then topology apply.")


@topology.command()
def revoke(
    name: Annotated[str, typer.Argument(help="A partner, a service or a hub's member.")],
    file: TheFile,
    out: Out,
) -> None:
    """Take a partner, a service or a member out of the file, and its key away."""
    try:
        stackfile.remove(file, name)
    except stackfile.BadFile as bad:
        sys.exit(str(bad))
    for kind in ("nk", "whsec"):
        (out / f"keys/{name}.{kind}").unlink(missing_ok=True)
    print(f"{name} is out of {file}. Next: topology render --reload, then topology apply.")


@topology.command()
def rotate(name: Annotated[str, typer.Argument(help="A user.")], out: Out) -> None:
    """Give a user a new key; the old one ends when the server has read the new configuration."""
    key, signs = out / f"keys/{name}.nk", out / f"keys/{name}.whsec"
    if signs.exists():
        secrets.renew_webhook(signs)
        print(
            f"{signs} has a new secret first; both sign. Hand the new one over; take the old line out then."
        )
        return
    if not key.exists():
        sys.exit(f"There is no user {name!r} in {out / 'keys'}.")
    key.unlink()
    server.keys(out / "keys", [name])
    print(f"{key} is new. Next: give it to {name}, and topology render --reload.")


@topology.command()
def containers(
    out: Annotated[Path, typer.Option(help="Folder for server.conf, keys/ and secrets/.")] = Path(
        ".kompetensnav/compose"
    ),
    stack: Stack = "local",
    file: File = None,
) -> None:
    """Write what compose.yaml and deploy/kubernetes read: the broker's configuration, and a file for each
    secret. What is there is kept."""
    render(out=out, store=Path("/data"), stack=stack, file=file, host="0.0.0.0")
    secrets.write(out, _stack(stack, file).services)
    print(f"Written to {out}: server.conf, keys/ and secrets/ (keep them: they open this stack's data)")


@topology.command()
def apply(
    stack: Stack = "",
    file: File = None,
    url: Url = LOCAL,
    seed: Seed = None,
    ack_wait: AckWait = 30.0,
    max_bytes: Annotated[
        int, typer.Option(envvar="KOMPETENSNAV_MAX_BYTES", help="Most bytes per event stream.")
    ] = 8 << 30,
    dry_run: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
) -> None:
    """Make and change streams and consumers, and remove what nobody listens with; safe to run again."""
    made = _stack(stack, file)

    step = work.plan if dry_run else work.carry_out
    changes: list[work.Change] = []
    for account in work.accounts(made, ack_wait=ack_wait, max_bytes=max_bytes):

        async def go(js: JetStreamContext, account: work.Account = account) -> list[work.Change]:
            return await step(js, account.streams, account.consumers)

        changes += _at(url, _seed_of(seed, account.user), go)
    table = Table("", "kind", "name", title=f"Topology of {made.name}: {'plan' if dry_run else 'done'}")
    for change in changes:
        table.add_row(change.verb, change.kind, change.name)
    Console().print(table if changes else f"Topology of {made.name}: nothing to change")


@topology.command()
def adopt(
    streams: Annotated[list[str], typer.Argument(help="Streams of an application that is not ours.")],
    stack: Stack,
    url: Url = LOCAL,
    seed: Seed = None,
    dry_run: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
) -> None:
    """Make another application's streams ready for the operations console; safe to run again."""

    async def go(js: JetStreamContext) -> list[work.Change]:
        return await adopting.adopt(js, stack, streams, dry_run=dry_run)

    try:
        changes = _at(url, seed, go)
    except adopting.Taken as taken:
        sys.exit(f"{taken} Give --stack another name.")
    table = Table("", "kind", "name", title=f"Adopted for {stack}: {'plan' if dry_run else 'done'}")
    for change in changes:
        table.add_row(change.verb, change.kind, change.name)
    Console().print(table if changes else f"Adopted for {stack}: nothing to change")


def _seed_of(seed: Path | None, user: str) -> Path | None:
    """The file of another account's user lies beside the topology user's."""
    return seed if user == "topology" or seed is None else seed.with_name(f"{user}.nk")


@topology.command()
def watch(
    file: TheFile,
    seed: Annotated[Path, typer.Option(help="File with the topology user's seed; others' lie beside it.")],
    url: Url = LOCAL,
    monitor: int = 8222,
) -> None:
    """Have streams ask again as soon as a link between a hub and a leaf is back; runs until stopped. Without
    it they catch up too, up to some minutes later."""
    made = _stack("", file)

    async def go() -> None:
        async with contextlib.AsyncExitStack() as stack:
            held = []
            for account in work.accounts(made):
                if not account.linked:
                    continue
                connection = await streams.connect(url, _seed_of(seed, account.user), stays=True)
                stack.push_async_callback(connection.close)
                js = connection.jetstream()
                held += [
                    links.Held(js, name, account.link, sources) for name, sources in account.linked.items()
                ]
            if not held:
                sys.exit(f"{file}: this stack is no leaf and no hub: there is no link to watch")
            await links.watch(monitor, held)

    try:
        asyncio.run(go())
    except (OSError, nats.errors.Error) as down:
        sys.exit(f"NATS at {url} does not answer: {type(down).__name__}")
    except KeyboardInterrupt:
        return


@topology.command("doctor")
def examine(
    file: TheFile,
    out: Out,
    seed: Annotated[Path, typer.Option(help="File with the topology user's seed; others' lie beside it.")],
    store: Annotated[
        Path | None, typer.Option(help="Folder of the streams, when it is on this machine.")
    ] = None,
    url: Url = LOCAL,
    monitor: int = 8222,
) -> None:
    """Is the broker as its file says, and are its links alive? Exit 1 when something is wrong."""
    made = _stack("", file)

    @contextlib.asynccontextmanager
    async def open_as(user: str) -> AsyncIterator[JetStreamContext]:
        connection = await streams.connect(url, _seed_of(seed, user))
        try:
            yield connection.jetstream()
        finally:
            await connection.close()

    async def go() -> list[doctor.Finding]:
        found = doctor.examine(made, out=out, store=store, monitor=monitor, open_as=open_as)
        return [finding async for finding in found]

    findings = asyncio.run(go())
    table = Table("", "what", "wrong", "what to do", title=f"Examination of {made.name}")
    for finding in findings:
        todo = finding.todo if finding.wrong else ""
        table.add_row("✗" if finding.wrong else "✓", finding.what, finding.wrong, todo)
    Console().print(table)
    sys.exit(1 if any(finding.wrong for finding in findings) else 0)


@topology.command()
def refused(
    out: Out,
    log: Annotated[Path, typer.Option(help="The server's log.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Who asked for what they may not have, how often, and when last."""
    users = {public: name for name, public in server.known(out / "keys").items()}
    with log.open(errors="replace") as lines:
        found = refusals.read(lines, users)
    if as_json:
        print(json.dumps([asdict(each) for each in found], indent=1))
        return
    table = Table("user", "tried to", "subject", "times", "last")
    for each in found:
        what = "publish" if each.what == "publish" else "subscribe"
        table.add_row(each.user, what, each.subject, f"{each.times:,}", each.last)
    Console().print(table if found else "Nobody was refused.")


@topology.command()
def redeliver(
    who: Annotated[str, typer.Argument(help="The service or partner whose consumers begin again.")],
    since: Annotated[
        datetime,
        typer.Option(
            help="When its backup was made (UTC); it hears again from an hour before, for what waited."
        ),
    ],
    stack: Stack = "",
    file: File = None,
    url: Url = LOCAL,
    seed: Seed = None,
    ack_wait: AckWait = 30.0,
) -> None:
    """Have a service or a partner hear again what was told since then; what a service has handled already it
    passes over."""
    made = _stack(stack, file)
    mine = replace(
        made,
        services=tuple(s for s in made.services if s.name == who),
        partners=tuple(p for p in made.partners if p.name == who),
    )
    if not (mine.services or mine.partners):
        known = ", ".join([*(s.name for s in made.services), *(p.name for p in made.partners)])
        sys.exit(f"There is no service or partner {who!r}; there are {known}")
    moment = since.replace(tzinfo=since.tzinfo or UTC) - work.MARGIN

    async def go(js: JetStreamContext) -> list[work.Change]:
        found = work.accounts(mine, ack_wait=ack_wait)[0].consumers
        durables = [d for d in found if d[1].durable_name != "collector"]
        return await work.begin_again(js, durables, moment)

    for change in _at(url, seed, go):
        print(f"{change.name} begins again from {moment:%Y-%m-%d %H:%M:%S} UTC")


def _at(
    url: str, seed: Path | None, act: Callable[[JetStreamContext], Awaitable[list[work.Change]]]
) -> list[work.Change]:
    """Does something as the topology's user; exits with one line when it cannot."""

    async def go() -> list[work.Change]:
        connection = await streams.connect(url, seed)
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
