"""Who is logged in: kept here, so that it ends at once at logout, with other roles, or when an admin says
so."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from kompetensnav_chassis.errors import NotFound
from kompetensnav_chassis.identity import Identity
from kompetensnav_operations.actions.audit import Who, enter
from kompetensnav_operations.tables import LoginRow

LASTS = timedelta(hours=8)
"""However busy somebody is: then they log in again."""
IDLE = timedelta(hours=1)
"""Without any request; a page that is open and follows by itself asks every quarter of an hour."""
NOTED = timedelta(minutes=1)
"""How finely it is known when somebody was last seen."""


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def begin(session: AsyncSession, identity: Identity, now: datetime) -> str:
    """Logs somebody in; returns what their browser is to keep. Those of their logins end that have other
    roles: what the issuer says now is what holds."""
    token, roles = secrets.token_urlsafe(32), sorted(identity.roles)
    mine = LoginRow.subject == identity.subject[:200]
    await session.execute(delete(LoginRow).where(mine, LoginRow.roles != roles))
    session.add(
        LoginRow(
            login_id=uuids.uuid7(), key=_key(token), subject=identity.subject[:200], roles=roles,
            began_at=now, seen_at=now,
        )
    )  # fmt: skip
    return token


async def find(session: AsyncSession, token: str, now: datetime) -> Identity | None:
    """Who it is, as long as their login lasts; None for nobody."""
    row = await session.scalar(select(LoginRow).where(LoginRow.key == _key(token)))
    if row is None or row.began_at <= now - LASTS or row.seen_at <= now - IDLE:
        return None
    if row.seen_at < now - NOTED:
        seen = update(LoginRow).where(LoginRow.login_id == row.login_id)
        await session.execute(seen.values(seen_at=now))
    return Identity(row.subject, frozenset(row.roles), (), ())


async def leave(session: AsyncSession, token: str) -> None:
    """Logs somebody out."""
    await session.execute(delete(LoginRow).where(LoginRow.key == _key(token)))


async def put_out(session: AsyncSession, who: Who, login_id: UUID) -> None:
    """Ends a login. Raises NotFound."""
    ended = delete(LoginRow).where(LoginRow.login_id == login_id).returning(LoginRow.subject)
    subject = await session.scalar(ended)
    if subject is None:
        raise NotFound("There is no such login.", "Det finns ingen sådan inloggning.")
    await enter(session, who, "end-login", subject)


async def open_now(session: AsyncSession, now: datetime) -> Sequence[LoginRow]:
    """Those that last, the latest first."""
    lasts = (LoginRow.began_at > now - LASTS, LoginRow.seen_at > now - IDLE)
    rows = await session.scalars(select(LoginRow).where(*lasts).order_by(LoginRow.began_at.desc()))
    return rows.all()


async def prune(session: AsyncSession, now: datetime) -> None:
    """Forgets those that are over."""
    is_over = or_(LoginRow.began_at <= now - LASTS, LoginRow.seen_at <= now - IDLE)
    await session.execute(delete(LoginRow).where(is_over))
