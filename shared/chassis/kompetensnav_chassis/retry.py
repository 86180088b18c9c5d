"""A failing message is tried again later, a limited number of times, then becomes a dead letter.

`InvalidMessage` goes to the dead letters at once. A dead letter is published with an acknowledgement before
the message is terminated, so it is never lost between the two.
"""

import asyncio
import contextlib
import json
import random
import re
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from kompetensnav_chassis.attempts import frames as frames_of
from kompetensnav_chassis.attempts import note
from kompetensnav_chassis.errors import InvalidMessage
from kompetensnav_chassis.failpoints import failpoint

log = structlog.get_logger()
GIVEN_UP = {
    "max_deliver": ("max-deliveries", "every delivery ended without an answer (crash, kill or time-out)"),
    "terminated": ("terminated", "the consumer gave it up"),
}
"""Kind of advisory -> reason and words of the dead letter."""
DEAD_LETTERED = "dead-lettered: "
"""How the reason begins with which a message is terminated that is a dead letter already."""
BODY = "Kn-Dead-Body"
"""Header of a dead letter without its body: `left` where it was, for lack of room, or `gone`."""
NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A header's name as RFC 9110 has it: the client sends no other, and a dead letter must not fail by one."""


class DeadLetters:
    """Decides what happens to a message that failed: again later, or a dead letter."""

    def __init__(self, stack: str, delays: Sequence[float], service: str) -> None:
        self._stack, self._delays, self.service = stack, tuple(delays), service

    async def settle(self, client: Client, message: Msg, error: Exception, attempts: int) -> None:
        """Naks the message with a pause, or makes it a dead letter and terminates it.

        `attempts` counts the handler's own failures: the server's delivery count grows by kills as well.
        """
        about = message.metadata
        log.warning(
            "message_failed",
            consumer=about.consumer,
            seq=about.sequence.stream,
            attempts=attempts,
            error=type(error).__name__,
            at=_where(error),
        )
        if not isinstance(error, InvalidMessage) and attempts <= len(self._delays):
            pause = self._delays[max(attempts, 1) - 1] * random.uniform(0.9, 1.1)
            await note(client, self.service, message, "failed", error, pause)
            await message.nak(pause)
            return
        await note(client, self.service, message, "failed", error)
        try:
            await dead_letter(
                client,
                stack=self._stack,
                subject=message.subject,
                stream=about.stream,
                seq=about.sequence.stream,
                consumer=about.consumer,
                stored=about.timestamp,
                deliveries=about.num_delivered,
                reason=error.reason if isinstance(error, InvalidMessage) else "failed",
                error=f"{type(error).__name__}: {error}"
                if isinstance(error, InvalidMessage)
                else type(error).__name__,
                frames=frames_of(error),
                data=message.data,
                headers=message.headers or {},
            )
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError):
            with contextlib.suppress(nats.errors.Error):
                await message.nak(5)
            return
        failpoint(f"{about.consumer}.after-dead-letter")
        reason = error.reason if isinstance(error, InvalidMessage) else type(error).__name__
        # nats-py's `term` takes no reason, which NATS has had since 2.10.4 (nats-io/nats-server#4697)
        await client.publish(message.reply, f"+TERM {DEAD_LETTERED}{reason}".encode())


async def dead_letter(
    client: Client,
    *,
    stack: str,
    subject: str,
    stream: str,
    seq: int,
    consumer: str,
    stored: datetime,
    deliveries: int,
    reason: str,
    error: str,
    data: bytes,
    headers: Mapping[str, str],
    frames: str = "",
    body: str = "",
) -> None:
    """Publishes a dead letter: the original body and headers, and what happened. Awaits the server's ack.

    `frames` is where it happened: functions and lines, without values, which might be personal. `stored`:
    when the stream took the message; with its sequence it tells it from all others, for a stream that is
    made anew counts from 1 again. `body`: why there is none, `gone`; a message with no room for more headers
    has `left` it where it is.
    """
    kept = {
        name: value
        for name, value in headers.items()
        if NAME.fullmatch(name) and not name.lower().startswith(("nats-", "kn-dead-"))
    }
    about = {
        "Kn-Dead-Subject": subject,
        "Kn-Dead-Stream": stream,
        "Kn-Dead-Seq": str(seq),
        "Kn-Dead-Consumer": consumer,
        "Kn-Dead-Deliveries": str(deliveries),
        "Kn-Dead-Reason": reason,
        "Kn-Dead-Error": " ".join(error.split())[:300],
        "Kn-Dead-Stack": frames,
        "Kn-Dead-In": stack,
        "Kn-Dead-At": datetime.now(UTC).isoformat(),
        "Nats-Msg-Id": f"dead:{consumer}:{stream}:{seq}:{stored.timestamp():.0f}",
    }
    headers = {**kept, **about, **({BODY: body} if body else {})}
    size = len(data) + sum(len(f"{name}: {value}\r\n".encode()) for name, value in headers.items())
    if size > client.max_payload - 1000:
        short = {name: value for name, value in kept.items() if len(value) < 1000}
        data, headers = b"", short | about | {BODY: "left"}
    ack = await client.jetstream().publish(f"dead.{consumer}", data, headers=headers, timeout=5)
    if not ack.duplicate:  # it is there already, and was told of then
        log.error("dead_letter", consumer=consumer, seq=seq, reason=reason)


async def collect(client: Client, stack: str, inbox_prefix: bytes) -> None:
    """Turns the server's advisories into dead letters: MAX_DELIVERIES (crash loops, kills), and
    MSG_TERMINATED of whoever gives up a message without a dead letter. Runs until cancelled.

    Without it such a message is in limbo: neither pending nor acknowledged, and seen by nobody.
    """
    subscription = await client.jetstream().pull_subscribe_bind(
        "collector", f"ADVISORY_{stack.upper()}", inbox_prefix=inbox_prefix
    )
    while True:
        try:
            messages = await subscription.fetch(10, timeout=5)
        except TimeoutError:  # nats-py raises its own and, under load, the plain one
            continue
        except (nats.errors.Error, nats.js.errors.Error):
            await asyncio.sleep(1)
            continue
        for message in messages:
            try:
                await _collect(client, stack, json.loads(message.data))
                await message.ack()
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError):
                await message.nak(5)


async def _collect(client: Client, stack: str, advisory: dict[str, Any]) -> None:
    kind = advisory.get("type", "").rpartition(".")[2]
    if kind not in GIVEN_UP:
        return
    if str(advisory.get("reason", "")).startswith(DEAD_LETTERED):
        return
    reason, error = GIVEN_UP[kind]
    headers: Mapping[str, str]
    try:
        original = await client.jetstream().get_msg(advisory["stream"], advisory["stream_seq"], direct=True)
    except nats.js.errors.NotFoundError:  # a stream that keeps no message that is answered
        subject, data, headers, body = "", b"", {}, "gone"
        stored = datetime.fromisoformat(advisory["timestamp"][:19] + "+00:00")
    else:
        subject, data, headers = original.subject or "", original.data or b"", original.headers or {}
        body = ""
        stored = original.time or datetime.now(UTC)
    await dead_letter(
        client,
        stack=stack,
        subject=subject,
        stream=advisory["stream"],
        seq=advisory["stream_seq"],
        consumer=advisory["consumer"],
        stored=stored,
        deliveries=advisory["deliveries"],
        reason=reason,
        error=advisory.get("reason") or error,
        data=data,
        headers=headers,
        body=body,
    )


def _where(error: Exception) -> str:
    """The innermost frame of our own, without the message (which might hold what it should not)."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "kompetensnav" in f.filename]
    return f"{frames[-1].name}:{frames[-1].lineno}" if frames else ""
