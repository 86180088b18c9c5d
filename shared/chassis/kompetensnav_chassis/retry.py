"""A failing message is tried again later, a limited number of times, then becomes a dead letter.

`InvalidMessage` goes to the dead letters at once. A dead letter is published with an acknowledgement before
the message is terminated, so it is never lost between the two.
"""

import contextlib
import random
import re
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from kompetensnav_chassis.attempts import frames as frames_of
from kompetensnav_chassis.attempts import note
from kompetensnav_chassis.errors import InvalidMessage
from kompetensnav_chassis.failpoints import failpoint
from kompetensnav_chassis.streams import Stored

log = structlog.get_logger()
DEAD_LETTERED = "dead-lettered: "
"""How the reason begins with which a message is terminated that is a dead letter already."""
BODY = "Kn-Dead-Body"
"""Header of a dead letter without its body: `left` where it was, for lack of room, or `gone`."""
LONG = 1000
"""Characters of a header that a dead letter without room leaves out."""
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
        short = {name: value for name, value in kept.items() if len(value) < LONG}
        data, headers = b"", short | about | {BODY: "left"}
    ack = await client.jetstream().publish(f"dead.{consumer}", data, headers=headers, timeout=5)
    if not ack.duplicate:  # it is there already, and was told of then
        log.error("dead_letter", consumer=consumer, seq=seq, reason=reason)


Comparison = Literal["same", "differs", "gone"]
"""What a dead letter is beside the message that it says it is of."""


def compared(dead: Stored, original: Stored | None) -> Comparison:
    """Whether what a listener would read of a dead letter (body and `ce-` headers) is what the stream holds
    at the place that it names. `gone`: there is nothing to compare with, or a message that came later, in a
    stream that was made anew; anybody could have written such a dead letter. One that has `left` its body is
    compared with the body put back."""
    if original is None or original.at > dead.at:
        return "gone"
    is_same = original.subject == dead.header("Kn-Dead-Subject") and _envelope(original) == _envelope(dead)
    return "same" if is_same and original.data == dead.data else "differs"


def _envelope(message: Stored) -> dict[str, str]:
    named = {
        # nats-py sends a value without the space around it and the line breaks in it
        name.lower(): " ".join(value.split())
        for name, value in message.headers.items()
        if NAME.fullmatch(name)
    }
    # a dead letter with no room for long headers has left them where they are
    return {name: value for name, value in named.items() if name.startswith("ce-") and len(value) < LONG}


def _where(error: Exception) -> str:
    """The innermost frame of our own, without the message (which might hold what it should not)."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "kompetensnav" in f.filename]
    return f"{frames[-1].name}:{frames[-1].lineno}" if frames else ""
