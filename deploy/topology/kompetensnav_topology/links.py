"""The links between a hub and its leafs while they are in use: how they are, cutting one, and having streams
ask again as soon as a link is back."""

import asyncio
import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import nats
import nats.errors
import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import StreamSource, StreamSourceInfo

from kompetensnav_chassis import streams

STALLED = 10_000_000_000
"""Nanoseconds without a sign of its source after which a stream has stopped asking; there is one a
second."""


NEW = 60.0
"""Seconds in which a link is new."""


@dataclass(frozen=True)
class Held:
    """A stream that lives of what comes over a link, and the account whose link it is."""

    js: JetStreamContext
    name: str
    account: str
    sources: Sequence[StreamSource]


def monitored(monitor: int, page: str) -> dict[str, Any]:
    """A page of the server's monitoring port. Raises OSError."""
    with urlopen(f"http://127.0.0.1:{monitor}/{page}", timeout=2) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def linked(monitor: int) -> set[tuple[str, int]]:
    """(account, number) of the leaf connections there are. Raises OSError."""
    return {(leaf["account"], leaf["id"]) for leaf in monitored(monitor, "leafz").get("leafs") or []}


async def cut(url: str, seed: Path, monitor: int, *, keep: Collection[str]) -> list[str]:
    """Closes the leaf connections of all other accounts; returns which."""
    gone = sorted((account, number) for account, number in linked(monitor) if account not in keep)
    if not gone:
        return []
    server = monitored(monitor, "varz")["server_id"]
    connection = await streams.connect(url, seed)
    try:
        for _, number in gone:
            body = json.dumps({"cid": number}).encode()
            await connection.request(f"$SYS.REQ.SERVER.{server}.KICK", body, timeout=5)
    finally:
        await connection.close()
    return [account for account, _ in gone]


def is_stalled(source: StreamSourceInfo) -> bool:
    """Whether nothing was heard of it lately, or since the server started. (Its `lag` stays 0 meanwhile.)"""
    return source.active is None or not 0 <= source.active < STALLED


async def ask_again(js: JetStreamContext, stream: str, wanted: Sequence[StreamSource]) -> bool:
    """Has a stream that hears nothing of its sources ask them at once: the server itself waits up to two
    minutes after a longer outage. What it has already it does not take again. `wanted` are its sources as the
    file says: an earlier try may have been cut short. True when it was needed."""
    info = await js.stream_info(stream)
    there = info.sources or []
    if len(there) >= len(wanted) and not any(is_stalled(source) for source in there):
        return False
    config = info.config
    config.sources = []
    await js.update_stream(config)
    config.sources = list(wanted)
    await js.update_stream(config)
    return True


async def watch(monitor: int, held: Sequence[Held], *, pause: float = 1.0) -> None:
    """Runs until cancelled: while a link is new, streams behind it that have stopped asking ask again."""
    since: dict[tuple[str, int], float] = {}
    while True:
        try:
            now = await asyncio.to_thread(linked, monitor)
        except OSError:
            now = set()
        since = {link: since.get(link, time.monotonic()) for link in now}
        new = {account for (account, _), at in since.items() if time.monotonic() - at < NEW}
        for stream in (h for h in held if h.account in new):
            try:
                if await ask_again(stream.js, stream.name, stream.sources):
                    print(f"{stream.name} asks again: the link of {stream.account} is new", flush=True)
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError):
                continue  # the next round looks again
        await asyncio.sleep(pause)
