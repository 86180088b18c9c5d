"""Why a round is as it is: reasons, questions, bottlenecks, and who was served how."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from sqlalchemy import select

from kompetensnav_chassis.errors import NotFound
from kompetensnav_chassis.identity import Caller, May
from kompetensnav_matching import domain
from kompetensnav_matching.actions.questions import read_served, round_to_read
from kompetensnav_matching.actions.questions import why_not as ask_why_not
from kompetensnav_matching.edges import texts
from kompetensnav_matching.tables import Proposal, Round

router = APIRouter(prefix="/{municipality}")
Staff = Annotated[Caller, Depends(May("coordinator", "guidance_counsellor"))]


class Reason(BaseModel):
    """A reason by its rule, and in words."""

    rule: str
    value: int = Field(description="Tenths of a minute for a part of the cost; else a count.")
    sv: str
    en: str


class WhyView(BaseModel):
    """A learner's slot with what it cost, or why there is none."""

    slot_id: UUID | None
    cost: int = Field(description="Tenths of a minute; the sum of the parts.")
    reasons: list[Reason]
    scarcity: int | None = Field(
        description="What one seat more in the slot would spare all, tenths of a minute; null when not known."
    )
    one_more_seat_places_one_more: bool
    travel_is_estimated: bool


class Hindrance(BaseModel):
    """A rule that keeps the learner from the slot, and in words."""

    rule: str
    sv: str
    en: str


class WhyNotView(BaseModel):
    """Why a learner does not have a slot: what hinders, or what giving it would change."""

    hindrances: list[Hindrance] = Field(description="Empty when the learner could have it.")
    moved: int = Field(description="How many others would have another slot, or none.")
    placed: int = Field(description="How many more would be placed in all.")
    cost: int = Field(description="What it would cost more in all, tenths of a minute.")


class BottleneckView(BaseModel):
    """Slots of one occupation, municipality and week in which more seats would place more learners."""

    occupation: str = Field(description="SSYK 2012, four digits.")
    municipality: str
    week: date = Field(description="Its Monday.")
    learners: int = Field(description="So many seats more would each place one learner more.")
    seats: int = Field(description="That are there, all taken.")


class CountView(BaseModel):
    """A line of a table; null = fewer than 5, or what would give such a number away."""

    key: str
    learners: int | None
    placed: int | None


class WayCount(BaseModel):
    """One way to place, in numbers that may be shown; null = hidden."""

    mode: str
    placed: int | None
    cost: int = Field(description="Tenths of a minute.")
    envious: int | None


class AccountView(BaseModel):
    """What was optimised, on which terms, and who was served how; may be shown to anybody. Numbers of
    learners from 1 to 4, and what would give them away, are null."""

    mode: str
    new_field_minutes: int
    learners: int | None
    seats: int
    matched: int | None
    by_hand: int | None
    inputs: str | None
    gap: int | None = Field(
        description="0: proved to place most at least cost, given what people have fixed."
    )
    seed: int | None
    ways: list[WayCount]
    served: dict[str, list[CountView]] = Field(
        description="Tables by tier, municipality, travel and wish_rank."
    )


@router.get("/rounds/{round_id}/proposals/{proposal_id}/why")
async def why(caller: Staff, round_id: UUID, proposal_id: UUID) -> WhyView:
    """Why the learner has the slot, in parts; or why none, and what would have to be different."""
    async with round_to_read(caller, round_id) as (session, row):
        proposal = await session.scalar(
            select(Proposal).where(
                Proposal.proposal_id == proposal_id,
                Proposal.round_id == round_id,
                Proposal.municipality.in_(row.municipalities),
            )
        )
        if proposal is None:
            raise NotFound("There is no such proposal.", "Det finns inget sådant förslag.")
        scarcity, crowded = (
            await session.execute(
                select(Round.scarcity, Round.crowded).where(
                    Round.round_id == round_id, Round.municipality == row.municipality
                )
            )
        ).one()
        slot = proposal.slot_id
        return WhyView(
            slot_id=slot,
            cost=proposal.cost,
            reasons=[_reason(r["rule"], r["value"]) for r in proposal.reasons],
            scarcity=None if slot is None or scarcity is None else scarcity.get(str(slot), 0),
            one_more_seat_places_one_more=slot in (crowded or ()),
            travel_is_estimated=any(r["rule"] == "travel_estimated" for r in proposal.reasons),
        )


@router.get("/rounds/{round_id}/proposals/{proposal_id}/why-not/{slot_id}")
async def why_not(caller: Staff, round_id: UUID, proposal_id: UUID, slot_id: UUID) -> WhyNotView:
    """Why the learner does not have that slot: what hinders it, or what would change if it were placed there
    by hand and the rest solved again."""
    async with round_to_read(caller, round_id) as (session, row):
        found = await ask_why_not(session, row, proposal_id, slot_id)
        return WhyNotView(
            hindrances=[Hindrance(rule=rule, **texts.hindrance(rule)) for rule in found.hindrances],
            moved=found.moved,
            placed=found.placed,
            cost=found.cost,
        )


@router.get("/rounds/{round_id}/bottlenecks")
async def list_bottlenecks(caller: Staff, round_id: UUID) -> list[BottleneckView]:
    """Where more seats would place more learners, most first."""
    async with round_to_read(caller, round_id) as (_, row):
        return [BottleneckView(**found) for found in row.bottlenecks or []]


@router.get("/rounds/{round_id}/account")
async def show_account(caller: Staff, round_id: UUID) -> AccountView:
    """What was optimised, on which terms, and who was served how."""
    async with round_to_read(caller, round_id) as (session, row):
        served, by_hand = await read_served(session, row)
        proof: dict[str, Any] = row.proof or {}
        return AccountView(
            mode=row.mode,
            new_field_minutes=row.new_field_minutes,
            learners=domain.few(row.learners),
            seats=row.seats,
            matched=domain.shown(row.matched, row.learners),
            by_hand=domain.few(by_hand),
            inputs=row.inputs,
            gap=proof.get("gap") if row.mode == domain.MOST_PLACED else None,
            seed=proof.get("seed"),
            ways=[
                WayCount(
                    mode=way["mode"],
                    placed=domain.shown(way["placed"], row.learners),
                    cost=way["cost"],
                    envious=domain.few(way["envious"]),
                )
                for way in proof.get("ways", [])
            ],
            served={
                name: [CountView(key=c.key, learners=c.learners, placed=c.placed) for c in table]
                for name, table in served.items()
            },
        )


def _reason(rule: str, value: int) -> Reason:
    return Reason(rule=rule, value=value, **texts.both(rule, value))
