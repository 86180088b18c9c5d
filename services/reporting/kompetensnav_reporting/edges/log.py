"""The event log itself, read from the beginning, as an operator's check does."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from kompetensnav_chassis import wire
from kompetensnav_chassis.errors import InvalidMessage
from kompetensnav_contracts import Event, subject


async def read_log(
    running: dict[str, Any], municipality: str, kinds: Sequence[type[Event]]
) -> AsyncIterator[Any]:
    """Every event of these kinds in a municipality, oldest first.

    `running`: `nats`, `stack` and `care_seed` (a file) of a running stack. Unreadable messages are passed
    over.
    """
    connection = await nats.connect(
        running["nats"].split(","), nkeys_seed_str=Path(running["care_seed"]).read_text().strip()
    )
    try:
        js = connection.jetstream()
        by_name = {kind.name: kind for kind in kinds}
        subscription = await js.pull_subscribe(
            "",
            stream=f"INT_{running['stack'].upper()}",
            config=ConsumerConfig(
                filter_subjects=[subject(kind, municipality) for kind in kinds],
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=AckPolicy.NONE,
                inactive_threshold=60,
            ),
        )
        left = (await subscription.consumer_info()).num_pending or 0
        while left > 0:
            for message in await subscription.fetch(min(500, left), timeout=10):
                left -= 1
                headers = message.headers or {}
                try:
                    yield wire.read(by_name[headers.get("ce-type", "")], headers, message.data)
                except (InvalidMessage, KeyError):
                    continue
    finally:
        await connection.close()
