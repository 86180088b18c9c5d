"""Case workers of protected learners: who has looked, and who takes over."""

from uuid import UUID

from sqlalchemy import select, update

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import NotFound
from kompetensnav_registry.ground.tables.learners import Learner, ViewLog
from kompetensnav_registry.people.tables.vault import Erasure


async def views_of(session: Session, *, municipality: str, learner_id: UUID) -> list[ViewLog]:
    """Who has looked, the latest first."""
    rows = await session.scalars(
        select(ViewLog)
        .where(ViewLog.learner_id == learner_id, ViewLog.municipality == municipality)
        .order_by(ViewLog.viewed_at.desc(), ViewLog.view_id)
    )
    return list(rows)


async def hand_over(
    session: Session, *, municipality: str, learner_id: UUID, case_worker: str, to: str
) -> Learner:
    """Another case worker takes over from the named one. Raises NotFound."""
    row = await session.scalar(
        select(Learner)
        .where(
            Learner.learner_id == learner_id,
            Learner.municipality == municipality,
            Learner.case_worker == case_worker,
            Learner.security_marking != "none",
        )
        .with_for_update()
    )
    if row is None:
        raise NotFound("There is no such learner.", "Det finns ingen sådan elev eller deltagare.")
    row.case_worker = to
    await follow_case_worker(session, row)
    return row


async def follow_case_worker(session: Session, learner: Learner) -> None:
    """What is asked of other services about a protected learner is followed by the one named now."""
    await session.execute(
        update(Erasure)
        .where(Erasure.learner_id == learner.learner_id, Erasure.municipality == learner.municipality)
        .values(case_worker=learner.case_worker)
    )
