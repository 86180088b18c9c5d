"""The command line `kompetensnav webhooks run | list | pause | resume`."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

import httpx
import nats
import nats.errors
import nats.js.errors
import structlog
import typer
from nats.aio.client import Client
from prometheus_client import start_http_server

from kompetensnav_chassis import streams
from kompetensnav_chassis.mail import MailServer
from kompetensnav_chassis.texts import LANGUAGES, texts
from kompetensnav_webhooks import deliver
from kompetensnav_webhooks.deliver import Delivery, Hook

webhooks = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Public events posted to partners' addresses."
)
log = structlog.get_logger()
Out = Annotated[Path, typer.Option(help="Folder that `topology render` has written.")]
Url = Annotated[str, typer.Option(help="NATS server; several with commas between.")]
LOCAL = "nats://127.0.0.1:4222"


@webhooks.command()
def run(
    out: Out,
    url: Url = LOCAL,
    inside: Annotated[
        list[str] | None,
        typer.Option(help="A network of one's own that webhooks may lead to; http is allowed there."),
    ] = None,
    smtp: Annotated[str, typer.Option(envvar="WEBHOOKS_SMTP", help="host:port of a mail server.")] = "",
    sender: Annotated[str, typer.Option(envvar="WEBHOOKS_MAIL_FROM")] = "kompetensnav@localhost",
    metrics: Annotated[int, typer.Option(help="Port on 127.0.0.1 for Prometheus; 0 = none.")] = 0,
    schedule: Annotated[
        str, typer.Option(help="Seconds before each new try, with commas between.")
    ] = ",".join(f"{pause:g}" for pause in deliver.SCHEDULE),
) -> None:
    """Deliver, until stopped; a change of the partners is taken in by itself."""
    networks = [ip_network(each) for each in inside or ()]
    host, _, port = smtp.rpartition(":")
    if smtp and not (host and port.isdigit()):
        sys.exit(f"--smtp {smtp}: write host:port")
    pauses = [float(pause) for pause in schedule.split(",")]
    if metrics:
        start_http_server(metrics, "127.0.0.1")

    async def tell(hook: Hook, why: str) -> None:
        if not (smtp and hook.contact):
            return
        message, words = (
            EmailMessage(),
            [texts("kompetensnav_webhooks", each)["paused"] for each in LANGUAGES],
        )
        message["From"], message["To"] = sender, hook.contact
        message["Subject"] = " / ".join(each["subject"] for each in words)
        message.set_content("\n\n".join(each["text"].format(why=why) for each in words))
        try:
            await MailServer(host, int(port), sender, start_tls=None).send(message)
        except Exception as failed:
            log.error("nobody was told", partner=hook.name, error=type(failed).__name__)

    async def go() -> None:
        connection = await _connect(url, out, stays=True)
        client = httpx.AsyncClient(trust_env=False)  # a proxy would look up the name again
        running: dict[Hook, tuple[Delivery, asyncio.Task[None]]] = {}
        ending: set[asyncio.Task[None]] = set()
        wanted = deliver.read(out)
        ended = asyncio.Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, ended.set)
        try:
            while not ended.is_set():
                for hook in set(running) - set(wanted):
                    delivery, task = running.pop(hook)
                    delivery.ended = True
                    ending.add(task)
                    task.add_done_callback(ending.discard)
                for hook in wanted:
                    if hook not in running:
                        made = Delivery(hook, connection.jetstream(), client, networks, pauses, tell)
                        running[hook] = made, asyncio.create_task(made.run())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), 2)
                with contextlib.suppress(OSError, ValueError):  # it is being written
                    wanted = deliver.read(out)
        finally:
            for delivery, _ in running.values():
                delivery.ended = True  # what is under way is finished: the partner has it already
            await asyncio.gather(*(task for _, task in running.values()), *ending, return_exceptions=True)
            await client.aclose()
            await connection.close()

    _work(go)


@webhooks.command("list")
def show(out: Out, url: Url = LOCAL) -> None:
    """The webhooks, what waits for each, and whether it is paused."""

    async def go() -> None:
        connection = await _connect(url, out)
        try:
            for hook in deliver.read(out):
                info = await connection.jetstream().consumer_info(hook.stream, hook.durable)
                waits = (info.num_pending or 0) + (info.num_ack_pending or 0)
                print(f"{hook.name:20} {'paused' if info.paused else 'on':8} {waits:>8,} wait  {hook.url}")
        finally:
            await connection.close()

    _work(go)


@webhooks.command()
def pause(
    name: str, out: Out, url: Url = LOCAL, hours: Annotated[float, typer.Option(help="How long.")] = 24.0
) -> None:
    """Deliver nothing to a partner for a while; what is told meanwhile waits."""
    _until(name, out, url, datetime.now(UTC) + timedelta(hours=hours))
    print(f"{name} is paused for {hours:g} hours.")


@webhooks.command()
def resume(name: str, out: Out, url: Url = LOCAL) -> None:
    """Deliver again, beginning with what waits."""
    _until(name, out, url, datetime(1970, 1, 1, tzinfo=UTC))
    print(f"{name} is delivered to again.")


def _until(name: str, out: Path, url: str, moment: datetime) -> None:
    async def go() -> None:
        found = [hook for hook in deliver.read(out) if hook.name == name]
        if not found:
            sys.exit(f"There is no webhook {name!r} in {out / 'webhooks.json'}")
        connection = await _connect(url, out)
        try:
            await deliver.pause(connection.jetstream(), found[0], moment)
        finally:
            await connection.close()

    _work(go)


async def _connect(url: str, out: Path, *, stays: bool = False) -> Client:
    seed = out / "keys/webhooks.nk"
    return await streams.connect(url, seed, stays=stays, inbox_prefix="_INBOX_webhooks")


def _work(go: Callable[[], Awaitable[None]]) -> None:
    """Exits with one line when something does not answer."""

    async def done() -> None:
        await go()

    try:
        asyncio.run(done())
    except FileNotFoundError as missing:
        sys.exit(f"{missing.filename} is not there: a partner has `webhook` in stack.toml, then render")
    except (OSError, nats.errors.Error, nats.js.errors.Error) as down:
        sys.exit(f"NATS does not answer: {type(down).__name__}")
