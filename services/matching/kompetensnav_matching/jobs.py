"""What matching does because time has passed, or because its picture has changed."""

import asyncio
from datetime import UTC, datetime
from time import monotonic

from fastapi import FastAPI
from sqlalchemy import select

from kompetensnav_chassis.app import Job
from kompetensnav_chassis.db import EVERYONE, transaction
from kompetensnav_matching.actions import repair as repairs
from kompetensnav_matching.actions import rounds
from kompetensnav_matching.actions.stale import JOB
from kompetensnav_matching.domain import ready
from kompetensnav_matching.tables import Round

LARGE = 0.25
"""Seconds from which a repair counts as large."""


async def repair(app: FastAPI) -> bool:
    """Repairs the approved rounds whose slots or learners have changed; each in its own transaction."""
    await asyncio.to_thread(ready)  # the first time takes a second or two, while the service is well already
    began = monotonic()
    async with transaction(app.state.sessions, EVERYONE) as session:
        # one transaction with the marks: a kill between them would lose the repair
        for root in await repairs.next_stale_rounds(session, repairs.today()):
            await repairs.repair(session, root)
    # a large repair leaves room for the changes that are on their way, rather than running again for each
    took = monotonic() - began
    await asyncio.sleep(min(3.0, 4 * took) if took > LARGE else 0)
    return False


async def draft_scheduled(app: FastAPI) -> bool:
    """Drafts the round that is due."""
    async with transaction(app.state.sessions, EVERYONE) as session:
        row = await session.scalar(
            select(Round)  # every municipality: a job
            .where(Round.state == "scheduled", Round.draft_at <= datetime.now(UTC))
            .order_by(Round.draft_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if row is None:
            return False
        await rounds.solve(session, row)
        return True


JOBS = (Job(JOB, 2, repair), Job("draft_scheduled", 5, draft_scheduled))
