"""Rounds: drafted, changed by people, solved again, approved."""

import asyncio
from collections import Counter
from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import Any, Literal
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from kompetensnav_chassis.db import Scope, Session
from kompetensnav_chassis.errors import NotFound
from kompetensnav_chassis.identity import Identity
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.matching import (
    LearnerMatched,
    LearnerUnmatched,
    MatchReason,
    RoundApproved,
    RoundDrafted,
)
from kompetensnav_matching import domain
from kompetensnav_matching.actions.stale import mark_stale
from kompetensnav_matching.tables import (
    Agreement,
    Forbidden,
    Locality,
    OpenRequest,
    OpenSlot,
    Proposal,
    Round,
    TravelTime,
    open_requests,
    open_slots,
)


async def round_scope(
    session: Session, identity: Identity, municipality: str, agreement_id: UUID | None
) -> Scope:
    """The scope of a round: the token's own, and under an agreement that the municipality leads, its
    members'.

    Raises NotFound for an unknown agreement and AgreementDoesNotCover for one led by another.
    """
    if agreement_id is None:
        return identity.scope
    agreement = await session.get(Agreement, agreement_id)
    if agreement is None:
        raise NotFound("There is no such agreement.", "Det finns inget sådant avtal.")
    if agreement.lead != municipality:
        raise domain.AgreementDoesNotCover
    return Scope(own=tuple(agreement.municipalities), administrations=identity.administrations)


async def new_round(
    session: Session,
    *,
    municipality: str,
    administrations: Collection[str],
    placement_type: str,
    starts_on: date,
    ends_on: date,
    cohorts: Collection[UUID] = (),
    agreement_id: UUID | None = None,
    draft_at: datetime | None = None,
) -> Round:
    """A round that is not solved yet. Raises AgreementDoesNotCover."""
    municipalities = [municipality]
    if agreement_id:
        agreement = await session.get_one(Agreement, agreement_id)
        if placement_type not in agreement.placement_types or not _covers(agreement, starts_on, ends_on):
            raise domain.AgreementDoesNotCover
        municipalities = list(agreement.municipalities)
    row = Round(
        round_id=uuids.uuid7(),
        municipality=municipality,
        municipalities=municipalities,
        administrations=sorted(administrations),
        agreement_id=agreement_id,
        placement_type=placement_type,
        starts_on=starts_on,
        ends_on=ends_on,
        cohorts=list(cohorts),
        state="scheduled" if draft_at else "draft",
        draft_at=draft_at,
        learners=0,
        seats=0,
        matched=0,
        cost=0,
        revision=0,
    )
    session.add(row)
    await session.flush()
    return row


def _covers(agreement: Agreement, starts_on: date, ends_on: date) -> bool:
    return agreement.valid_from <= starts_on and (agreement.valid_to is None or ends_on <= agreement.valid_to)


async def solve(session: Session, row: Round, *, tell_when_empty: bool = True) -> domain.Draft:
    """Solves the round again around what people have pinned and placed; replaces the rest of the draft."""
    if row.state not in ("draft", "scheduled"):
        raise domain.RoundIsDecided
    requests = (await session.scalars(open_requests(row))).all()
    slots = await _free_slots(session, row)
    pairs = await session.execute(
        select(Forbidden.request_id, Forbidden.slot_id).where(
            Forbidden.request_id.in_(open_requests(row).with_only_columns(OpenRequest.request_id)),
            Forbidden.municipality.in_(row.municipalities),
        )
    )
    kept = (
        await session.scalars(
            select(Proposal).where(
                Proposal.round_id == row.round_id,
                Proposal.municipality.in_(row.municipalities),
                Proposal.pinned,
            )
        )
    ).all()
    there = {request.request_id for request in requests}
    fixed = {p.request_id: p.slot_id for p in kept if p.slot_id and p.request_id in there}
    by = {p.request_id: p.by for p in kept}
    travel = await read_travel(session)
    forbidden = [(r, s) for r, s in pairs if fixed.get(r) != s]
    draft = await asyncio.to_thread(
        domain.propose, [r.request for r in requests], slots, travel, forbidden=forbidden, fixed=fixed
    )
    await session.execute(
        delete(Proposal).where(
            Proposal.round_id == row.round_id, Proposal.municipality.in_(row.municipalities)
        )
    )
    people = {request.request_id: request for request in requests}
    rows = [
        _row(row.round_id, people[p.request_id], p, by, pinned=p.request_id in fixed) for p in draft.proposals
    ]
    if rows:
        await session.execute(insert(Proposal), rows)
    row.state = "draft"
    row.learners, row.matched, row.cost = len(requests), draft.matched, draft.cost
    row.seats, row.inputs, row.revision = sum(s.seats for s in slots), draft.inputs, row.revision + 1
    tell(session, RoundDrafted(**facts(row)), municipality=row.municipality, revision=row.revision)
    return draft


async def _free_slots(session: Session, row: Round) -> list[domain.Slot]:
    """Slots with the seats that are neither taken nor waited for."""
    found = open_slots(row)
    if row.repairs:  # a repair tells nobody why not, so it needs only slots with something free
        found = found.where(OpenSlot.seats_left > 0)
    slots = (await session.scalars(found)).all()
    awaited = await session.execute(
        select(Proposal.slot_id, func.count())
        .where(Proposal.state == "approved", Proposal.municipality.in_(row.municipalities))
        .group_by(Proposal.slot_id)
    )
    waiting: dict[UUID | None, int] = {slot_id: n for slot_id, n in awaited}
    return [slot.free(waiting.get(slot.slot_id, 0)) for slot in slots]


async def read_travel(session: Session) -> domain.Travel:
    """The travel table of the stack."""
    places = await session.execute(select(Locality.locality, Locality.latitude, Locality.longitude))
    times = await session.execute(select(TravelTime.home, TravelTime.work, TravelTime.minutes))
    return domain.Travel(
        {name: (latitude, longitude) for name, latitude, longitude in places},
        {(home, work): minutes for home, work, minutes in times},
    )


def _row(
    round_id: UUID, request: OpenRequest, proposal: domain.Proposal, by: dict[UUID, str], *, pinned: bool
) -> dict[str, Any]:
    return {
        "proposal_id": uuids.uuid7(),
        "round_id": round_id,
        "municipality": request.municipality,
        "administration": request.administration,
        "request_id": request.request_id,
        "learner_id": request.learner_id,
        "slot_id": proposal.slot_id,
        "cost": proposal.cost,
        "wish_rank": proposal.wish_rank,
        "reasons": [{"rule": r.rule, "value": r.value} for r in proposal.reasons],
        "by": by.get(proposal.request_id, proposal.by),
        "pinned": pinned,
        "state": "draft",
    }


def facts(row: Round) -> dict[str, Any]:
    """What every event about a round carries."""
    names = (
        "round_id",
        "repairs",
        "agreement_id",
        "placement_type",
        "starts_on",
        "ends_on",
        "learners",
        "seats",
    )
    return {name: getattr(row, name) for name in names} | {"matched": row.matched}


async def find_round(session: Session, *, municipality: str, round_id: UUID, lock: bool = True) -> Round:
    """The round. Raises NotFound."""
    found = select(Round).where(Round.round_id == round_id, Round.municipality == municipality)
    row = await session.scalar(found.with_for_update() if lock else found)
    if row is None:
        raise NotFound("There is no such round.", "Det finns ingen sådan omgång.")
    return row


async def find_proposal(session: Session, row: Round, proposal_id: UUID) -> Proposal:
    """A row of an undecided draft. Raises NotFound or RoundIsDecided."""
    if row.state != "draft":
        raise domain.RoundIsDecided
    found = await session.scalar(
        select(Proposal).where(
            Proposal.proposal_id == proposal_id,
            Proposal.round_id == row.round_id,
            Proposal.municipality.in_(row.municipalities),
        )
    )
    if found is None:
        raise NotFound("There is no such proposal.", "Det finns inget sådant förslag.")
    return found


async def pin(session: Session, *, row: Round, proposal_id: UUID, pinned: bool = True) -> Proposal:
    """Keeps (or lets go of) a proposal when the rest is solved again."""
    proposal = await find_proposal(session, row, proposal_id)
    proposal.pinned = pinned and proposal.slot_id is not None
    return proposal


async def forbid(session: Session, *, row: Round, proposal_id: UUID) -> Proposal:
    """Takes the proposed slot from the learner and never proposes the pair again."""
    proposal = await find_proposal(session, row, proposal_id)
    if proposal.slot_id:
        await forbid_pairs(
            session,
            [(proposal.request_id, proposal.slot_id, proposal.municipality, proposal.administration)],
            reason="forbidden",
        )
        row.matched, row.cost = row.matched - 1, row.cost - proposal.cost
        proposal.slot_id, proposal.cost, proposal.wish_rank, proposal.pinned = None, 0, None, False
        proposal.reasons = [{"rule": "forbidden", "value": 1}]
    return proposal


async def forbid_pairs(
    session: Session, pairs: Collection[tuple[UUID, UUID, str, str]], *, reason: str
) -> None:
    """Remembers (request, slot, municipality, administration) as not to be proposed."""
    if pairs:
        columns = ("request_id", "slot_id", "municipality", "administration")
        rows = [dict(zip(columns, pair, strict=True)) | {"reason": reason} for pair in sorted(set(pairs))]
        await session.execute(upsert(Forbidden).on_conflict_do_nothing(), rows)


async def place_by_hand(session: Session, *, row: Round, request_id: UUID, slot_id: UUID) -> Proposal:
    """Puts a learner in a slot, whatever the solver thinks; only a full slot refuses. Raises NotFound,
    SlotIsFull."""
    proposal = await session.scalar(
        select(Proposal).where(
            Proposal.round_id == row.round_id,
            Proposal.request_id == request_id,
            Proposal.municipality.in_(row.municipalities),
        )
    )
    if row.state != "draft":
        raise domain.RoundIsDecided
    slot = next((s for s in await _free_slots(session, row) if s.slot_id == slot_id), None)
    if proposal is None or slot is None:
        raise NotFound(
            "The learner or the slot is not in the round.", "Eleven eller platsen ingår inte i omgången."
        )
    used = await session.scalar(
        select(func.count())
        .select_from(Proposal)
        .where(
            Proposal.round_id == row.round_id,
            Proposal.slot_id == slot_id,
            Proposal.municipality.in_(row.municipalities),
            Proposal.request_id != request_id,
        )
    )
    if (used or 0) >= slot.seats:
        raise domain.SlotIsFull
    request = await session.get_one(OpenRequest, request_id)
    cost, rank, reasons = domain.explain(request.request, slot, await read_travel(session))
    row.matched += proposal.slot_id is None
    row.cost += cost - proposal.cost
    proposal.slot_id, proposal.cost, proposal.wish_rank = slot_id, cost, rank
    proposal.reasons = [
        {"rule": "by_hand", "value": 1},
        *({"rule": r.rule, "value": r.value} for r in reasons),
    ]
    proposal.by, proposal.pinned = "person", True
    return proposal


async def approve(
    session: Session,
    *,
    row: Round,
    proposals: Collection[UUID] | None = None,
    approved_by: Literal["person", "standing_rule"] = "person",
) -> int:
    """Approves all of a draft, or the named proposals; returns how many matches were told.

    Only this tells anyone. What is not approved falls back to the repair draft. A learner who has been
    placed in the meantime, or a slot withdrawn, is left out.
    """
    if row.state != "draft":
        raise domain.RoundIsDecided
    drafted = (
        await session.scalars(
            select(Proposal)
            .where(Proposal.round_id == row.round_id, Proposal.municipality.in_(row.municipalities))
            .order_by(Proposal.proposal_id)
        )
    ).all()
    chosen = [p for p in drafted if p.slot_id and (proposals is None or p.proposal_id in proposals)]
    ready = await _still_open(session, row, {p.request_id for p in chosen})
    slots = {
        s.slot_id: s
        for s in await session.scalars(
            open_slots(row).where(OpenSlot.slot_id.in_({p.slot_id for p in chosen}))
        )
    }
    chosen = [p for p in chosen if p.request_id in ready and p.slot_id in slots]
    at = Counter(slots[p.slot_id].workplace_id for p in chosen if p.slot_id)
    for proposal in chosen:
        assert proposal.slot_id is not None
        slot = slots[proposal.slot_id]
        event = LearnerMatched(
            match_id=proposal.proposal_id,
            round_id=row.round_id,
            request_id=proposal.request_id,
            learner_id=proposal.learner_id,
            slot_id=slot.slot_id,
            slot_municipality=slot.municipality,
            workplace_id=slot.workplace_id,
            placement_type=row.placement_type,
            occupation=slot.occupation,
            starts_on=slot.starts_on,
            wish_rank=proposal.wish_rank,
            cost=proposal.cost,
            reasons=tuple(MatchReason(**r) for r in proposal.reasons),
            by=proposal.by,
            at_workplace=at[slot.workplace_id],
        )
        _tell(session, proposal, event)
    await _move(session, row, [p.proposal_id for p in chosen], "approved")
    await session.execute(
        update(OpenRequest)
        .where(
            OpenRequest.request_id.in_([p.request_id for p in chosen]),
            OpenRequest.municipality.in_(row.municipalities),
        )
        .values(state="matched")
    )
    told = {p.proposal_id for p in chosen}
    for proposal in drafted:
        if proposal.slot_id is None and row.repairs is None:
            _tell(session, proposal, _unmatched(row, proposal))
        if proposal.proposal_id not in told:
            proposal.state = "left_out"
    if any(p.slot_id and p.proposal_id not in told for p in drafted):
        await mark_stale(session, [(row.municipality, row.placement_type)])
    row.state, row.approved_at, row.revision = "approved", datetime.now(UTC), row.revision + 1
    row.matched = len(chosen)
    approved = RoundApproved(approved_by=approved_by, **facts(row))
    tell(session, approved, municipality=row.municipality, revision=row.revision)
    return len(chosen)


async def drop(session: Session, *, row: Round) -> None:
    """Throws a draft away; nobody has been told of it."""
    if row.state not in ("draft", "scheduled"):
        raise domain.RoundIsDecided
    row.state = "dropped"


async def _still_open(session: Session, row: Round, requests: Collection[UUID]) -> set[UUID]:
    found = await session.scalars(
        select(OpenRequest.request_id)
        .where(
            OpenRequest.request_id.in_(requests),
            OpenRequest.state == "open",
            OpenRequest.municipality.in_(row.municipalities),
        )
        .order_by(OpenRequest.request_id)
        .with_for_update()
    )
    return set(found)


async def _move(session: Session, row: Round, ids: Collection[UUID], state: str) -> None:
    await session.execute(
        update(Proposal)
        .where(Proposal.proposal_id.in_(ids), Proposal.municipality.in_(row.municipalities))
        .values(state=state)
        .execution_options(synchronize_session=False)
    )


def _unmatched(row: Round, proposal: Proposal) -> LearnerUnmatched:
    return LearnerUnmatched(
        proposal_id=proposal.proposal_id,
        round_id=row.round_id,
        request_id=proposal.request_id,
        learner_id=proposal.learner_id,
        placement_type=row.placement_type,
        starts_on=row.starts_on,
        reasons=tuple(MatchReason(**r) for r in proposal.reasons),
    )


def _tell(session: Session, proposal: Proposal, event: LearnerMatched | LearnerUnmatched) -> None:
    tell(
        session,
        event,
        municipality=proposal.municipality,
        administration=proposal.administration,
        revision=1,
    )
