"""What the registry does because time has passed."""

from datetime import UTC, datetime

from fastapi import FastAPI

from kompetensnav_chassis.app import Job
from kompetensnav_chassis.db import EVERYONE, transaction
from kompetensnav_registry.actions import agreements, offers


async def expire(app: FastAPI) -> bool:
    """Ends offers that nobody answered in time."""
    async with transaction(app.state.sessions, EVERYONE) as session:
        return await offers.expire_offers(session, today=datetime.now(UTC).date()) > 0


async def remind(app: FastAPI) -> bool:
    """Tells of cooperation agreements that run out soon."""
    async with transaction(app.state.sessions, EVERYONE) as session:
        return await agreements.remind(session, today=datetime.now(UTC).date()) > 0


JOBS = (Job("expire", 60, expire), Job(agreements.REMIND, 3600, remind))
