"""Protected learners: whom they are shown to, and the log of every view.

A protected learner appears to the named case worker alone: in no list, search, export or count of anyone
else. What the case worker sees of them is logged, one row a learner and a view.
"""

from collections.abc import Iterable
from typing import Any

import uuid_utils.compat as uuids
from sqlalchemy import ColumnElement, and_, func, or_, select

from kompetensnav_chassis.db import Session
from kompetensnav_registry.ground.tables.learners import Learner, ViewLog

ATTEMPT = "number_given_again"
"""What the log says when somebody gives a protected learner's number as a new person's."""


def shown_learner(case_worker: str | None) -> ColumnElement[bool]:
    """Whether a row of Learner is shown: unprotected, or the case worker's own."""
    unprotected = Learner.security_marking == "none"
    return or_(unprotected, Learner.case_worker == case_worker) if case_worker else unprotected


def is_shown(learner: Learner, case_worker: str | None) -> bool:
    """The same for a learner at hand."""
    return learner.security_marking == "none" or bool(case_worker and learner.case_worker == case_worker)


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


def open_to_links(row: Any) -> ColumnElement[bool]:
    """Whether a row with `learner_id` and `by_hand` may be reached by a signed link: links to what concerns a
    learner end when the learner is marked as protected, whoever has them, and do not come back."""
    marked = select(Learner.learner_id).where(  # every municipality: a signed link
        Learner.security_marking != "none"
    )
    return and_(row.by_hand.is_(False), row.learner_id.not_in(marked))


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


async def note_attempt(session: Session, *, learner: Learner, by: str) -> bool:
    """Enters, for the case worker, that somebody gave the number of a protected learner as a new person's.
    They are answered as if nobody had it, and nobody is registered. False when it had been given before."""
    before = await session.scalar(
        select(func.count()).where(
            ViewLog.learner_id == learner.learner_id,
            ViewLog.municipality == learner.municipality,
            ViewLog.what == ATTEMPT,
        )
    )
    await log_views(session, learners=[learner], viewed_by=by, what=ATTEMPT)
    return not before


async def log_rows(session: Session, *, rows: Iterable[Any], viewed_by: str, what: str) -> None:
    """The same for rows with `learner_id` and `by_hand` (requests, offers, placements)."""
    ids = {row.learner_id for row in rows if row.by_hand}
    if not ids:
        return
    found = await session.scalars(
        select(Learner).where(Learner.learner_id.in_(ids))  # of the municipalities in the scope
    )
    await log_views(session, learners=found.all(), viewed_by=viewed_by, what=what)
