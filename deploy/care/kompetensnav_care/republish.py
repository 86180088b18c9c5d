"""Events published again that a stream has lost: the outboxes keep all that was published."""

from datetime import datetime

import asyncpg

from kompetensnav_care.counts import Running, connect
from kompetensnav_care.log import read_log


async def republish(running: Running, since: datetime | None, *, dry_run: bool) -> dict[str, int]:
    """Has the relays tell again whatever was published since then and is not in its stream; returns how many,
    by service. Listeners that have it already do nothing with it. Raises Unreachable."""
    connection = await connect(running)
    try:
        there = {
            message.headers.get("ce-id")
            for name in ("INT", "PUB", "FED")
            for message in await read_log(connection, f"{name}_{running.stack}")
        }
    finally:
        await connection.close()
    found = {}
    for service, urls in running.urls.items():
        database = await asyncpg.connect(urls["relay"], timeout=5)
        try:
            rows = await database.fetch(
                "select id, event_id from outbox where published_at is not null and parked is null"
                " and told_at >= coalesce($1, '-infinity'::timestamptz)",
                since,
            )
            lacking = [row["id"] for row in rows if str(row["event_id"]) not in there]
            if lacking and not dry_run:
                await database.execute(
                    "update outbox set published_at = null, published_seq = null, attempts = attempts + 1"
                    " where id = any($1)",
                    lacking,
                )
            found[service] = len(lacking)
        finally:
            await database.close()
    return found
