"""Workplaces, contacts, supervisors and how many learners are received, over HTTP."""

from datetime import date
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, model_validator
from sqlalchemy import select

from kompetensnav_chassis.codes import Administration, Code, Day, Email, Name, Phone, PostalCode
from kompetensnav_chassis.paging import Limit, Listed, Offset
from kompetensnav_registry.actors.actions import workplaces
from kompetensnav_registry.actors.domain.values import ContactValues, SupervisorValues, WorkplaceValues
from kompetensnav_registry.ground.api.views import Coordinator, Reader, Seen, Staff, View, page_of, said
from kompetensnav_registry.ledger.actions import places
from kompetensnav_registry.ledger.tables.workplaces import Workplace

router = APIRouter(prefix="/{municipality}")

Speaks = Literal["sv", "en"]

Cfar = Annotated[str, Field(pattern=r"^\d{8}$", description="SCB's number of the workplace.")]

Capacity = Annotated[int, Field(ge=0, le=10_000, description="Learners per week over all placement types.")]

Latitude = Annotated[float, Field(ge=55, le=70, description="WGS 84, degrees.")]

Longitude = Annotated[float, Field(ge=10, le=25, description="WGS 84, degrees.")]


class NewWorkplace(BaseModel):
    """A workplace to register."""

    employer_id: UUID
    name: Name
    locality: Code
    reception_capacity: Capacity
    cfar: Cfar | None = None
    address: Name | None = None
    postal_code: PostalCode | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    contact_name: Name
    contact_email: Email
    contact_speaks: Speaks = "sv"
    contact_phone: Phone | None = None

    @property
    def contact(self) -> ContactValues:
        """Whom to write to."""
        return ContactValues(
            name=self.contact_name,
            email=self.contact_email,
            speaks=self.contact_speaks,
            phone=self.contact_phone,
        )


class WorkplaceChanges(Seen):
    """What to correct; what is left out stays."""

    name: Name | None = None
    locality: Code | None = None
    reception_capacity: Capacity | None = None
    cfar: Cfar | None = None
    address: Name | None = None
    postal_code: PostalCode | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None


class WorkplaceView(View):
    """A workplace. Where a sole trader's lies is not shown: it may be a home."""

    workplace_id: UUID
    employer_id: UUID
    ref: str | None
    name: str
    locality: str
    reception_capacity: int
    cfar: str | None
    address: str | None
    postal_code: str | None
    latitude: float | None
    longitude: float | None
    revision: int


class ReceivedWeek(BaseModel):
    """A week: how many learners it receives; none given = as usual again."""

    week: Day = Field(description="Its Monday.")
    learners: int | None = Field(ge=0, le=10_000)


class WeekView(BaseModel):
    """A week over all placement types, administrations and municipalities; never whose the seats are."""

    week: date
    receives: int
    occupied: int
    left: int


class NewContact(BaseModel):
    """Someone to write to."""

    name: Name
    email: Email
    phone: Phone | None = None
    title: Name | None = Field(None, max_length=100)
    speaks: Speaks = "sv"
    is_main: bool = False


class NewCoordinator(BaseModel):
    """Whom the municipality's digests go to."""

    name: Name
    email: Email
    speaks: Speaks = "sv"


class OneMoreCoordinator(NewContact):
    """A coordinator of the municipality, or of one administration."""

    administration: Administration | None = None


class ContactView(View):
    """A contact."""

    contact_id: UUID
    name: str
    email: str
    phone: str | None
    title: str | None
    administration: str | None
    speaks: str
    is_main: bool


class Person(BaseModel):
    """What is known of a supervisor."""

    email: Email | None = None
    phone: Phone | None = None
    in_the_tasks_since: Day | None = None
    trained_by: Name | None = Field(None, description="Who gave the supervisor training.")
    trained_on: Day | None = None
    left_on: Day | None = None


class NewSupervisor(Person):
    """A named supervisor."""

    name: Name
    is_adult: bool = Field(description="18 or older.")
    most_at_once: int = Field(2, ge=1, le=50, description="Learners at once, over all placement types (R12).")
    languages: list[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]] = Field(
        default=[], max_length=20, description="ISO 639."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.trained_by is None) != (self.trained_on is None):
            raise ValueError("supervisor training has both an issuer and a day")
        return self


class SupervisorChanges(Seen, Person):
    """What to correct; what is left out stays."""

    name: Name | None = None
    is_adult: bool | None = None
    most_at_once: int | None = Field(None, ge=1, le=50)
    languages: list[str] | None = None


class SupervisorView(View):
    """A supervisor, and how busy."""

    supervisor_id: UUID
    workplace_id: UUID
    name: str
    email: str | None
    phone: str | None
    is_adult: bool
    in_the_tasks_since: date | None
    trained_by: str | None
    trained_on: date | None
    most_at_once: int
    languages: list[str]
    left_on: date | None
    revision: int
    busiest_week: int = Field(0, description="The most learners in any week, now or later.")


@router.post("/workplaces", status_code=201)
async def register_workplace(caller: Coordinator, new: NewWorkplace) -> WorkplaceView:
    """Register a workplace with its contact."""
    apart = ("contact_name", "contact_email", "contact_speaks", "contact_phone", "employer_id")
    about = said(new, WorkplaceValues, *apart)
    async with caller.begin() as session:
        row = await workplaces.register_workplace(
            session,
            municipality=caller.municipality,
            employer_id=new.employer_id,
            contact=new.contact,
            about=about,
        )
        return WorkplaceView.model_validate(row)


@router.get("/workplaces")
async def list_workplaces(caller: Reader, limit: Limit = 100, offset: Offset = 0) -> Listed[WorkplaceView]:
    """The municipality's workplaces, by name."""
    shown = select(Workplace).where(Workplace.municipality == caller.municipality)
    order = (Workplace.name, Workplace.workplace_id)
    return await page_of(caller, WorkplaceView, shown, order, limit, offset)


@router.get("/workplaces/{workplace_id}")
async def show_workplace(caller: Reader, workplace_id: UUID) -> WorkplaceView:
    """One workplace."""
    async with caller.begin() as session:
        row = await places.find_workplace(
            session, municipality=caller.municipality, workplace_id=workplace_id
        )
        return WorkplaceView.model_validate(row)


@router.patch("/workplaces/{workplace_id}")
async def change_workplace(
    caller: Coordinator, workplace_id: UUID, changes: WorkplaceChanges
) -> WorkplaceView:
    """Correct a workplace."""
    async with caller.begin() as session:
        row = await workplaces.change_workplace(
            session,
            municipality=caller.municipality,
            workplace_id=workplace_id,
            seen=changes.revision,
            changes=changes.given(WorkplaceValues),
        )
        return WorkplaceView.model_validate(row)


@router.get("/workplaces/{workplace_id}/reception")
async def show_reception(
    caller: Reader,
    workplace_id: UUID,
    starts_on: Annotated[Day, Query()],
    ends_on: Annotated[Day, Query()],
) -> Listed[WeekView]:
    """How many learners the workplace receives and has, week by week, over all placement types; at most two
    years."""
    async with caller.begin() as session:
        rows = await workplaces.reception(
            session,
            municipality=caller.municipality,
            workplace_id=workplace_id,
            starts_on=starts_on,
            ends_on=min(ends_on, starts_on.replace(year=starts_on.year + 2, day=1)),
        )
    items = [
        WeekView(week=week, receives=receives, occupied=held, left=max(0, receives - held))
        for week, receives, held in rows
    ]
    return Listed(items=items, total=len(items))


@router.put("/workplaces/{workplace_id}/reception", status_code=204)
async def set_reception(
    caller: Coordinator, workplace_id: UUID, weeks: Annotated[list[ReceivedWeek], Field(max_length=200)]
) -> None:
    """Say how many learners the workplace receives in certain weeks. Refused when more are held already."""
    async with caller.begin() as session:
        await workplaces.set_reception(
            session,
            municipality=caller.municipality,
            workplace_id=workplace_id,
            weeks={w.week: w.learners for w in weeks},
        )


@router.post("/workplaces/{workplace_id}/contacts", status_code=201)
async def add_contact(caller: Coordinator, workplace_id: UUID, new: NewContact) -> ContactView:
    """Someone more to write to at a workplace."""
    async with caller.begin() as session:
        row = await workplaces.add_contact(
            session,
            municipality=caller.municipality,
            role="employer",
            workplace_id=workplace_id,
            is_main=new.is_main,
            person=said(new, ContactValues, "is_main"),
        )
        return ContactView.model_validate(row)


@router.get("/workplaces/{workplace_id}/contacts")
async def list_contacts(caller: Staff, workplace_id: UUID) -> Listed[ContactView]:
    """Whom to write to at a workplace; the main one, who is written to, first."""
    async with caller.begin() as session:
        rows = await workplaces.list_contacts(
            session, municipality=caller.municipality, role="employer", workplace_id=workplace_id
        )
        return Listed(items=[ContactView.model_validate(r) for r in rows], total=len(rows))


@router.delete("/contacts/{contact_id}", status_code=204)
async def remove_contact(caller: Coordinator, contact_id: UUID) -> None:
    """Forget a contact."""
    async with caller.begin() as session:
        await workplaces.remove_contact(session, municipality=caller.municipality, contact_id=contact_id)


@router.put("/coordinator", status_code=204)
async def name_coordinator(caller: Coordinator, new: NewCoordinator) -> None:
    """Say whom the municipality's digests go to; the one before stays as one of its coordinators."""
    async with caller.begin() as session:
        await workplaces.name_coordinator(session, municipality=caller.municipality, **new.model_dump())


@router.post("/coordinators", status_code=201)
async def add_coordinator(caller: Coordinator, new: OneMoreCoordinator) -> ContactView:
    """One more coordinator of the municipality, or of one of its administrations."""
    if new.administration:
        caller.acts_for(new.administration)
    async with caller.begin() as session:
        row = await workplaces.add_contact(
            session,
            municipality=caller.municipality,
            role="coordinator",
            workplace_id=None,
            is_main=new.is_main,
            person=said(new, ContactValues, "is_main"),
        )
        return ContactView.model_validate(row)


@router.get("/coordinators")
async def list_coordinators(caller: Staff) -> Listed[ContactView]:
    """The municipality's coordinators; the one whom digests go to first."""
    async with caller.begin() as session:
        rows = await workplaces.list_contacts(
            session, municipality=caller.municipality, role="coordinator", workplace_id=None
        )
        return Listed(items=[ContactView.model_validate(r) for r in rows], total=len(rows))


@router.post("/workplaces/{workplace_id}/supervisors", status_code=201)
async def add_supervisor(caller: Coordinator, workplace_id: UUID, new: NewSupervisor) -> SupervisorView:
    """A named supervisor of the workplace."""
    async with caller.begin() as session:
        row = await workplaces.add_supervisor(
            session,
            municipality=caller.municipality,
            workplace_id=workplace_id,
            person=said(new, SupervisorValues),
        )
        return SupervisorView.model_validate(row)


@router.get("/workplaces/{workplace_id}/supervisors")
async def list_supervisors(caller: Staff, workplace_id: UUID) -> Listed[SupervisorView]:
    """The supervisors of a workplace, and how busy they are."""
    async with caller.begin() as session:
        rows = await workplaces.supervisors_of(
            session, municipality=caller.municipality, workplace_id=workplace_id
        )
        items = [
            SupervisorView.model_validate(row).model_copy(update={"busiest_week": load}) for row, load in rows
        ]
        return Listed(items=items, total=len(items))


@router.patch("/supervisors/{supervisor_id}")
async def change_supervisor(
    caller: Coordinator, supervisor_id: UUID, changes: SupervisorChanges
) -> SupervisorView:
    """Correct a supervisor. Refused when more learners are held than the supervisor would take."""
    async with caller.begin() as session:
        row = await workplaces.change_supervisor(
            session,
            municipality=caller.municipality,
            supervisor_id=supervisor_id,
            seen=changes.revision,
            changes=changes.given(SupervisorValues),
        )
        return SupervisorView.model_validate(row)
