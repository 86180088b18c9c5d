"""Repair: what opens up after a round goes into a repair draft at once, or out at once by a standing rule."""

from datetime import UTC, date, datetime
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import delete, select

from kompetensnav_chassis.db import Session
from kompetensnav_matching.actions import rounds
from kompetensnav_matching.tables import OpenSlot, Round, Stale, StandingRule, open_requests, open_slots


async def next_stale_rounds(session: Session, today: date) -> list[UUID]:
    """Takes the marks away and names the approved rounds they concern. Runs for the whole stack."""
    marks = (
        await session.execute(
            delete(Stale).returning(Stale.municipality, Stale.placement_type)  # every municipality: a job
        )
    ).all()
    if not marks:
        return []
    found = await session.scalars(
        select(Round)  # every municipality: a job
        .where(Round.state == "approved", Round.repairs.is_(None), Round.ends_on >= today)
        .order_by(Round.approved_at, Round.round_id)
    )
    changed = {(m, t) for m, t in marks}
    return [r.round_id for r in found if any((m, r.placement_type) in changed for m in r.municipalities)]


async def repair(session: Session, *, round_id: UUID) -> Round | None:
    """Solves what is left of a round again: unplaced learners against free seats. Accepted places are not
    touched.

    Returns the repair draft (approved already by a standing rule, if there is one), or None when there is
    nothing to propose.
    """
    root = await session.scalar(
        select(Round).where(Round.round_id == round_id).with_for_update()  # every municipality: a job
    )
    if root is None:
        return None
    draft = await session.scalar(
        select(Round).where(
            Round.repairs == round_id, Round.state == "draft", Round.municipality == root.municipality
        )
    )
    if draft is None:
        if not await _is_hopeful(session, root):
            return None
        draft = Round(
            round_id=uuids.uuid7(),
            municipality=root.municipality,
            municipalities=root.municipalities,
            administrations=root.administrations,
            agreement_id=root.agreement_id,
            repairs=root.round_id,
            placement_type=root.placement_type,
            starts_on=root.starts_on,
            ends_on=root.ends_on,
            cohorts=root.cohorts,
            state="draft",
            revision=0,
        )
        session.add(draft)
        await session.flush()
    solved = await rounds.solve(session, draft, tell_when_empty=False)
    if solved.matched == 0:
        await session.delete(draft)
        return None
    rule = await session.get(StandingRule, root.municipality)
    if rule and rule.approve_repairs:
        await rounds.approve(session, row=draft, approved_by="standing_rule")
    return draft


async def _is_hopeful(session: Session, root: Round) -> bool:
    """A repair needs at least one open request and one free seat."""
    request = await session.scalar(open_requests(root).limit(1))
    slot = await session.scalar(open_slots(root).where(OpenSlot.seats_left > 0).limit(1))
    return request is not None and slot is not None


def today() -> date:
    """The day, in UTC."""
    return datetime.now(UTC).date()
