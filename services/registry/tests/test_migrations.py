"""The registry's migrations: each whole, and none loses what was there before."""

import asyncio
import gzip
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from kompetensnav_chassis import db, migrate, testing
from kompetensnav_chassis.db import Scope, transaction
from kompetensnav_registry.ground.tables.foundation import Outbox
from kompetensnav_registry.ledger.actions import direct

pytestmark = pytest.mark.real
PACKAGE = "kompetensnav_registry"
BEFORE = Path(__file__).parent / "data/registry-0009.sql.gz"
"""A registry of revision 0009, as it was made before the migrations were written anew: twelve made-up
learners, eight of them with offers, four of those placed. By `pg_dump --inserts`, without comments."""
SHAPE = {
    "columns": "select table_schema || '.' || table_name || '.' || column_name, ordinal_position, data_type,"
    " character_maximum_length, is_nullable, column_default from information_schema.columns"
    " where table_schema in ('public', 'vault', 'facts') and table_name not like 'outbox_%'",
    "constraints": "select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint"
    " where connamespace::regnamespace::text in ('public', 'vault')"
    " and conrelid::regclass::text not like 'outbox_%'",
    "indexes": "select indexdef from pg_indexes where schemaname in ('public', 'vault')"
    " and tablename not like 'outbox_%'",
    "policies": "select schemaname, tablename, policyname, cmd, qual, with_check from pg_policies",
    "functions": "select proname, pg_get_functiondef(oid) from pg_proc"
    " where pronamespace::regnamespace::text = 'public'",
    "views": "select viewname, definition from pg_views where schemaname = 'facts'",
}


async def shape(url):
    """What a database looks like: part -> its lines, sorted."""
    connection = await asyncpg.connect(url)
    try:
        return {part: sorted(map(str, await connection.fetch(sql))) for part, sql in SHAPE.items()}
    finally:
        await connection.close()


async def rows(url):
    """Table -> how many rows it has."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "select schemaname || '.' || tablename from pg_tables where schemaname in ('public', 'vault')"
            " and tablename <> 'alembic_version'"
        )
        return {name: await connection.fetchval(f"select count(*) from {name}") for (name,) in tables}
    finally:
        await connection.close()


async def restored(admin_url, service):
    """A database of that name with what was there before; role -> URL."""
    urls = await migrate.provision(admin_url, service)
    admin = await asyncpg.connect(make_url(admin_url).set(database=service).render_as_string(False))
    try:
        text = gzip.decompress(BEFORE.read_bytes()).decode()
        for role in migrate.ROLES:
            text = text.replace(f"registry_{role}", f"{service}_{role}")
        await admin.execute(text)
    finally:
        await admin.close()
    return urls


async def test_what_was_there_before_the_migrations_were_written_anew_is_brought_up_and_goes_on(admin_url):
    async with testing.database(admin_url, "registry", Outbox) as fresh:
        expected = await shape(fresh.urls["owner"])
    urls = await restored(admin_url, "registry_before")
    before = await rows(urls["owner"])
    assert before["vault.learner"] == 12
    await asyncio.to_thread(migrate.migrate, urls["owner"], PACKAGE)
    after = await rows(urls["owner"])
    assert before.items() <= after.items(), "nothing is lost, nothing is made up"
    found = await shape(urls["owner"])
    for part, lines in expected.items():
        assert found[part] == lines, part
    engine = db.engine(urls["app"])
    try:
        sessions = db.sessions(engine, "registry", Outbox)
        owner = await asyncpg.connect(urls["owner"])
        open_request = await owner.fetchval(
            "select request_id from request where state = 'open'"
            " and request_id not in (select request_id from offer) limit 1"
        )
        slot_id, taken = await owner.fetchrow("select slot_id, taken from slot")
        async with transaction(sessions, Scope(("2580",), (), ("school",))) as session:
            await direct.offer_slot(session, municipality="2580", request_id=open_request, slot_id=slot_id)
        assert await owner.fetchval("select taken from slot") == taken + 1
        await owner.close()
    finally:
        await engine.dispose()
