"""Protected learners: whom they are shown to, and the log of every view.

A protected learner appears to the named case worker alone: in no list, search, export or count of anyone
else. What the case worker sees of them is logged, one row a learner and a view.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import ColumnElement, and_, or_, select, update

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import NotFound
from kompetensnav_registry.tables import Erasure, Learner, ViewLog


def shown_learner(case_worker: str | None) -> ColumnElement[bool]:
    """Whether a row of Learner is shown: unprotected, or the case worker's own."""
    unprotected = Learner.security_marking == "none"
    return or_(unprotected, Learner.case_worker == case_worker) if case_worker else unprotected


def shown(row: Any, case_worker: str | None) -> ColumnElement[bool]:
    """Whether a row with `learner_id` and `by_hand` is shown: as the learner is marked now, and what was done
    by hand not without its learner either."""
    hidden = select(Learner.learner_id).where(  # of the municipalities in the scope
        Learner.security_marking != "none"
    )
    if case_worker:
        hidden = hidden.where(Learner.case_worker != case_worker)
    there = select(Learner.learner_id)  # of the municipalities in the scope
    return and_(row.learner_id.not_in(hidden), or_(row.by_hand.is_(False), row.learner_id.in_(there)))


async def log_views(session: Session, *, learners: Iterable[Learner], viewed_by: str, what: str) -> None:
    """One row for each protected learner among those that were shown."""
    for learner in learners:
        if learner.security_marking != "none":
            session.add(
                ViewLog(
                    view_id=uuids.uuid7(),
                    municipality=learner.municipality,
                    administration=learner.administration,
                    learner_id=learner.learner_id,
                    viewed_by=viewed_by,
                    what=what,
                )
            )


async def log_rows(session: Session, *, rows: Iterable[Any], viewed_by: str, what: str) -> None:
    """The same for rows with `learner_id` and `by_hand` (requests, offers, placements)."""
    ids = {row.learner_id for row in rows if row.by_hand}
    if not ids:
        return
    found = await session.scalars(
        select(Learner).where(Learner.learner_id.in_(ids))  # of the municipalities in the scope
    )
    await log_views(session, learners=found.all(), viewed_by=viewed_by, what=what)


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
