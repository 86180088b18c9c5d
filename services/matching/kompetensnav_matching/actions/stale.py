"""Marks that something changed, so that repair looks at it.

A row a change, so that none waits for another and none is lost.
"""

from collections.abc import Iterable

from sqlalchemy import insert

from kompetensnav_chassis.db import Session, nudge
from kompetensnav_matching.tables import Stale

JOB = "repair"


async def mark_stale(session: Session, changed: Iterable[tuple[str, str]]) -> None:
    """Something changed for (municipality, placement type); the repair job looks at it after the commit."""
    rows = [{"municipality": m, "placement_type": t} for m, t in sorted(set(changed))]
    if rows:
        await session.execute(insert(Stale), rows)
        nudge(session, JOB)
