"""Questions about a round: why, why not, and who was served how. Nothing is changed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy import select

from kompetensnav_chassis.db import Scope, Session, among
from kompetensnav_chassis.errors import NotFound
from kompetensnav_chassis.identity import Caller
from kompetensnav_matching import domain
from kompetensnav_matching.actions.picture import read_draft, read_picture
from kompetensnav_matching.actions.rounds import find_round, round_scope
from kompetensnav_matching.tables import OpenRequest, Proposal, Round


async def scope_of(caller: Caller, round_id: UUID) -> Scope:
    """The scope in which all of a round is seen. Raises NotFound."""
    identity, municipality = caller.identity, caller.municipality
    async with caller.begin() as session:
        row = await find_round(
            session,
            municipality=municipality,
            administrations=identity.administrations,
            round_id=round_id,
            lock=False,
        )
        return await round_scope(session, identity, municipality, row.agreement_id)


@asynccontextmanager
async def round_to_read(caller: Caller, round_id: UUID) -> AsyncIterator[tuple[Session, Round]]:
    """A transaction that sees all of a round, and the round. Raises NotFound."""
    async with caller.begin(await scope_of(caller, round_id)) as session:
        row = await find_round(
            session,
            municipality=caller.municipality,
            administrations=caller.identity.administrations,
            round_id=round_id,
            lock=False,
        )
        yield session, row


async def why_not(session: Session, row: Round, proposal_id: UUID, slot_id: UUID) -> domain.WhyNot:
    """What it would take to give the learner of a proposal the slot.

    Raises NotFound, RoundIsDecided, and LearnerIsPlaced when that has happened since the draft.
    """
    if row.state != "draft":
        raise domain.RoundIsDecided
    drafted = await read_draft(session, row)
    seen = await read_picture(session, row, drafted)
    asked = next((p for p in drafted if p.proposal_id == proposal_id), None)
    if asked is None or slot_id not in {s.slot_id for s in seen.slots}:
        raise NotFound(
            "The learner or the slot is not in the round.", "Eleven eller platsen ingår inte i omgången."
        )
    if asked.request_id not in seen.rows:
        raise domain.LearnerIsPlaced
    return await asyncio.to_thread(
        domain.why_not,
        seen.requests,
        seen.slots,
        seen.travel,
        pair=(asked.request_id, slot_id),
        **seen.terms,
    )


async def read_served(session: Session, row: Round) -> tuple[dict[str, list[domain.Count]], int]:
    """(tables of who was served how, how many were placed by hand or pinned)."""
    drafted = await read_draft(session, row)
    needs = await session.execute(
        select(OpenRequest.request_id, OpenRequest.needs).where(
            among(OpenRequest.request_id, [p.request_id for p in drafted]),
            OpenRequest.municipality.in_(row.municipalities),
        )
    )
    first = {request_id for request_id, needed in needs if needed}
    counted = [_served(p, 0 if p.request_id in first else 1) for p in drafted]
    return domain.served(counted), _by_people(drafted)


def _by_people(drafted: Sequence[Proposal]) -> int:
    return sum(p.pinned and p.state != "left_out" for p in drafted)


def _served(proposal: Proposal, tier: int) -> domain.Served:
    travel = next((r["value"] for r in proposal.reasons if r["rule"].startswith("travel")), None)
    placed = proposal.slot_id is not None and proposal.state != "left_out"
    minutes = travel // 10 if placed and travel is not None else None
    return domain.Served(tier, proposal.municipality, placed, minutes, proposal.wish_rank)
