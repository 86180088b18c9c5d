"""Learners, schools, placement requests and own-found slots over HTTP."""

from datetime import date
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi import Request as Request_
from pydantic import BaseModel, Field, model_validator
from sqlalchemy import select

from kompetensnav_chassis.codes import LAST, Administration, Code, Day, Email, Name, Phone, PostalCode
from kompetensnav_chassis.db import Session
from kompetensnav_chassis.identity import Caller
from kompetensnav_chassis.paging import Limit, Listed, Offset, page
from kompetensnav_contracts.vocabulary import LanguageLevel, Need, PlacementType
from kompetensnav_registry.ground.actions import organisations, protected
from kompetensnav_registry.ground.actions.locks import Lock
from kompetensnav_registry.ground.api.views import Following, Seen, Staff, View, case_worker_of, said, seal_of
from kompetensnav_registry.ground.edges.numbers import identity_number
from kompetensnav_registry.ground.tables.learners import Learner
from kompetensnav_registry.ledger.api.offers import OfferView
from kompetensnav_registry.ledger.domain import requests
from kompetensnav_registry.ledger.domain.requests import RequestValues
from kompetensnav_registry.ledger.tables.offers import Request
from kompetensnav_registry.people.actions import learners, own_found
from kompetensnav_registry.people.domain.learners import LearnerValues
from kompetensnav_registry.rules.domain.terms import KeptRequestTerms
from kompetensnav_registry.rules.edges import RequestTerms, kept

router = APIRouter(prefix="/{municipality}")


class NewLearner(BaseModel):
    """A learner to register; goes into the vault and is told to no one."""

    administration: Administration
    school: Code
    given_name: Name = Field(max_length=100)
    family_name: Name = Field(max_length=100)
    email: Email | None = None
    guardian_email: Email | None = None
    phone: Phone | None = None
    address: Name | None = None
    postal_code: PostalCode | None = None
    born_on: date = Field(ge=date(1900, 1, 1), le=LAST)
    programme: Code | None = None
    study_year: int | None = Field(None, ge=0, le=13)
    aims_at: str | None = Field(None, pattern=r"^\d{4}$", description="Occupation it leads to, SSYK 2012.")
    finishes_on: Day | None = None
    locality: Code
    language: LanguageLevel = LanguageLevel.FLUENT
    speaks: Literal["sv", "en"] = "sv"
    identity_number: str | None = Field(
        None, max_length=20, description="Personal, coordination or temporary (YYYYMMDD-TFnn) number."
    )
    security_marking: Literal["none", "confidentiality_marked", "protected_registration"] = "none"
    case_worker: Name | None = Field(
        None, description="Subject of the case worker who places a protected learner, and alone sees them."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.security_marking != "none" and not self.case_worker:
            raise ValueError("a protected learner has a named case worker")
        if self.identity_number and identity_number(self.identity_number).born_on != self.born_on:
            raise ValueError("born_on is another day than the number's")
        return self


class LearnerView(View):
    """A learner as its own administration sees it."""

    learner_id: UUID
    administration: str
    school: str
    given_name: str
    family_name: str
    locality: str
    language: str
    revision: int


class LearnerChanges(Seen):
    """What to correct; what is left out stays. Who marks a learner as protected names the case worker, who
    alone may lift the marking."""

    school: Code | None = None
    given_name: Name | None = Field(None, max_length=100)
    family_name: Name | None = Field(None, max_length=100)
    email: Email | None = None
    guardian_email: Email | None = None
    phone: Phone | None = None
    address: Name | None = None
    postal_code: PostalCode | None = None
    programme: Code | None = None
    study_year: int | None = Field(None, ge=0, le=13)
    aims_at: str | None = Field(None, pattern=r"^\d{4}$", description="Occupation it leads to, SSYK 2012.")
    finishes_on: Day | None = None
    locality: Code | None = None
    language: LanguageLevel | None = None
    speaks: Literal["sv", "en"] | None = None
    security_marking: Literal["none", "confidentiality_marked", "protected_registration"] | None = None
    case_worker: Name | None = None


class Wished(BaseModel):
    """An occupation, or a certain slot."""

    occupation: str | None = Field(None, pattern=r"^\d{4}$")
    slot_id: UUID | None = None
    preference: float | None = Field(None, ge=0, le=1)
    new_field: bool = Field(False, description="The learner's own wish to try something outside the usual.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.occupation is None) == (self.slot_id is None):
            raise ValueError("name either an occupation or a slot")
        return self

    def said(self) -> requests.Wished:
        """The wish itself."""
        return requests.Wished(
            occupation=self.occupation,
            slot_id=self.slot_id,
            preference=self.preference,
            new_field=self.new_field,
        )


class NewRequest(BaseModel):
    """A placement a learner needs, with ranked wishes."""

    learner_id: UUID
    placement_type: PlacementType
    starts_on: Day
    ends_on: Day
    wishes: list[Wished] = Field(default=[], max_length=100)
    needs: list[Need] = []
    max_travel_minutes: int = Field(60, ge=0, le=600)
    terms: RequestTerms = RequestTerms()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.ends_on < self.starts_on:
            raise ValueError("ends_on is before starts_on")
        return self

    def about(self) -> RequestValues:
        """The request itself, without whose it is."""
        return RequestValues(
            placement_type=self.placement_type.value,
            starts_on=self.starts_on,
            ends_on=self.ends_on,
            wishes=[wish.said() for wish in self.wishes],
            needs=[need.value for need in self.needs],
            max_travel_minutes=self.max_travel_minutes,
            terms=kept(self.terms),
        )


class RequestView(View):
    """A placement request."""

    request_id: UUID
    learner_id: UUID
    administration: str
    placement_type: str
    starts_on: date
    ends_on: date
    wishes: list[requests.Wish]
    needs: list[str]
    max_travel_minutes: int
    terms: KeptRequestTerms
    state: str
    by_hand: bool
    revision: int


class NewCheck(BaseModel):
    """An extract that was shown."""

    kind: Literal["school", "children_home", "children_disability"]
    shown_on: Day


class NewOwnFound(BaseModel):
    """A place the learner or school has found itself."""

    request_id: UUID
    workplace_id: UUID
    occupation: str = Field(pattern=r"^\d{4}$")


@router.post("/learners", status_code=201)
async def register_learner(request: Request_, caller: Staff, new: NewLearner) -> LearnerView:
    """Register a learner of one's own administration."""
    caller.acts_for(new.administration)
    async with caller.begin() as session:
        row = await learners.register_learner(
            session,
            municipality=caller.municipality,
            administration=new.administration,
            seal=seal_of(request),
            identity_number=identity_number(new.identity_number) if new.identity_number else None,
            person=said(new, LearnerValues, "administration", "identity_number"),
            by=caller.identity.subject,
            case_worker=case_worker_of(caller),
        )
        return LearnerView.model_validate(row)


@router.get("/learners")
async def list_learners(caller: Staff, limit: Limit = 100, offset: Offset = 0) -> Listed[LearnerView]:
    """The learners of one's own administrations; a protected one only the named case worker sees."""
    shown = select(Learner).where(Learner.municipality == caller.municipality)
    worker = case_worker_of(caller)
    shown = shown.where(protected.shown_learner(worker))
    async with caller.begin() as session:
        rows, total = await page(session, shown, Learner.learner_id, limit, offset)
        if worker:
            await protected.log_views(session, learners=rows, viewed_by=worker, what="list")
        return Listed(items=[LearnerView.model_validate(r) for r in rows], total=total)


@router.patch("/learners/{learner_id}")
async def change_learner(caller: Staff, learner_id: UUID, changes: LearnerChanges) -> LearnerView | None:
    """Correct a learner. One who is marked as protected is from then on shown to the named case worker alone;
    the answer is then empty to others."""
    worker = case_worker_of(caller)
    async with caller.begin() as session:
        row = await learner_of(session, caller, learner_id, lock="update")
        await learners.change_learner(
            session, learner=row, seen=changes.revision, changes=changes.given(LearnerValues)
        )
        if row.security_marking != "none" and row.case_worker != worker:
            return None
        return LearnerView.model_validate(row)


@router.post("/learners/{learner_id}/background-checks", status_code=204)
async def note_background_check(caller: Following, learner_id: UUID, new: NewCheck) -> None:
    """Note that an extract from the criminal records was shown and given back; nothing of what it said."""
    async with caller.begin() as session:
        learner = await learner_of(session, caller, learner_id)
        await learners.note_background_check(
            session, learner=learner, checked_by=caller.identity.subject, **new.model_dump()
        )


@router.post("/requests", status_code=201)
async def open_request(caller: Staff, new: NewRequest) -> RequestView:
    """Say that a learner needs a placement."""
    async with caller.begin() as session:
        learner = await learner_of(session, caller, new.learner_id, lock="share")
        school = await organisations.school_of(session, municipality=caller.municipality, code=learner.school)
        row = await learners.open_request(session, learner=learner, school=school, about=new.about())
        await session.flush()
        return RequestView.model_validate(row)


@router.get("/requests")
async def list_requests(
    caller: Staff,
    state: Annotated[Literal["open", "placed", "closed"] | None, Query()] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Listed[RequestView]:
    """The requests of one's own administrations, by first day."""
    shown = select(Request).where(Request.municipality == caller.municipality)
    worker = case_worker_of(caller)
    shown = shown.where(protected.shown(Request, worker))
    if state:
        shown = shown.where(Request.state == state)
    async with caller.begin() as session:
        rows, total = await page(session, shown, (Request.starts_on, Request.request_id), limit, offset)
        if worker:
            await protected.log_rows(session, rows=rows, viewed_by=worker, what="requests")
        return Listed(items=[RequestView.model_validate(r) for r in rows], total=total)


@router.post("/requests/{request_id}/close")
async def close_request(caller: Staff, request_id: UUID) -> RequestView:
    """The learner needs no placement any more."""
    async with caller.begin() as session:
        row = await learners.close_request(
            session,
            municipality=caller.municipality,
            request_id=request_id,
            case_worker=case_worker_of(caller),
        )
        return RequestView.model_validate(row)


@router.post("/own-found", status_code=201)
async def register_own_found(caller: Staff, new: NewOwnFound) -> OfferView:
    """Register a place the learner found: the seat is held in the same ledger, the employer is asked by link,
    and a coordinator approves."""
    async with caller.begin() as session:
        row = await own_found.register_own_found(
            session, municipality=caller.municipality, **new.model_dump()
        )
        await session.flush()
        return OfferView.model_validate(row)


async def learner_of(session: Session, caller: Caller, learner_id: UUID, *, lock: Lock = None) -> Learner:
    """The learner, locked if need be; a protected one for the named case worker only. Raises NotFound."""
    return await learners.find_learner(
        session,
        municipality=caller.municipality,
        learner_id=learner_id,
        case_worker=case_worker_of(caller),
        lock=lock,
    )
