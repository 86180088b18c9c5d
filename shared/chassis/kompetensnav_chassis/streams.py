"""Connects to NATS, and reads a stream to its end: for services beside their consumers, and for tools."""

import asyncio
import contextlib
import json
import os
import re
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

PATIENCE = 5.0
"""Seconds that a server has to answer; left alone, the client tries for minutes."""
BATCH = 500
SEQUENCE = "Nats-Sequence"
"""Header that the server gives a stored message last, over any of that name."""
AGAIN = 0.1
"""Seconds until a replica that lags behind is asked once more."""


@dataclass(frozen=True)
class Stored:
    """A message as a stream holds it."""

    stream: str
    seq: int
    at: datetime
    subject: str
    headers: dict[str, str]
    data: bytes

    def header(self, name: str) -> str:
        """A header's value, in whatever case its name is written; empty when there is none."""
        lower = name.lower()
        return next((v for k, v in self.headers.items() if k.lower() == lower), "")


def trust(ca: str | Path | None = None) -> ssl.SSLContext | None:
    """Whom a connection with tls:// believes: this file of certificates, else KOMPETENSNAV_NATS_CA; None for
    the system's own."""
    file = ca or os.environ.get("KOMPETENSNAV_NATS_CA")
    return ssl.create_default_context(cafile=file) if file else None


async def connect(
    url: str,
    seed: str | Path | None = None,
    *,
    ca: str | Path | None = None,
    stays: bool = False,
    **options: Any,
) -> Client:
    """A connection to one of the servers (separated by commas), as the user of a seed or of a file with one.

    `stays`: it connects again, and tries for as long as it takes; else it raises OSError when no server
    answers in time, and whatever nats-py raises when one refuses.
    """
    options |= {"reconnect_time_wait": 0.5, "max_reconnect_attempts": -1} if stays else {}
    if seed is not None:
        options["nkeys_seed_str"] = (seed.read_text() if isinstance(seed, Path) else seed).strip()
    if tls := trust(ca):
        options["tls"] = tls
    connecting = nats.connect(
        url.split(","), connect_timeout=2, allow_reconnect=stays, error_cb=_quiet, **options
    )
    try:
        return await (connecting if stays else asyncio.wait_for(connecting, PATIENCE))
    except TimeoutError as silent:
        raise OSError("NATS does not answer") from silent


async def _quiet(_: Exception) -> None:
    """The error is told once, by whoever asked."""


@contextlib.asynccontextmanager
async def gathering(
    client: Client, subject: str, question: Any, patience: float = PATIENCE
) -> AsyncIterator[AsyncIterator[Msg]]:
    """Asks a question that many answers come to; each must come within the patience (seconds), else
    TimeoutError."""
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)

    async def answers() -> AsyncIterator[Msg]:
        while True:
            yield await subscription.next_msg(timeout=patience)

    try:
        body = json.dumps(question).encode() if question is not None else b""
        await client.publish(subject, body, reply=inbox)
        yield answers()
    finally:
        with contextlib.suppress(nats.errors.Error):
            await subscription.unsubscribe()


async def read(
    client: Client,
    stream: str,
    seq: int,
    most: int = BATCH,
    subject: str = ">",
    patience: float = PATIENCE,
) -> list[Stored]:
    """The messages from a sequence on, at most so many, fewer when they are large; empty at the end, or when
    the replica that answers lags behind. Raises NoRespondersError when there is no such stream, or it does
    not allow direct gets (ADR-31 of NATS)."""
    question = {"seq": max(seq, 1), "batch": most, "next_by_subj": subject}
    found = []
    async with gathering(client, f"$JS.API.DIRECT.GET.{stream}", question, patience) as answers:
        async for answer in answers:
            if not _is_message(answer):
                break
            found.append(stored(stream, answer))
    return found


def _is_message(answer: Msg) -> bool:
    """Whether an answer is a message, and not the end. Raises NoRespondersError when nobody gives any.

    Anybody's message may have a header `Status`; where it stands, only the server says."""
    headers = answer.headers or {}
    if SEQUENCE in headers:
        return True
    if headers.get("Status") == "503":
        raise nats.errors.NoRespondersError
    return False


async def message(client: Client, stream: str, seq: int, patience: float = PATIENCE) -> Stored | None:
    """One message; None when it is not there (any more)."""
    return await get(client, stream, {"seq": seq}, patience)


async def get(
    client: Client, stream: str, question: Mapping[str, object], patience: float = PATIENCE
) -> Stored | None:
    """The message that a direct get finds; None when there is none. Raises what `read` raises."""
    subject = f"$JS.API.DIRECT.GET.{stream}"
    try:
        answer = await client.request(subject, json.dumps(question).encode(), timeout=patience)
    except nats.errors.NoRespondersError:  # or a message that has such a `Status` itself
        async with gathering(client, subject, question, patience) as answers:
            answer = await anext(answers)
    return stored(stream, answer) if _is_message(answer) else None


def stored(stream: str, answer: Msg) -> Stored:
    """The message in an answer to a direct get."""
    headers = {plain(name): plain(value) for name, value in (answer.headers or {}).items()}
    seq, at, subject = (headers.pop(f"Nats-{n}", "") for n in ("Sequence", "Time-Stamp", "Subject"))
    for name in ("Nats-Stream", "Nats-Num-Pending", "Nats-Last-Sequence"):
        headers.pop(name, None)
    return Stored(stream, int(seq), moment(at) or datetime.now(UTC), plain(subject), headers, answer.data)


def plain(text: str) -> str:
    """Text as a database and a page can hold it: what is no character, and NUL, become the sign for that."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def moment(text: str | None) -> datetime | None:
    """A time as Go or Python write it in RFC 3339, with any number of decimals, in UTC when it says no zone;
    None for none, and for Go's zero time."""
    if not text or text.startswith("0001-"):
        return None
    with contextlib.suppress(ValueError, OverflowError):
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    return None


@dataclass
class _Way:
    """How far one filter is read: what is held of it, and where it goes on."""

    subject: str
    next: int = 1
    held: list[Stored] = field(default_factory=list)
    is_at_end: bool = False


async def batches(
    client: Client, stream: str, filters: Sequence[str] = (), most: int = BATCH
) -> AsyncIterator[list[Stored]]:
    """Every message that a stream holds now, oldest first, in batches; of all subjects unless filtered. Makes
    no consumer, so that it needs no right to, and no consumer in use notices. Raises what nats-py raises when
    the stream is not there, TimeoutError when a replica does not catch up."""
    last = (await client.jetstream().stream_info(stream)).state.last_seq
    ways = [_Way(subject, is_at_end=last == 0) for subject in filters or (">",)]
    while ways:
        for way in ways:
            await _fill(client, stream, way, last, most)
        ways = [way for way in ways if way.held or not way.is_at_end]
        known = min((way.next - 1 for way in ways if not way.is_at_end), default=last)
        ready = {message.seq: message for way in ways for message in way.held if message.seq <= known}
        for way in ways:
            way.held = [message for message in way.held if message.seq > known]
        if ready:
            yield [ready[seq] for seq in sorted(ready)]


async def _fill(client: Client, stream: str, way: _Way, last: int, most: int) -> None:
    tries = 0
    while not way.held and not way.is_at_end:
        if found := await read(client, stream, way.next, most, way.subject):
            way.next = found[-1].seq + 1
            way.held = [message for message in found if message.seq <= last]
            way.is_at_end = way.next > last
        elif await _is_at_end(client, stream, way):
            way.is_at_end = True
        elif (tries := tries + 1) * AGAIN > 2 * PATIENCE:
            raise TimeoutError(f"a replica of {stream} does not catch up")
        else:
            await asyncio.sleep(AGAIN)


async def _is_at_end(client: Client, stream: str, way: _Way) -> bool:
    """Whether the stream's leader has no more either: a replica that was asked may lag behind."""
    try:
        await client.jetstream().get_msg(stream, way.next, way.subject, next=True)
    except nats.js.errors.NotFoundError:
        return True
    return False
