"""The event log itself, read from the beginning, as an operator's check does."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from kompetensnav_chassis import streams, wire
from kompetensnav_chassis.errors import InvalidMessage
from kompetensnav_contracts import Event, subject


async def read_log(
    running: dict[str, Any], municipality: str, kinds: Sequence[type[Event]]
) -> AsyncIterator[Any]:
    """Every event of these kinds in a municipality, oldest first.

    `running`: `nats`, `stack` and `care_seed` (a file) of a running stack. Unreadable messages are passed
    over.
    """
    connection = await streams.connect(running["nats"], Path(running["care_seed"]))
    try:
        by_name = {kind.name: kind for kind in kinds}
        subjects = [subject(kind, municipality) for kind in kinds]
        async for messages in streams.batches(connection, f"INT_{running['stack'].upper()}", subjects):
            for message in messages:
                try:
                    kind = by_name[message.headers.get("ce-type", "")]
                    yield wire.read(kind, message.headers, message.data)
                except (InvalidMessage, KeyError):
                    continue
    finally:
        await connection.close()
