"""Rounds: drafted, changed by people, solved again, approved."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Literal, TypedDict
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import delete, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from kompetensnav_chassis.db import Scope, Session, among
from kompetensnav_chassis.errors import NotFound
from kompetensnav_chassis.identity import Identity
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.matching import (
    BottleneckFound,
    LearnerMatched,
    LearnerUnmatched,
    MatchReason,
    RoundApproved,
    RoundDrafted,
)
from kompetensnav_contracts.vocabulary import PlacementType
from kompetensnav_matching import domain
from kompetensnav_matching.actions.picture import Solved, read_draft, read_travel, work_out
from kompetensnav_matching.actions.stale import mark_stale
from kompetensnav_matching.tables import (
    Agreement,
    Forbidden,
    OpenRequest,
    OpenSlot,
    Proposal,
    Round,
    open_requests,
    open_slots,
)

ApprovedBy = Literal["person", "standing_rule"]


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
    mode: str = domain.MOST_PLACED,
    new_field_minutes: int = 0,
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
        mode=mode,
        new_field_minutes=new_field_minutes,
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


async def solve(session: Session, row: Round) -> domain.Draft:
    """Solves the round again around what people have pinned and placed; replaces the rest of the draft.

    Others keep their slot unless a better one spares enough. A pin whose slot has no seat left for it is let
    go. Raises RoundIsDecided.
    """
    if row.state not in ("draft", "scheduled"):
        raise domain.RoundIsDecided
    solved = await work_out(session, row, await read_draft(session, row))
    await session.execute(
        delete(Proposal).where(
            Proposal.round_id == row.round_id, Proposal.municipality.in_(row.municipalities)
        )
    )
    write(session, row, solved)
    return solved.draft


def write(session: Session, row: Round, solved: Solved) -> list[Proposal]:
    """Writes a solved draft and tells of it. A repair keeps no rows of those it cannot place."""
    draft = solved.draft
    rows = [
        Proposal(
            proposal_id=uuids.uuid7(),
            round_id=row.round_id,
            municipality=(request := solved.requests[p.request_id]).municipality,
            administration=request.administration,
            request_id=p.request_id,
            learner_id=request.learner_id,
            slot_id=p.slot_id,
            cost=p.cost,
            wish_rank=p.wish_rank,
            reasons=[{"rule": r.rule, "value": r.value} for r in p.reasons],
            by=solved.pinned.get(p.request_id, p.by),
            pinned=p.request_id in solved.pinned,
            state="draft",
        )
        for p in draft.proposals
        if p.slot_id or row.repairs is None
    ]
    session.add_all(rows)
    row.state = "draft"
    row.learners, row.matched, row.cost = len(solved.requests), draft.matched, draft.cost
    row.seats, row.inputs = sum(s.seats for s in solved.slots), draft.inputs
    row.proof = draft.proof.as_data()
    spared = draft.proof.scarcity
    row.scarcity = None if spared is None else {str(slot_id): price for slot_id, price in spared.items()}
    row.crowded = sorted(draft.proof.crowded)
    row.bottlenecks = [b.as_data() for b in draft.proof.bottlenecks]
    row.revision += 1
    tell(session, RoundDrafted(**payload(row)), municipality=row.municipality, revision=row.revision)
    return rows


class RoundState(TypedDict):
    """What every event about a round carries."""

    round_id: UUID
    repairs: UUID | None
    agreement_id: UUID | None
    placement_type: PlacementType
    starts_on: date
    ends_on: date
    learners: int
    seats: int
    matched: int
    mode: str
    new_field_minutes: int


def payload(row: Round) -> RoundState:
    """A round as its events carry it."""
    return RoundState(
        round_id=row.round_id,
        repairs=row.repairs,
        agreement_id=row.agreement_id,
        placement_type=PlacementType(row.placement_type),
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        learners=row.learners,
        seats=row.seats,
        matched=row.matched,
        mode=row.mode,
        new_field_minutes=row.new_field_minutes,
    )


def _unprove(row: Round) -> None:
    """What people have changed by hand is no longer what the proof is about."""
    if row.proof:
        row.proof = row.proof | {"gap": None}


async def find_round(
    session: Session,
    *,
    municipality: str,
    administrations: Collection[str],
    round_id: UUID,
    lock: bool = True,
) -> Round:
    """The round. Raises NotFound, also for one that places other administrations' learners."""
    found = select(Round).where(
        Round.round_id == round_id,
        Round.municipality == municipality,
        Round.administrations.contained_by(list(administrations)),
    )
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
        _unprove(row)
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
    if row.state != "draft":
        raise domain.RoundIsDecided
    request = await session.scalar(open_requests(row).where(OpenRequest.request_id == request_id))
    found = await session.execute(open_slots(row).where(OpenSlot.slot_id == slot_id))
    slot = next((slot.with_seats(free) for slot, free in found), None)
    if request is None or slot is None:
        raise NotFound(
            "The learner or the slot is not in the round.", "Eleven eller platsen ingår inte i omgången."
        )
    drafted = {
        p.request_id: p
        for p in await session.scalars(
            select(Proposal).where(
                Proposal.round_id == row.round_id,
                Proposal.municipality.in_(row.municipalities),
                or_(Proposal.request_id == request_id, Proposal.slot_id == slot_id),
            )
        )
    }
    proposal = drafted.pop(request_id, None)
    if sum(p.slot_id == slot_id for p in drafted.values()) >= slot.seats:
        raise domain.SlotIsFull
    if proposal is None:  # a repair has no row for those it could not place
        proposal = Proposal(
            proposal_id=uuids.uuid7(),
            round_id=row.round_id,
            municipality=request.municipality,
            administration=request.administration,
            request_id=request_id,
            learner_id=request.learner_id,
            slot_id=None,
            cost=0,
            state="draft",
        )
        session.add(proposal)
    travel = await read_travel(session, (request.locality, slot.locality))
    cost, rank, reasons = domain.explain(request.request, slot, travel, row.new_field_minutes)
    _unprove(row)
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
    by: ApprovedBy = "person",
) -> int:
    """Approves all of a draft, or the named proposals; returns how many matches were told.

    Only an approval tells anyone. What is not approved falls back to the repair draft. A learner who has been
    placed in the meantime, or a slot withdrawn, is left out. Raises RoundIsDecided, and DraftHasChanged for
    a proposal that is not in the draft (any more).
    """
    if row.state != "draft":
        raise domain.RoundIsDecided
    drafted = await read_draft(session, row)
    if proposals is not None and not set(proposals) <= {p.proposal_id for p in drafted}:
        raise domain.DraftHasChanged
    chosen = [p for p in drafted if p.slot_id and (proposals is None or p.proposal_id in proposals)]
    requests = await session.scalars(
        open_requests(row)
        .where(among(OpenRequest.request_id, {p.request_id for p in chosen}))
        .order_by(OpenRequest.request_id)
        .with_for_update()
    )
    slots = await session.execute(
        open_slots(row).where(among(OpenSlot.slot_id, {p.slot_id for p in chosen if p.slot_id}))
    )
    return await tell_matches(
        session,
        row,
        drafted,
        chosen=chosen,
        requests={r.request_id: r for r in requests},
        slots={slot.slot_id: slot.with_seats(free) for slot, free in slots},
        by=by,
    )


async def tell_matches(
    session: Session,
    row: Round,
    drafted: Sequence[Proposal],
    *,
    chosen: Sequence[Proposal],
    requests: Mapping[UUID, OpenRequest],
    slots: Mapping[UUID, domain.Slot],
    by: ApprovedBy,
) -> int:
    """Approves the chosen proposals whose request (locked) and slot are still there; tells all concerned."""
    ready = [p for p in chosen if p.request_id in requests and p.slot_id in slots]
    at = Counter(slots[p.slot_id].workplace_id for p in ready if p.slot_id)
    for proposal in drafted:
        proposal.state = "left_out"
        if proposal.slot_id is None and row.repairs is None:
            _tell(session, proposal, _unmatched(row, proposal))
    for proposal in ready:
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
        proposal.state = "approved"
        requests[proposal.request_id].state = "matched"
    if len(ready) < sum(p.slot_id is not None for p in drafted):
        await mark_stale(session, [(row.municipality, row.placement_type)])
    row.state, row.approved_at, row.revision = "approved", datetime.now(UTC), row.revision + 1
    if row.matched != len(ready):
        _unprove(row)
    row.matched = len(ready)
    if row.repairs is None:
        _tell_bottlenecks(session, row)
    tell(
        session,
        RoundApproved(approved_by=by, **payload(row)),
        municipality=row.municipality,
        revision=row.revision,
    )
    return len(ready)


def _tell_bottlenecks(session: Session, row: Round) -> None:
    for found in row.bottlenecks or []:
        if found["learners"] >= domain.SMALLEST:
            event = BottleneckFound(
                bottleneck_id=uuids.uuid7(),
                placement_type=row.placement_type,
                occupation=found["occupation"],
                week=date.fromisoformat(found["week"]),
                learners=found["learners"],
            )
            tell(session, event, municipality=found["municipality"], revision=1)


async def drop(session: Session, *, row: Round) -> None:
    """Throws a draft away; nobody has been told of it."""
    if row.state not in ("draft", "scheduled"):
        raise domain.RoundIsDecided
    row.state = "dropped"


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
