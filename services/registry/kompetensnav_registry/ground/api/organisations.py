"""Administrations, education providers, schools, learning centres, delegations and sharing agreements."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Request
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import select

from kompetensnav_chassis.codes import Administration, Code, Day, Municipality, Name
from kompetensnav_chassis.errors import Forbidden
from kompetensnav_chassis.paging import Limit, Listed, Offset
from kompetensnav_contracts.vocabulary import PlacementType
from kompetensnav_registry.ground.actions import organisations
from kompetensnav_registry.ground.api.views import Coordinator, Reader, Staff, View, page_of, said
from kompetensnav_registry.ground.edges.numbers import legal_person
from kompetensnav_registry.ground.tables.organisations import Administration as AdministrationRow
from kompetensnav_registry.ground.tables.organisations import (
    Delegation,
    EducationProvider,
    LearningCentre,
    School,
    SharingAgreement,
)

router = APIRouter(prefix="/{municipality}")

CentreCode = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{1,30}$")]

Form = Literal["FS", "GR", "GRS", "SP", "SAM", "GY", "GYS", "VUX", "VUXSFI", "VUXGR", "VUXGY", "YH", "FHS"]
"""School forms as SS 12000 names them."""


class About(BaseModel):
    """What an administration is called, and its committee."""

    name: Name
    committee: Name


class AdministrationView(View):
    """An administration."""

    code: str
    name: str
    committee: str


class NewProvider(BaseModel):
    """An education provider (huvudman)."""

    org_number: Annotated[str, AfterValidator(legal_person)]
    name: Name
    kind: Literal["municipality", "region", "state", "independent"]


class ProviderView(View):
    """An education provider."""

    provider_id: UUID
    org_number: str
    name: str
    kind: str


class SchoolChanges(BaseModel):
    """What a school unit is called, and whose it is."""

    name: Name
    administration: Administration
    provider_id: UUID | None = None
    school_forms: list[Form] = Field(default=[], max_length=20)


class SchoolView(View):
    """A school unit and the reference that rounds name it by."""

    code: str
    name: str
    administration: str | None
    provider_id: UUID | None
    school_forms: list[str]
    cohort_id: UUID


class CentreName(BaseModel):
    """What a learning centre is called."""

    name: Name


class CentreView(View):
    """A learning centre; its code stands where a municipality's would, in tokens and paths."""

    code: str
    name: str
    lies_in: str


class NewDelegation(BaseModel):
    """A school lets a learning centre place its learners."""

    administration: Administration
    school: Code
    centre: str = Field(pattern=r"^[a-z][a-z0-9_]{1,30}$")
    valid_from: Day
    valid_to: Day | None = None


class DelegationView(View):
    """A delegation."""

    delegation_id: UUID
    centre: str
    granted_by: str
    administration: str
    school: str
    valid_from: date
    valid_to: date | None


class NewAgreement(BaseModel):
    """A signed sharing agreement; learning centres stand in it with their codes."""

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


@router.put("/administrations/{administration}")
async def put_administration(
    caller: Coordinator, administration: Annotated[Administration, Path()], about: About
) -> AdministrationView:
    """Say what one's own administration is called."""
    caller.acts_for(administration)
    async with caller.begin() as session:
        row = await organisations.put_administration(
            session, municipality=caller.municipality, code=administration, **about.model_dump()
        )
        return AdministrationView.model_validate(row)


@router.get("/administrations")
async def list_administrations(
    caller: Reader, limit: Limit = 100, offset: Offset = 0
) -> Listed[AdministrationView]:
    """The municipality's administrations."""
    shown = select(AdministrationRow).where(AdministrationRow.municipality == caller.municipality)
    return await page_of(caller, AdministrationView, shown, AdministrationRow.code, limit, offset)


@router.post("/providers", status_code=201)
async def register_provider(caller: Coordinator, new: NewProvider) -> ProviderView:
    """Register an education provider; one that is there already is returned as it is."""
    async with caller.begin() as session:
        row = await organisations.register_provider(session, **new.model_dump())
        return ProviderView.model_validate(row)


@router.get("/providers")
async def list_providers(caller: Reader, limit: Limit = 100, offset: Offset = 0) -> Listed[ProviderView]:
    """The stack's education providers."""
    shown = select(EducationProvider)
    return await page_of(caller, ProviderView, shown, EducationProvider.org_number, limit, offset)


@router.put("/schools/{school}")
async def put_school(
    caller: Coordinator, school: Annotated[Code, Path()], changes: SchoolChanges
) -> SchoolView:
    """Say what a school unit is called, whose it is and which school forms it has."""
    caller.acts_for(changes.administration)
    async with caller.begin() as session:
        row = await organisations.put_school(
            session,
            municipality=caller.municipality,
            code=school,
            about=said(changes, organisations.SchoolValues),
            administrations=caller.identity.administrations,
        )
        return SchoolView.model_validate(row)


@router.get("/schools")
async def list_schools(caller: Staff, limit: Limit = 500, offset: Offset = 0) -> Listed[SchoolView]:
    """The school units, with the references that rounds name them by."""
    shown = select(School).where(School.municipality == caller.municipality)
    return await page_of(caller, SchoolView, shown, School.code, limit, offset)


@router.put("/learning-centres/{centre}")
async def put_learning_centre(caller: Coordinator, centre: CentreCode, about: CentreName) -> CentreView:
    """Register a learning centre that lies in the municipality."""
    async with caller.begin() as session:
        row = await organisations.put_learning_centre(
            session, municipality=caller.municipality, code=centre, name=about.name
        )
        return CentreView.model_validate(row)


@router.get("/learning-centres")
async def list_learning_centres(caller: Reader, limit: Limit = 100, offset: Offset = 0) -> Listed[CentreView]:
    """The stack's learning centres."""
    return await page_of(caller, CentreView, select(LearningCentre), LearningCentre.code, limit, offset)


@router.post("/delegations", status_code=201)
async def delegate(caller: Coordinator, new: NewDelegation) -> DelegationView:
    """Let a learning centre place the learners of a school of one's own administration."""
    caller.acts_for(new.administration)
    async with caller.begin() as session:
        row = await organisations.delegate(session, municipality=caller.municipality, **new.model_dump())
        return DelegationView.model_validate(row)


@router.get("/delegations")
async def list_delegations(caller: Reader, limit: Limit = 100, offset: Offset = 0) -> Listed[DelegationView]:
    """What the municipality's schools have delegated; for a learning centre, what is delegated to it."""
    shown = select(Delegation).where(
        (Delegation.granted_by == caller.municipality) | (Delegation.centre == caller.municipality)
    )
    return await page_of(caller, DelegationView, shown, Delegation.delegation_id, limit, offset)


@router.post("/delegations/{delegation_id}/end")
async def end_delegation(caller: Coordinator, delegation_id: UUID) -> DelegationView:
    """Today is the last day of a delegation."""
    async with caller.begin() as session:
        row = await organisations.end_delegation(
            session,
            municipality=caller.municipality,
            delegation_id=delegation_id,
            administrations=caller.identity.administrations,
            on=datetime.now(UTC).date(),
        )
        return DelegationView.model_validate(row)


@router.post("/agreements", status_code=201)
async def agree_to_share(request: Request, caller: Coordinator, new: NewAgreement) -> AgreementView:
    """Record a signed sharing agreement that the municipality leads; the token must act for every one in
    it, but those whose registry is another stack's: that records it too."""
    elsewhere = set(new.municipalities) & request.app.state.neighbours
    if not set(new.municipalities) - elsewhere <= set(caller.identity.municipalities):
        raise Forbidden(
            "The token must act for every municipality in the agreement.",
            "Du måste ha behörighet för alla kommuner i avtalet.",
        )
    async with caller.begin() as session:
        row = await organisations.agree_to_share(
            session,
            lead=caller.municipality,
            municipalities=new.municipalities,
            elsewhere=elsewhere,
            placement_types=[t.value for t in new.placement_types],
            valid_from=new.valid_from,
            valid_to=new.valid_to,
        )
        return AgreementView.model_validate(row)


@router.post("/agreements/{agreement_id}/end")
async def end_sharing(caller: Coordinator, agreement_id: UUID) -> AgreementView:
    """Today is the last day of a sharing agreement; what is lent beyond it is recalled. A party whose
    registry is another stack's ends it there too."""
    async with caller.begin() as session:
        row = await organisations.end_sharing(
            session,
            municipality=caller.municipality,
            agreement_id=agreement_id,
            on=datetime.now(UTC).date(),
        )
        return AgreementView.model_validate(row)


@router.get("/agreements")
async def list_agreements(caller: Reader, limit: Limit = 100, offset: Offset = 0) -> Listed[AgreementView]:
    """The sharing agreements the municipality has signed."""
    shown = select(SharingAgreement).where(
        SharingAgreement.municipalities.any(caller.municipality)  # type: ignore[arg-type]
    )
    order = (SharingAgreement.valid_from, SharingAgreement.agreement_id)
    return await page_of(caller, AgreementView, shown, order, limit, offset)
