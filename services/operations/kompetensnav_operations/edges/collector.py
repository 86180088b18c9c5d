"""What the server gives up becomes a dead letter: a message is never out of everybody's sight."""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from kompetensnav_chassis import streams
from kompetensnav_chassis.retry import DEAD_LETTERED, dead_letter

log = structlog.get_logger()
GIVEN_UP = {
    "max_deliver": ("max-deliveries", "every delivery ended without an answer (crash, kill or time-out)"),
    "terminated": ("terminated", "the consumer gave it up"),
}
"""Kind of advisory -> reason and words of the dead letter."""


INBOX = b"_INBOX_operations."


async def collect(client: Client, stack: str, inbox: bytes = INBOX) -> None:
    """Turns the server's advisories into dead letters: MAX_DELIVERIES (crash loops, kills), and
    MSG_TERMINATED of whoever gives up a message without a dead letter. Runs until cancelled.

    Without it such a message is in limbo: neither pending nor acknowledged, and seen by nobody.
    """
    subscription = await client.jetstream().pull_subscribe_bind(
        "collector", f"ADVISORY_{stack.upper()}", inbox_prefix=inbox
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
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError):
                await _take(client, stack, message)


async def _take(client: Client, stack: str, message: Msg) -> None:
    try:
        await _collect(client, stack, json.loads(message.data))
    except nats.errors.BadSubjectError:  # no stream has such a name
        log.warning("advisory_left", why="it cannot be read")
        await message.term()
    except (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError):
        await message.nak(5)
    except (ValueError, TypeError, KeyError, AttributeError):  # nobody's advisory but a stranger's
        log.warning("advisory_left", why="it cannot be read")
        await message.term()
    else:
        await message.ack()


async def _collect(client: Client, stack: str, advisory: dict[str, Any]) -> None:
    kind = advisory.get("type", "").rpartition(".")[2]
    if kind not in GIVEN_UP:
        return
    if str(advisory.get("reason", "")).startswith(DEAD_LETTERED):
        return
    reason, error = GIVEN_UP[kind]
    headers: Mapping[str, str]
    original = await streams.message(client, advisory["stream"], advisory["stream_seq"])
    if original is None:  # a stream that keeps no message that is answered
        subject, data, headers, body = "", b"", {}, "gone"
        stored = datetime.fromisoformat(advisory["timestamp"][:19] + "+00:00")
    else:
        subject, data, headers, body = original.subject, original.data, original.headers, ""
        stored = original.at
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
