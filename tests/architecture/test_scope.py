"""Row-level security holds for every table of every service: the catalog says so, and rows prove it."""

import asyncio
import re
import shutil
from importlib import import_module
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import Column, Uuid, text

from kompetensnav_chassis import migrate, testing
from kompetensnav_chassis.db import Scope, transaction

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
SERVICES = sorted(p.name for p in (ROOT / "services").iterdir() if p.is_dir())


ROWS = {
    "registry": "insert into school (municipality, code, cohort_id) values ($1, 'a', gen_random_uuid())",
    "matching": "insert into standing_rule (municipality, approve_repairs, decided_by)"
    " values ($1, true, 'x')",
    "notifications": "insert into round_fact (round_id, municipality, placement_type, starts_on, matched)"
    " values (gen_random_uuid(), $1, 'apl', '2027-01-01', 1)",
    "reporting": "insert into fact (event_id, municipality, administration, name, thing_id, revision,"
    " placement_type, occupation, week, number, at)"
    " values (gen_random_uuid(), $1, 'school', 'x', gen_random_uuid(), 1, 'apl', '',"
    " '2027-01-04', 1, now())",
}
"""How a service with rows of municipalities is given one; any other concerns the stack as a whole."""


@pytest.fixture(params=SERVICES)
async def database(request, admin_url):
    tables = import_module(f"kompetensnav_{request.param}.tables")
    async with testing.database(admin_url, request.param, tables.Outbox) as made:
        yield made


@pytest.fixture(params=sorted(ROWS))
async def municipal(request, admin_url):
    tables = import_module(f"kompetensnav_{request.param}.tables")
    async with testing.database(admin_url, request.param, tables.Outbox) as made:
        yield made


async def test_every_table_with_a_municipality_forces_row_level_security(database):
    async with database.as_role("owner") as owner:
        rows = await owner.fetch(
            "select c.table_schema || '.' || c.table_name t,"
            " r.relrowsecurity and r.relforcerowsecurity forced"
            " from information_schema.columns c join pg_class r on r.relname = c.table_name"
            " join pg_namespace n on n.oid = r.relnamespace and n.nspname = c.table_schema"
            " where c.column_name = 'municipality' and c.table_schema in ('public', 'vault')"
        )
    assert bool(rows) == (database.service in ROWS)
    assert not [r["t"] for r in rows if not r["forced"]]


async def test_app_role_owns_nothing_and_cannot_read_the_outbox(database):
    async with database.as_role("app") as app:
        assert not await app.fetch("select 1 from pg_tables where tableowner = current_user")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.fetch("select * from outbox")


async def test_relay_and_care_see_only_what_is_theirs(database):
    async with database.as_role("relay") as relay:
        await relay.fetch("select * from outbox")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await relay.fetch("select * from inbox")
    async with database.as_role("care") as care:
        await care.fetch("select * from outbox")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await care.execute("delete from outbox")
        if database.service == "registry":
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await care.fetch("select * from vault.learner")


TABLES = {
    "registry": "school",
    "matching": "standing_rule",
    "notifications": "round_fact",
    "reporting": "fact",
}


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        (Scope(), 0),
        (Scope(("2580",), (), ("school",)), 1),
        (Scope(("2580", "2581"), (), ("school",)), 2),
        (Scope(("2513",), (), ("school",)), 0),
    ],
)
async def test_a_transaction_sees_the_rows_of_its_scope(municipal, scope, seen):
    async with municipal.as_role("owner") as owner:
        for municipality in ("2580", "2581"):
            await owner.execute(ROWS[municipal.service], municipality)
    async with transaction(municipal.sessions, scope) as session:
        n = await session.scalar(text(f"select count(*) from {TABLES[municipal.service]}"))
    assert n == seen


async def test_another_administration_sees_no_learner(admin_url):
    from kompetensnav_reporting.tables import Outbox

    async with testing.database(admin_url, "reporting", Outbox) as database:
        async with database.as_role("owner") as owner:
            await owner.execute(ROWS["reporting"], "2580")
        async with transaction(database.sessions, Scope(("2580",), (), ("social",))) as session:
            assert await session.scalar(text("select count(*) from fact")) == 0


async def test_a_transaction_cannot_write_outside_its_scope(municipal):
    from sqlalchemy.exc import ProgrammingError

    statement = ROWS[municipal.service].replace("$1", ":m")
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with transaction(municipal.sessions, Scope(("2581",), ("2580",), ("school",))) as session:
            await session.execute(text(statement), {"m": "2580"})


@pytest.mark.parametrize("bad", ["2580,2581", "'", "x y", "", "25801"])
def test_a_scope_holds_nothing_but_codes(bad):
    with pytest.raises(ValueError, match="no municipality code"):
        Scope((bad,))


async def test_tables_are_as_the_migrations_make_them(database):
    """No difference between the classes and a migrated database."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from kompetensnav_chassis.db import engine

    metadata = import_module(f"kompetensnav_{database.service}.tables").Base.metadata
    owner = engine(database.urls["owner"])

    def compare(connection):
        options = {"include_schemas": True, "include_name": migrate._ours}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    async with owner.connect() as connection:
        assert await connection.run_sync(compare) == []
    await owner.dispose()


async def test_a_new_migration_is_written_from_the_tables(admin_url, tmp_path, monkeypatch):
    """In a service of a stranger's: one column more in its class, and nothing else, is in the file."""
    package = tmp_path / "kompetensnav_stranger"
    shutil.copytree(ROOT / "examples/partner-service/pitea_introduktion", package)
    for path in package.rglob("*.py"):
        path.write_text(path.read_text().replace("pitea_introduktion", package.name))
    monkeypatch.syspath_prepend(tmp_path)
    urls = await migrate.provision(admin_url, "stranger")
    await asyncio.to_thread(migrate.migrate, urls["owner"], package.name)
    tables = import_module(f"{package.name}.tables")
    tables.Day.__table__.append_column(Column("caretaker_id", Uuid))
    await asyncio.to_thread(migrate.revise, urls["owner"], package.name, "A column more")
    (written,) = (package / "migrations/versions").glob("*_a_column_more.py")
    assert re.findall(r"op\.(\w+)\('(\w+)'", written.read_text()) == [
        ("add_column", "day"), ("drop_column", "day"),
    ]  # fmt: skip
    assert not (package / "migrations/script.py.mako").exists()
