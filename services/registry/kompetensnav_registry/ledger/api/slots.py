"""Slots over HTTP."""

from datetime import date
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, model_validator
from sqlalchemy import or_, select

from kompetensnav_chassis.codes import Administration, Day, Municipality
from kompetensnav_chassis.errors import NotFound
from kompetensnav_chassis.paging import Limit, Listed, Offset, page
from kompetensnav_contracts.vocabulary import LanguageLevel, Need, PlacementType, Sharing
from kompetensnav_registry.ground.actions import protected, texts
from kompetensnav_registry.ground.api.views import Coordinator, Reader, Seen, View
from kompetensnav_registry.ledger.actions import ledger, places, slots
from kompetensnav_registry.ledger.domain.slots import SlotValues
from kompetensnav_registry.ledger.tables.offers import Offer
from kompetensnav_registry.ledger.tables.slots import Slot, slots_of
from kompetensnav_registry.rules.domain.terms import KeptSlotTerms
from kompetensnav_registry.rules.edges import SlotTerms, kept

router = APIRouter(prefix="/{municipality}/slots")

Weekday = Annotated[int, Field(ge=1, le=7)]

# of the municipalities and administrations in the scope
_found = select(Offer.slot_id).where(protected.shown(Offer, None))

_mine = or_(Slot.own_found.is_(False), Slot.slot_id.in_(_found))
"""A place that a learner has found says in which form they are placed: for their administration only."""


class NewSlot(BaseModel):
    """Seats for learners at a workplace in a period."""

    workplace_id: UUID
    placement_type: PlacementType
    occupation: str = Field(pattern=r"^\d{4}$", description="SSYK 2012, four digits.")
    starts_on: Day
    ends_on: Day
    seats: int = Field(ge=1, le=10_000)
    min_language: LanguageLevel = LanguageLevel.NONE
    offers_needs: list[Need] = []
    shared_with: Sharing = Sharing.MUNICIPALITY
    named_municipalities: list[Municipality] = []
    administration: Administration | None = None
    weekdays: list[Weekday] = Field(
        default=[], max_length=7, description="Of a split week, ISO (1 = Monday); none = the whole week."
    )
    supervisor_id: UUID | None = None
    terms: SlotTerms = SlotTerms()
    description: str | None = Field(None, max_length=2000, description="For people; nothing personal in it.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.ends_on < self.starts_on:
            raise ValueError("ends_on is before starts_on")
        if self.shared_with == Sharing.ADMINISTRATION and not self.administration:
            raise ValueError("name the administration it is kept to")
        return self


class Changes(Seen):
    """What to correct; what is left out stays, also of the terms."""

    occupation: str | None = Field(None, pattern=r"^\d{4}$")
    starts_on: Day | None = None
    ends_on: Day | None = None
    seats: int | None = Field(None, ge=1, le=10_000)
    min_language: LanguageLevel | None = None
    offers_needs: list[Need] | None = None
    shared_with: Sharing | None = None
    named_municipalities: list[Municipality] | None = None
    administration: Administration | None = None
    weekdays: list[Weekday] | None = Field(None, max_length=7)
    supervisor_id: UUID | None = None
    terms: SlotTerms | None = None
    description: str | None = Field(None, max_length=2000)


class Withdrawal(BaseModel):
    """Why a slot is taken back."""

    because: Literal["no_supervisor", "no_tasks", "closed", "illness", "other"] = "other"


class SlotView(View):
    """A slot and how many seats are taken."""

    slot_id: UUID
    ref: str | None
    workplace_id: UUID
    placement_type: str
    occupation: str
    starts_on: date
    ends_on: date
    seats: int
    taken: int
    locality: str
    min_language: str
    offers_needs: list[str]
    shared_with: str
    named_municipalities: list[str]
    weekdays: list[int]
    supervisor_id: UUID | None
    terms: KeptSlotTerms
    description: str | None
    revision: int
    withdrawn: bool
    withdrawn_because: str | None

    @classmethod
    def of(cls, row: Slot) -> "SlotView":
        """From the row."""
        values = {name: getattr(row, name) for name in cls.model_fields if name != "withdrawn"}
        return cls(**values, withdrawn=row.withdrawn_at is not None)


@router.post("", status_code=201)
async def post_slot(caller: Coordinator, new: NewSlot) -> SlotView:
    """Offer seats."""
    async with caller.begin() as session:
        values = new.model_dump(
            mode="json", exclude={"starts_on", "ends_on", "workplace_id", "supervisor_id", "terms"}
        )
        texts.check("description", new.description)
        workplace = await places.find_workplace(
            session, municipality=caller.municipality, workplace_id=new.workplace_id, lock=True
        )
        if new.supervisor_id:
            await places.supervisor_at(session, workplace=workplace, supervisor_id=new.supervisor_id)
        row = slots.post_slot(
            session,
            workplace=workplace,
            starts_on=new.starts_on,
            ends_on=new.ends_on,
            supervisor_id=new.supervisor_id,
            terms=kept(new.terms),
            **values,
        )
        await ledger.settle_posted(session, [row])
        return SlotView.of(row)


@router.get("")
async def list_slots(
    caller: Reader,
    placement_type: Annotated[PlacementType | None, Query()] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Listed[SlotView]:
    """The slots still offered, by first day."""
    offered = slots_of(caller.municipality).where(_mine)
    if placement_type:
        offered = offered.where(Slot.placement_type == placement_type)
    async with caller.begin() as session:
        rows, total = await page(session, offered, (), limit, offset)
        return Listed(items=[SlotView.of(r) for r in rows], total=total)


@router.get("/{slot_id}")
async def show_slot(caller: Reader, slot_id: UUID) -> SlotView:
    """One slot."""
    async with caller.begin() as session:
        row = await session.scalar(
            select(Slot).where(Slot.slot_id == slot_id, Slot.municipality == caller.municipality, _mine)
        )
        if row is None:
            raise NotFound("There is no such slot.", "Det finns ingen sådan plats.")
        return SlotView.of(row)


@router.patch("/{slot_id}")
async def change_slot(caller: Coordinator, slot_id: UUID, changes: Changes) -> SlotView:
    """Correct a slot."""
    texts.check("description", changes.description)
    async with caller.begin() as session:
        row = await slots.change_slot(
            session,
            municipality=caller.municipality,
            slot_id=slot_id,
            changes=changes.given(SlotValues, "terms"),
            terms=changes.terms,
            seen=changes.revision,
        )
        return SlotView.of(row)


@router.post("/{slot_id}/withdraw")
async def withdraw_slot(caller: Coordinator, slot_id: UUID, why: Withdrawal | None = None) -> SlotView:
    """Take a slot back, with a reason; those concerned are told, and its seats are free."""
    async with caller.begin() as session:
        row = await slots.withdraw_slot(
            session,
            municipality=caller.municipality,
            slot_id=slot_id,
            because=why.because if why else None,
        )
        return SlotView.of(row)
