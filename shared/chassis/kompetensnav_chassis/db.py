"""One message, or one request, is one transaction, and every transaction has a scope.

The scope says which municipalities and administrations the transaction acts for; row-level security in the
database holds it. A transaction without a scope sees no row.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import ARRAY, ColumnElement, MetaData, Uuid, any_, event, literal, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session as SyncSession
from sqlalchemy.orm import SessionTransaction

from kompetensnav_chassis import upstream
from kompetensnav_contracts import Envelope
from kompetensnav_contracts.event import MUNICIPALITY

Session = AsyncSession
Sessions = async_sessionmaker[AsyncSession]

_CODE = re.compile(rf"{MUNICIPALITY}|\*")
AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg raises when its server is away or goes away: killed in the middle of an answer, it leaves the
client in a state it has no word for (InternalClientError)."""
traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The W3C trace context of the request being served; events told by it carry it on."""
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


upstream.write_what_is_referred_to_first()


def metadata() -> MetaData:
    """A fresh MetaData with the house's names for constraints."""
    return MetaData(naming_convention=NAMING)


@dataclass(frozen=True)
class Scope:
    """Whose rows a transaction may see.

    `own`: municipalities it acts for; `shared`: those a signed agreement lets it read; `administrations`:
    whose learners it may see. Codes only: a scope with anything else is refused (ValueError).
    """

    own: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    administrations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for code in (*self.own, *self.shared):
            if not _CODE.fullmatch(code):
                raise ValueError(f"{code!r} is no municipality code")
        for code in self.administrations:
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}|\*", code):
                raise ValueError(f"{code!r} is no administration code")

    @classmethod
    def of(cls, envelopes: Iterable[Envelope]) -> "Scope":
        """The scope of handling these messages: their own municipalities and administrations."""
        envelopes = list(envelopes)
        return cls(
            own=tuple(sorted({e.municipality for e in envelopes})),
            administrations=tuple(sorted({e.administration for e in envelopes if e.administration})),
        )

    @property
    def parameters(self) -> dict[str, str]:
        """The three database settings, as arrays in text form."""
        return {
            "own": ",".join(self.own),
            "shared": ",".join(self.shared),
            "administrations": ",".join(self.administrations),
        }


EVERYONE = Scope(own=("*",), administrations=("*",))
"""For jobs, which serve every municipality of the stack. No token and no event can carry it."""

_SET = text(
    "select set_config('app.own', :own, true), set_config('app.shared', :shared, true),"
    " set_config('app.administrations', :administrations, true)"
)


def engine(url: str) -> AsyncEngine:
    """An engine with a small pool (eight services share one server's connections)."""
    return create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1),
        pool_size=8,
        max_overflow=0,
        hide_parameters=True,  # parameters may be personal; they reach no error and no log
        pool_timeout=15,
        connect_args={"timeout": 5, "command_timeout": 60},
    )


def sessions(
    engine: AsyncEngine, service: str, outbox: type, wake: Callable[[str], None] = lambda job: None
) -> Sessions:
    """The session maker of a service; `wake` is called with a job's name after a commit that concerns it."""
    info: dict[str, Any] = {"service": service, "outbox": outbox, "wake": wake}
    return async_sessionmaker(engine, expire_on_commit=False, info=info)


@asynccontextmanager
async def transaction(
    sessions: Sessions, scope: Scope, cause: Envelope | None = None
) -> AsyncIterator[AsyncSession]:
    """Commits on return, rolls back on an exception."""
    info = {"scope": scope, "cause": cause, "traceparent": traceparent.get()}
    async with sessions(info=info) as session, session.begin():
        yield session


def among(column: Any, ids: Iterable[UUID]) -> ColumnElement[bool]:
    """Whether the column is one of the ids, however many: as one parameter."""
    return column == any_(literal(list(ids), ARRAY(Uuid)))  # type: ignore[no-any-return]


async def rescope(session: AsyncSession, scope: Scope) -> None:
    """Changes the scope in the middle of a transaction: only where one act concerns two municipalities."""
    session.info["scope"] = scope
    await session.execute(_SET, scope.parameters)


def nudge(session: AsyncSession, job: str) -> None:
    """Wakes a job of this process when the transaction has committed."""
    session.info.setdefault("nudged", set()).add(job)


@event.listens_for(SyncSession, "after_commit")
def _wake(session: SyncSession) -> None:
    for job in session.info.pop("nudged", ()):
        session.info["wake"](job)


@event.listens_for(SyncSession, "after_begin")
def _set_scope(session: SyncSession, _: SessionTransaction, connection: Connection) -> None:
    scope = session.info.get("scope")
    if scope is not None:
        connection.execute(_SET, scope.parameters)
