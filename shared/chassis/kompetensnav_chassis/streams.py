"""Connects to NATS, and reads a stream to its end: for services beside their consumers, and for tools."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

PATIENCE = 5.0
"""Seconds that a server has to answer; left alone, the client tries for minutes."""
BATCH = 500


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


async def batches(
    js: JetStreamContext, stream: str, filters: Sequence[str] = (), most: int = BATCH
) -> AsyncIterator[list[Msg]]:
    """Every message that a stream holds now, oldest first, in batches; of all subjects unless filtered.
    Acknowledges nothing, so that no consumer in use notices. Raises what nats-py raises when the stream is
    not there."""
    config = ConsumerConfig(
        filter_subjects=list(filters) or None,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.NONE,
        inactive_threshold=60,
    )
    subscription = await js.pull_subscribe("", stream=stream, config=config)
    left = (await subscription.consumer_info()).num_pending or 0
    while left > 0:
        messages = await subscription.fetch(min(most, left), timeout=10)
        left -= len(messages)
        yield messages
