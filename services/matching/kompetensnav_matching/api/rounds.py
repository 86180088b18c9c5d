"""Matching over HTTP: rounds and their drafts, the standing rule, and the travel table."""

import asyncio
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from kompetensnav_chassis.bounds import takes
from kompetensnav_chassis.codes import Code, Day
from kompetensnav_chassis.db import Scope, Session
from kompetensnav_chassis.errors import BadRows
from kompetensnav_chassis.identity import Caller, May
from kompetensnav_chassis.paging import page
from kompetensnav_contracts.vocabulary import PlacementType
from kompetensnav_matching import domain
from kompetensnav_matching.actions import rounds
from kompetensnav_matching.actions.questions import round_to_read, scope_of
from kompetensnav_matching.actions.travel import put_times
from kompetensnav_matching.tables import Locality, Proposal, Round, StandingRule

router = APIRouter(prefix="/{municipality}")
Coordinator = Annotated[Caller, Depends(May("coordinator"))]
Staff = Annotated[Caller, Depends(May("coordinator", "guidance_counsellor"))]
Operator = Annotated[Caller, Depends(May("operator"))]


class NewRound(BaseModel):
    """What a round is for. `schools` are cohort references from the registry; none = all."""

    placement_type: PlacementType
    starts_on: Day
    ends_on: Day
    schools: list[UUID] = []
    agreement_id: UUID | None = None
    draft_at: AwareDatetime | None = Field(None, description="When to draft; empty = now.")
    mode: Literal["most_placed", "stable", "stable_filled"] = Field(
        "most_placed",
        description="How to place: as many as can be; so that no learner and slot would both rather have each"
        " other; or the latter, then filled up.",
    )

    new_field_minutes: int = Field(
        0,
        ge=0,
        le=domain.NEW_FIELD,
        description="What an own wish to try something new outweighs; published.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.ends_on < self.starts_on:
            raise ValueError("ends_on is before starts_on")
        return self


class WayView(BaseModel):
    """One way to place the learners of a round, in numbers."""

    mode: str
    placed: int
    cost: int = Field(description="Sum of the costs, tenths of a minute.")
    envious: int = Field(description="Learners who would rather have a slot that would rather have them.")


class ProofView(BaseModel):
    """Why the draft is the best there is, and what each way to place would give."""

    gap: int | None = Field(
        description="Between the most-placed optimum's cost and what none can be below; 0 = proved, null ="
        " changed by hand since."
    )
    way: str = Field(description="Which of the engine's ways found the optimum.")
    seed: int = Field(description="Of the lottery in the stable ways; comes from the inputs.")
    ways: list[WayView] = Field(description="The three ways side by side; empty for a repair.")


class RoundView(BaseModel):
    """A round in numbers."""

    model_config = ConfigDict(from_attributes=True)

    round_id: UUID
    repairs: UUID | None
    agreement_id: UUID | None
    municipalities: list[str]
    placement_type: str
    starts_on: date
    ends_on: date
    state: str
    draft_at: datetime | None
    learners: int
    seats: int
    matched: int
    cost: int = Field(description="Sum of the proposals' costs, tenths of a minute.")
    inputs: str | None = Field(description="SHA-256 over what was solved.")
    mode: str
    new_field_minutes: int
    proof: ProofView | None
    revision: int


class ReasonView(BaseModel):
    """A rule id and a number: tenths of a minute of cost, or how many slots."""

    rule: str
    value: int


class ProposalView(BaseModel):
    """A learner's row in a draft."""

    model_config = ConfigDict(from_attributes=True)

    proposal_id: UUID
    municipality: str
    request_id: UUID
    learner_id: UUID
    slot_id: UUID | None
    cost: int
    wish_rank: int | None
    reasons: list[ReasonView]
    by: str
    pinned: bool
    state: str


class Proposals(BaseModel):
    """One page of a draft."""

    items: list[ProposalView]
    total: int


class Rounds(BaseModel):
    """One page of rounds."""

    items: list[RoundView]
    total: int


class ByHand(BaseModel):
    """A learner and the slot a coordinator has chosen."""

    request_id: UUID
    slot_id: UUID


class Approval(BaseModel):
    """Which proposals to approve; none named = all."""

    proposals: list[UUID] | None = None


class Approved(BaseModel):
    """What an approval told."""

    round: RoundView
    matches: int


class StandingRuleView(BaseModel):
    """May repairs go out without being asked for?"""

    approve_repairs: bool


class NewLocality(BaseModel):
    """Where a locality lies."""

    locality: Code
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)


class Imported(BaseModel):
    """How much a file held."""

    pairs: int


class NewTravelTime(BaseModel):
    """Minutes from one locality to another."""

    home: Code
    work: Code
    minutes: int = Field(ge=0, le=1440)


async def _scope(caller: Caller, agreement_id: UUID | None) -> Scope:
    async with caller.begin() as session:
        return await rounds.round_scope(session, caller.identity, caller.municipality, agreement_id)


async def _round(session: Session, caller: Caller, round_id: UUID, lock: bool = True) -> Round:
    return await rounds.find_round(
        session,
        municipality=caller.municipality,
        administrations=caller.identity.administrations,
        round_id=round_id,
        lock=lock,
    )


@router.post("/rounds", status_code=201)
async def draft_round(caller: Coordinator, new: NewRound) -> RoundView:
    """Draft a round now, or on a schedule. A draft tells nobody and reserves nothing."""
    async with caller.begin(await _scope(caller, new.agreement_id)) as session:
        row = await rounds.new_round(
            session,
            municipality=caller.municipality,
            administrations=caller.identity.administrations,
            placement_type=new.placement_type.value,
            starts_on=new.starts_on,
            ends_on=new.ends_on,
            cohorts=new.schools,
            agreement_id=new.agreement_id,
            draft_at=new.draft_at,
            mode=new.mode,
            new_field_minutes=new.new_field_minutes,
        )
        if new.draft_at is None:
            await rounds.solve(session, row)
        return RoundView.model_validate(row)


@router.get("/rounds")
async def list_rounds(
    caller: Staff,
    state: Annotated[str | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
) -> Rounds:
    """The rounds that place learners of one's own administrations, the newest first."""
    shown = select(Round).where(
        Round.municipality == caller.municipality,
        Round.administrations.contained_by(list(caller.identity.administrations)),
    )
    if state:
        shown = shown.where(Round.state == state)
    async with caller.begin() as session:
        rows, total = await page(session, shown, (Round.made_at.desc(), Round.round_id.desc()), limit, offset)
        return Rounds(items=[RoundView.model_validate(r) for r in rows], total=total)


@router.get("/rounds/{round_id}")
async def show_round(caller: Staff, round_id: UUID) -> RoundView:
    """One round."""
    async with caller.begin() as session:
        row = await _round(session, caller, round_id, lock=False)
        return RoundView.model_validate(row)


@router.get("/rounds/{round_id}/proposals")
async def list_proposals(
    caller: Staff,
    round_id: UUID,
    matched: Annotated[bool | None, Query(description="Only those with a slot, or without.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
) -> Proposals:
    """The draft's rows with their reasons: for each match why, and for each non-match why not."""
    async with round_to_read(caller, round_id) as (session, row):
        shown = select(Proposal).where(
            Proposal.round_id == round_id, Proposal.municipality.in_(row.municipalities)
        )
        if matched is not None:
            shown = shown.where(Proposal.slot_id.is_not(None) if matched else Proposal.slot_id.is_(None))
        rows, total = await page(session, shown, Proposal.proposal_id, limit, offset)
        return Proposals(items=[ProposalView.model_validate(r) for r in rows], total=total)


@router.post("/rounds/{round_id}/proposals/{proposal_id}/{decision}")
async def decide(
    caller: Coordinator, round_id: UUID, proposal_id: UUID, decision: Literal["pin", "unpin", "forbid"]
) -> ProposalView:
    """Keep a proposal when the rest is solved again, let it go, or never propose the pair."""
    async with caller.begin(await scope_of(caller, round_id)) as session:
        row = await _round(session, caller, round_id)
        if decision == "forbid":
            proposal = await rounds.forbid(session, row=row, proposal_id=proposal_id)
        else:
            proposal = await rounds.pin(session, row=row, proposal_id=proposal_id, pinned=decision == "pin")
        return ProposalView.model_validate(proposal)


@router.post("/rounds/{round_id}/place")
async def place_by_hand(caller: Coordinator, round_id: UUID, chosen: ByHand) -> ProposalView:
    """Place a learner by hand; the choice is kept when the rest is solved again."""
    async with caller.begin(await scope_of(caller, round_id)) as session:
        row = await _round(session, caller, round_id)
        proposal = await rounds.place_by_hand(session, row=row, **chosen.model_dump())
        return ProposalView.model_validate(proposal)


@router.post("/rounds/{round_id}/solve")
async def solve(caller: Coordinator, round_id: UUID) -> RoundView:
    """Solve the rest of a draft again around what has been pinned, forbidden and placed by hand."""
    async with caller.begin(await scope_of(caller, round_id)) as session:
        row = await _round(session, caller, round_id)
        await rounds.solve(session, row)
        return RoundView.model_validate(row)


@router.post("/rounds/{round_id}/approve")
@takes(4_000_000)
async def approve(caller: Coordinator, round_id: UUID, approval: Approval | None = None) -> Approved:
    """Approve all or some of a draft. Only now are seats asked for and people told."""
    chosen = approval.proposals if approval else None
    async with caller.begin(await scope_of(caller, round_id)) as session:
        row = await _round(session, caller, round_id)
        matches = await rounds.approve(
            session, row=row, proposals=None if chosen is None else frozenset(chosen)
        )
        return Approved(round=RoundView.model_validate(row), matches=matches)


@router.post("/rounds/{round_id}/drop")
async def drop(caller: Coordinator, round_id: UUID) -> RoundView:
    """Throw a draft away."""
    async with caller.begin(await scope_of(caller, round_id)) as session:
        row = await _round(session, caller, round_id)
        await rounds.drop(session, row=row)
        return RoundView.model_validate(row)


@router.put("/standing-rule")
async def decide_standing_rule(caller: Coordinator, rule: StandingRuleView) -> StandingRuleView:
    """Decide whether repairs of the municipality's rounds are approved without asking."""
    values = {"approve_repairs": rule.approve_repairs, "decided_by": caller.identity.subject}
    async with caller.begin() as session:
        new = upsert(StandingRule).values(municipality=caller.municipality, **values)
        await session.execute(
            new.on_conflict_do_update(index_elements=[StandingRule.municipality], set_=values)
        )
    return rule


@router.get("/standing-rule")
async def show_standing_rule(caller: Staff) -> StandingRuleView:
    """Whether repairs are approved without asking; no unless decided."""
    async with caller.begin() as session:
        row = await session.get(StandingRule, caller.municipality)
        return StandingRuleView(approve_repairs=bool(row and row.approve_repairs))


@router.put("/localities", status_code=204)
@takes(2_000_000)
async def put_localities(caller: Operator, localities: list[NewLocality]) -> None:
    """Say where localities lie, for every municipality of the stack; those there already are moved."""
    new = upsert(Locality)
    moved = {name: new.excluded[name] for name in ("latitude", "longitude")}
    async with caller.begin() as session:
        await session.execute(
            new.on_conflict_do_update(index_elements=[Locality.locality], set_=moved),
            [row.model_dump() for row in localities],
        )


@router.put("/travel-times", status_code=204)
@takes(20_000_000)
async def put_travel_times(caller: Operator, times: list[NewTravelTime]) -> None:
    """Say how long travel takes between localities, for the whole stack; overrides the estimate."""
    async with caller.begin() as session:
        await put_times(session, {(row.home, row.work): row.minutes for row in times})


@router.post("/travel-times/file")
@takes(50_000_000)
async def import_travel_times(caller: Operator, request: Request) -> Imported:
    """The same from a file: CSV, or Parquet with the content type `application/vnd.apache.parquet`; columns
    home, work, minutes. All of it or nothing."""
    parquet = "parquet" in request.headers.get("content-type", "")
    times = await asyncio.to_thread(_read_times, await request.body(), ".parquet" if parquet else ".csv")
    async with caller.begin() as session:
        await put_times(session, times)
    return Imported(pairs=len(times))


def _read_times(body: bytes, suffix: str) -> dict[tuple[str, str], int]:
    # loaded when first needed: a service is well before
    from kompetensnav_matching.edges.files import BadFile
    from kompetensnav_matching.edges.people import read_times

    with TemporaryDirectory() as folder:
        path = Path(folder) / f"travel-times{suffix}"
        path.write_bytes(body)
        try:
            return read_times(path)
        except BadFile as bad:
            said = str(bad).replace(f"{folder}/", "")
            raise BadRows(said, f"Filen kan inte användas, och inget är skrivet. {said}") from None
