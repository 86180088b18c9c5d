"""Employers, workplaces, coordinators and sharing agreements over HTTP."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import func, select

from kompetensnav_chassis.codes import Code, Day, Email, Municipality, Name
from kompetensnav_chassis.errors import Forbidden
from kompetensnav_contracts.vocabulary import PlacementType
from kompetensnav_registry.actions import employers
from kompetensnav_registry.api.views import Coordinator, Limit, Listed, Offset, Reader, View
from kompetensnav_registry.tables import Employer, SharingAgreement, Workplace

router = APIRouter(prefix="/{municipality}")


class NewEmployer(BaseModel):
    """An employer to register."""

    org_number: Annotated[str, AfterValidator(employers.legal_person)]
    name: Name
    sector: Literal["private", "municipal", "regional", "state", "association"] = "private"


class EmployerView(View):
    """An employer."""

    employer_id: UUID
    org_number: str
    name: str
    sector: str


class NewWorkplace(BaseModel):
    """A workplace to register."""

    employer_id: UUID
    name: Name
    locality: Code
    reception_capacity: int = Field(
        ge=0, le=10_000, description="Learners per week over all placement types."
    )
    contact_name: Name
    contact_email: Email
    contact_speaks: Literal["sv", "en"] = "sv"


class WorkplaceView(View):
    """A workplace."""

    workplace_id: UUID
    employer_id: UUID
    ref: str | None
    name: str
    locality: str
    reception_capacity: int


class NewCoordinator(BaseModel):
    """Whom the municipality's digests go to."""

    name: Name
    email: Email
    speaks: Literal["sv", "en"] = "sv"


class NewAgreement(BaseModel):
    """A signed sharing agreement."""

    municipalities: Annotated[list[Municipality], Field(min_length=2)]
    placement_types: Annotated[list[PlacementType], Field(min_length=1)]
    valid_from: Day
    valid_to: Day | None = None


class AgreementView(View):
    """A sharing agreement."""

    agreement_id: UUID
    lead: str
    municipalities: list[str]
    placement_types: list[str]
    valid_from: date
    valid_to: date | None


@router.post("/employers", status_code=201)
async def register_employer(caller: Coordinator, new: NewEmployer) -> EmployerView:
    """Register an employer; one that is there already is returned as it is."""
    async with caller.begin() as session:
        row, _ = await employers.register_employer(
            session, municipality=caller.municipality, **new.model_dump()
        )
        return EmployerView.model_validate(row)


@router.get("/employers")
async def list_employers(caller: Reader, limit: Limit = 100, offset: Offset = 0) -> Listed[EmployerView]:
    """Every employer of the stack, by name."""
    async with caller.begin() as session:
        rows = await session.scalars(
            select(Employer).order_by(Employer.name, Employer.employer_id).limit(limit).offset(offset)
        )
        total = await session.scalar(select(func.count()).select_from(Employer))
        return Listed(items=[EmployerView.model_validate(r) for r in rows], total=total or 0)


@router.post("/workplaces", status_code=201)
async def register_workplace(caller: Coordinator, new: NewWorkplace) -> WorkplaceView:
    """Register a workplace with its contact."""
    async with caller.begin() as session:
        row = await employers.register_workplace(
            session, municipality=caller.municipality, **new.model_dump()
        )
        return WorkplaceView.model_validate(row)


@router.get("/workplaces")
async def list_workplaces(caller: Reader, limit: Limit = 100, offset: Offset = 0) -> Listed[WorkplaceView]:
    """The municipality's workplaces, by name."""
    mine = Workplace.municipality == caller.municipality
    async with caller.begin() as session:
        rows = await session.scalars(
            select(Workplace)
            .where(mine)
            .order_by(Workplace.name, Workplace.workplace_id)
            .limit(limit)
            .offset(offset)
        )
        total = await session.scalar(select(func.count()).select_from(Workplace).where(mine))
        return Listed(items=[WorkplaceView.model_validate(r) for r in rows], total=total or 0)


@router.put("/coordinator", status_code=204)
async def name_coordinator(caller: Coordinator, new: NewCoordinator) -> None:
    """Say whom the municipality's digests go to."""
    async with caller.begin() as session:
        await employers.name_coordinator(session, municipality=caller.municipality, **new.model_dump())


@router.post("/agreements", status_code=201)
async def agree_to_share(caller: Coordinator, new: NewAgreement) -> AgreementView:
    """Record a signed sharing agreement that the municipality leads; the token must act for every one in
    it."""
    if not set(new.municipalities) <= set(caller.identity.municipalities):
        raise Forbidden(
            "The token must act for every municipality in the agreement.",
            "Du måste ha behörighet för alla kommuner i avtalet.",
        )
    async with caller.begin() as session:
        row = await employers.agree_to_share(
            session,
            lead=caller.municipality,
            municipalities=new.municipalities,
            placement_types=[t.value for t in new.placement_types],
            valid_from=new.valid_from,
            valid_to=new.valid_to,
        )
        return AgreementView.model_validate(row)


@router.get("/agreements")
async def list_agreements(caller: Reader) -> Listed[AgreementView]:
    """The sharing agreements the municipality has signed."""
    async with caller.begin() as session:
        rows = await session.scalars(
            select(SharingAgreement)
            .where(SharingAgreement.municipalities.any(caller.municipality))  # type: ignore[arg-type]
            .order_by(SharingAgreement.valid_from, SharingAgreement.agreement_id)
        )
        items = [AgreementView.model_validate(r) for r in rows]
        return Listed(items=items, total=len(items))
