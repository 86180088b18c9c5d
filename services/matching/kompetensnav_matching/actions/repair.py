"""Repair: what opens up after a round goes into a repair draft at once, or out at once by a standing rule."""

from datetime import UTC, date, datetime

import uuid_utils.compat as uuids
from sqlalchemy import delete, select

from kompetensnav_chassis.db import Session
from kompetensnav_matching.actions import rounds
from kompetensnav_matching.actions.picture import work_out
from kompetensnav_matching.tables import Round, Stale, StandingRule


async def next_stale_rounds(session: Session, today: date) -> list[Round]:
    """Takes the marks away; the approved rounds they concern, locked. Runs for the whole stack."""
    marks = await session.execute(
        delete(Stale).returning(Stale.municipality, Stale.placement_type)  # every municipality: a job
    )
    changed = {(m, t) for m, t in marks}
    if not changed:
        return []
    found = await session.scalars(
        select(Round)  # every municipality: a job
        .where(
            Round.state == "approved",
            Round.repairs.is_(None),
            Round.ends_on >= today,
            Round.placement_type.in_({t for _, t in changed}),
            Round.municipalities.overlap(sorted({m for m, _ in changed})),
        )
        .order_by(Round.approved_at, Round.round_id)
        .with_for_update()
    )
    return [r for r in found if any((m, r.placement_type) in changed for m in r.municipalities)]


async def repair(session: Session, root: Round) -> Round | None:
    """Solves what is left of a round again: unplaced learners against free seats. Accepted places are not
    touched.

    `root` is locked, which keeps two repairs of a round apart. Returns the repair draft (approved already by
    a standing rule, if there is one), or None when there is nothing to propose.
    """
    rule = await session.get(StandingRule, root.municipality)
    at_once = rule is not None and rule.approve_repairs
    waiting = await session.scalar(
        select(Round)
        .where(
            Round.repairs == root.round_id, Round.state == "draft", Round.municipality == root.municipality
        )
        .with_for_update()  # somebody may be deciding on it just now
    )
    if waiting is not None:
        await rounds.solve(session, waiting)
        if waiting.matched == 0:
            await rounds.drop(session, row=waiting)
            return None
        if at_once:
            await rounds.approve(session, row=waiting, by="standing_rule")
        return waiting
    draft = _draft(root)
    solved = await work_out(session, draft, lock=True)
    if solved.draft.matched == 0:
        return None
    session.add(draft)
    rows = rounds.write(session, draft, solved)
    if at_once:
        slots = {slot.slot_id: slot for slot in solved.slots}
        await rounds.tell_matches(
            session, draft, rows, chosen=rows, requests=solved.requests, slots=slots, by="standing_rule"
        )
    return draft


def _draft(root: Round) -> Round:
    return Round(
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
        mode=root.mode,
        new_field_minutes=root.new_field_minutes,
        state="draft",
        revision=0,
    )


def today() -> date:
    """The day, in UTC."""
    return datetime.now(UTC).date()
