"""Databases and their roles: provisioned once, migrated by each service under an advisory lock.

Every service has one database and four roles in it: owner (migrations), app (scoped by row-level security),
relay (outbox only) and care (reads, for operators' checks).
"""

import asyncio
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Literal

import asyncpg
import sqlalchemy as sa
from alembic import command, context, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import MetaData, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection, make_url

from kompetensnav_chassis.db import engine

ROLES = ("owner", "app", "relay", "care")
_MONTHS = 4
"""Partitions kept ready: every look at the outbox visits each of them, so no more than are needed."""
_LOCK = 7_300


async def provision(admin_url: str, service: str, passwords: dict[str, str] | None = None) -> dict[str, str]:
    """Makes the database and roles of a service (or renews the passwords); returns role -> DSN.

    `admin_url`: a superuser's DSN, or that of a role that may create databases and roles.
    """
    passwords = passwords or {role: secrets.token_urlsafe(24) for role in ROLES}
    connection = await asyncpg.connect(admin_url)
    try:
        for role, password in passwords.items():
            exists = await connection.fetchval(
                "select 1 from pg_roles where rolname = $1", f"{service}_{role}"
            )
            verb = "alter" if exists else "create"
            literal = await connection.fetchval("select quote_literal($1::text)", password)
            await connection.execute(f"{verb} role {service}_{role} login password {literal}")
        if not await connection.fetchval("select 1 from pg_database where datname = $1", service):
            await connection.execute(f"create database {service} owner {service}_owner")
            await connection.execute(f"revoke connect on database {service} from public")
        for role in ROLES:
            await connection.execute(f"grant connect on database {service} to {service}_{role}")
    finally:
        await connection.close()
    base = make_url(admin_url)
    return {
        role: base.set(username=f"{service}_{role}", password=password, database=service).render_as_string(
            False
        )
        for role, password in passwords.items()
    }


def migrate(owner_url: str, package: str, to: str = "head") -> None:
    """Brings the database to a revision, and grants the roles what they need. Safe to run many times at
    once. `package`: where the service's migrations are."""
    asyncio.run(_migrate(owner_url, package, to))


async def _migrate(owner_url: str, package: str, to: str) -> None:
    database = engine(owner_url)
    try:
        async with database.connect() as connection:
            await connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
            await connection.commit()
            await connection.run_sync(_upgrade, package, to)
            await connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})
            await connection.commit()
    finally:
        await database.dispose()


def pending(owner_url: str, package: str, to: str = "head") -> list[tuple[str, str]]:
    """(revision, what it does) of each migration that `migrate` would run, first one first."""

    async def ask() -> str | None:
        database = engine(owner_url)
        try:
            async with database.connect() as connection:
                return await connection.run_sync(_revision)
        finally:
            await database.dispose()

    scripts = ScriptDirectory.from_config(config(package)).iterate_revisions(to, asyncio.run(ask()) or "base")
    return [(script.revision, (script.doc or "").partition("\n")[0]) for script in reversed(list(scripts))]


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def knows(package: str, revision: str) -> bool:
    """Whether the installed version has a revision."""
    try:
        return ScriptDirectory.from_config(config(package)).get_revision(revision) is not None
    except CommandError:
        return False


def config(package: str) -> Config:
    """Alembic's configuration for a service: its migrations live inside its package."""
    configuration = Config()
    configuration.set_main_option("script_location", f"{package}:migrations")
    configuration.set_main_option("path_separator", "os")
    return configuration


def _upgrade(connection: Connection, package: str, to: str) -> None:
    configuration = config(package)
    configuration.attributes["connection"] = connection
    wanted = ScriptDirectory.from_config(configuration).get_current_head() if to == "head" else to
    if _revision(connection) != wanted:  # else the service's tables need not even be imported
        command.upgrade(configuration, to)
    connection.commit()
    _partition(connection)
    _grant(connection, str(connection.scalar(text("select current_database()"))))
    connection.commit()


def revise(owner_url: str, package: str, message: str) -> None:
    """Writes a new migration from the difference between tables and database."""

    async def work() -> None:
        database = engine(owner_url)
        async with database.connect() as connection:
            await connection.run_sync(_revise, package, message)
        await database.dispose()

    asyncio.run(work())


def _revise(connection: Connection, package: str, message: str) -> None:
    configuration = config(package)
    configuration.attributes["connection"] = connection
    with _template(Path(ScriptDirectory.from_config(configuration).dir)):
        command.revision(configuration, message, autogenerate=True)


@contextmanager
def _template(folder: Path) -> Iterator[None]:
    """Alembic looks for the template of a new migration in the service's folder and nowhere else."""
    lent = folder / "script.py.mako"
    shutil.copy(Path(__file__).parent / "data/script.py.mako", lent)
    try:
        yield
    finally:
        lent.unlink()


def environment(metadata: MetaData) -> None:
    """Called by each service's `migrations/env.py`."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        include_schemas=True,
        include_name=_ours,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _ours(name: str | None, kind: str, _: Any) -> bool:
    if kind == "schema":
        return name in {None, "vault"}
    return not (kind == "table" and name and (name.startswith("outbox_") or name == "alembic_version"))


def _list(setting: str) -> str:
    # a subselect is worked out once a statement, not once a row
    return f"((select string_to_array(current_setting('app.{setting}', true), ','))::text[])"


def protect(table: str, kind: Literal["municipality", "administration"], *, schema: str = "public") -> None:
    """Row-level security for one table, in a migration.

    `municipality`: read in own or shared municipalities, written in own. `administration`: what concerns a
    learner; read and written only by the administration (and in own municipalities); a row without one
    concerns nobody's learner.
    """
    bind = op.get_bind()
    service = str(bind.scalar(text("select current_database()")))
    own = f"(municipality = any{_list('own')} or '*' = any{_list('own')})"
    read = f"({own} or municipality = any{_list('shared')})"
    if kind == "administration":
        wanted = _list("administrations")
        mine = f"(administration is null or administration = any{wanted} or '*' = any{wanted})"
        own = read = f"({own} and {mine})"
    name = f"{schema}.{table}"
    for statement in (
        f"alter table {name} enable row level security",
        f"alter table {name} force row level security",
        f"create policy owner_all on {name} to {service}_owner using (true) with check (true)",
        f"create policy app_read on {name} for select to {service}_app using ({read})",
        f"create policy app_insert on {name} for insert to {service}_app with check ({own})",
        f"create policy app_update on {name} for update to {service}_app using ({own}) with check ({own})",
        f"create policy app_delete on {name} for delete to {service}_app using ({own})",
        f"create policy care_read on {name} for select to {service}_care using (true)",
    ):
        op.execute(statement)


def outbox_and_inbox() -> None:
    """The two tables of delivery, in the first migration of a service. Never changed: what comes later is a
    function of its own, for a later migration."""
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.String(200), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), server_default=text("now()"), nullable=True),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_inbox")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("headers", JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_seq", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("parked", sa.String(200), nullable=True),
        sa.PrimaryKeyConstraint("id", "told_at", name=op.f("pk_outbox")),
        postgresql_partition_by="RANGE (told_at)",
    )
    waiting = "published_at is null and parked is null"
    op.create_index("ix_outbox_waiting", "outbox", ["id"], postgresql_where=waiting)


def facts(views: Mapping[str, str]) -> None:
    """Views for checks, in a schema of their own, in a migration: name -> select. They show what the reader's
    role may see (`security_invoker`), and are kept when tables change."""
    op.execute("create schema if not exists facts")
    for name, query in views.items():
        op.execute(f"create or replace view facts.{name} with (security_invoker) as {query}")


def drop_views(names: Iterable[str]) -> None:
    """Takes some of them away again."""
    for name in names:
        op.execute(f"drop view facts.{name}")


def drop_facts() -> None:
    """Takes them away again."""
    op.execute("drop schema facts cascade")


def _partition(connection: Connection) -> None:
    """The outbox's months: the current one and the next few. What comes later, when nobody has migrated
    since, goes to the default partition; a month that has rows there stays there."""
    connection.execute(text("create table if not exists outbox_later partition of outbox default"))
    first = date.today().replace(day=1)  # noqa: DTZ011 (a partition boundary, not an instant)
    for _ in range(_MONTHS):
        after = (first.replace(day=28) + (date(2000, 1, 6) - date(2000, 1, 1))).replace(day=1)
        span = f"told_at >= '{first} 00:00+00' and told_at < '{after} 00:00+00'"
        if not connection.scalar(text(f"select exists (select 1 from outbox_later where {span})")):
            connection.execute(
                text(
                    f"create table if not exists outbox_{first:%Y_%m} partition of outbox"
                    f" for values from ('{first} 00:00+00') to ('{after} 00:00+00')"
                )
            )
        first = after


def _grant(connection: Connection, service: str) -> None:
    app, relay, care = (f"{service}_{role}" for role in ROLES[1:])
    schemas = [
        r[0] for r in connection.execute(text("select nspname from pg_namespace where nspname = 'vault'"))
    ]
    for schema in ["public", *schemas]:
        connection.execute(text(f"grant usage on schema {schema} to {app}"))
        connection.execute(
            text(f"grant select, insert, update, delete on all tables in schema {schema} to {app}")
        )
        connection.execute(text(f"grant usage on all sequences in schema {schema} to {app}"))
    for statement in (
        f"revoke all on alembic_version from {app}",
        f"revoke all on outbox from {app}",
        f"grant insert on outbox to {app}",
        f"revoke delete on inbox from {app}",
        f"grant usage on schema public to {relay}, {care}",
        f"grant select on outbox to {relay}",
        f"grant update (published_at, published_seq, attempts, parked) on outbox to {relay}",
        f"grant select on all tables in schema public to {care}",
    ):
        connection.execute(text(statement))
    if connection.scalar(text("select 1 from pg_namespace where nspname = 'facts'")):
        connection.execute(text(f"grant usage on schema facts to {care}"))
        connection.execute(text(f"grant select on all tables in schema facts to {care}"))
