"""A scope that reaches into another municipality, for as long as one act needs it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from kompetensnav_chassis.db import Scope, Session, rescope


@asynccontextmanager
async def reaching(session: Session, hosts: Iterable[str]) -> AsyncIterator[None]:
    """A scope that also covers these municipalities: the seats of a learner's offer may lie in another one,
    whose ledger the offer's authority may write here only."""
    before = session.info["scope"]
    beyond = set(hosts) - set(before.own)
    if "*" in before.own or not beyond:
        yield
        return
    await session.flush()
    await rescope(session, Scope((*before.own, *sorted(beyond)), before.shared, before.administrations))
    yield
    await session.flush()
    await rescope(session, before)
