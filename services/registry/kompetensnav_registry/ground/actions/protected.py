"""Protected learners: whom they are shown to, and the log of every view.

A protected learner appears to the named case worker alone: in no list, search, export or count of anyone
else. What the case worker sees of them is logged, one row a learner and a view.
"""

from collections.abc import Iterable
from typing import Any

import uuid_utils.compat as uuids
from sqlalchemy import ColumnElement, and_, or_, select

from kompetensnav_chassis.db import Session
from kompetensnav_registry.ground.tables.learners import Learner, ViewLog


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
