"""The console's migrations lose nothing of what was there before."""

import asyncio

import asyncpg
import pytest

from kompetensnav_chassis import migrate

pytestmark = pytest.mark.real
PACKAGE = "kompetensnav_operations"
BEFORE = """
    insert into letter (seq, consumer, stream, origin_seq, subject, type, refs, reason, error, fingerprint,
        died_at, deliveries, size, state)
    values (7, 'packing', 'INT_X', 3, 'nav.1256.int.x', 'x', '{}', 'failed', 'Error', 'f', now(), 5, 9,
        'waiting') returning letter_id
"""


async def test_dead_letters_are_kept_when_their_table_gets_its_name(admin_url):
    urls = await migrate.provision(admin_url, "operations_before")
    await asyncio.to_thread(migrate.migrate, urls["owner"], PACKAGE, "0001")
    owner = await asyncpg.connect(urls["owner"])
    try:
        id = await owner.fetchval(BEFORE)
        await asyncio.to_thread(migrate.migrate, urls["owner"], PACKAGE)
        app = await asyncpg.connect(urls["app"])
        try:
            assert await app.fetchval("select consumer from dead_letter where dead_letter_id = $1", id) == (
                "packing"
            )
            next_one = BEFORE.replace("into letter", "into dead_letter").replace(
                "letter_id", "dead_letter_id"
            )
            assert (
                await app.fetchval(next_one.replace("values (7", "values (8").replace(" 3,", " 4,")) == id + 1
            )
        finally:
            await app.close()
    finally:
        await owner.close()
