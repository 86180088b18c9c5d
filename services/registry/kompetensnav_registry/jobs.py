"""What the registry does because time has passed."""

from datetime import UTC, datetime

import structlog
from fastapi import FastAPI

from kompetensnav_chassis.app import Job
from kompetensnav_chassis.db import EVERYONE, transaction
from kompetensnav_registry.actors.actions import agreements
from kompetensnav_registry.exchange.actions import answers, guests
from kompetensnav_registry.ledger.actions import offers
from kompetensnav_registry.people.actions import erasure

log = structlog.get_logger()


async def expire(app: FastAPI) -> bool:
    """Ends offers that nobody answered in time."""
    async with transaction(app.state.sessions, EVERYONE) as session:
        return await offers.expire_offers(session, today=datetime.now(UTC).date()) > 0


async def give_up(app: FastAPI) -> bool:
    """Ends asks for seats in other stacks that nobody has answered, and seats of ours that nobody wants."""
    now = datetime.now(UTC)
    async with transaction(app.state.sessions, EVERYONE) as session:
        ended = await guests.end_late(session, today=now.date())
        return await answers.give_up_waiting(session, now=now) + ended > 0


async def remind(app: FastAPI) -> bool:
    """Tells of cooperation agreements that run out soon."""
    async with transaction(app.state.sessions, EVERYONE) as session:
        return await agreements.remind(session, today=datetime.now(UTC).date()) > 0


async def forget(app: FastAPI) -> bool:
    """Deletes what has been kept as long as decided, and alarms about erasures that are not answered."""
    today = datetime.now(UTC).date()
    async with transaction(app.state.sessions, EVERYONE) as session:
        forgotten = await erasure.forget(session, today=today)
        await erasure.alarm(session, today=today)
    if any(forgotten.values()):
        log.info("forgotten", **forgotten)
    return False


JOBS = (
    Job("expire", 60, expire),
    Job("give-up", 15, give_up),
    Job(agreements.REMIND, 3600, remind),
    Job(erasure.FORGET, 3600, forget),
)
