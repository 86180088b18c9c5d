"""The rows of the files that are imported, as their columns are read."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from kompetensnav_chassis.codes import (
    LAST,
    Administration,
    Code,
    Day,
    Email,
    Municipality,
    Name,
    Phone,
    PostalCode,
)
from kompetensnav_contracts.vocabulary import LanguageLevel, Need, PlacementType, Sharing
from kompetensnav_registry.ground.edges.numbers import identity_number, legal_person, personal_parts
from kompetensnav_registry.ground.edges.rows import Row
from kompetensnav_registry.rules.edges import Clock, Hazard, Hours, RequestTerms, Setting, SlotTerms


def _no_number(value: str) -> str:
    if any(part.what == "number" for part in personal_parts(value)):
        raise ValueError("a reference may not be a person's number (personnummer)")
    return value


Ref = Annotated[Name, Field(max_length=100), AfterValidator(_no_number)]

Occupation = Annotated[str, Field(pattern=r"^\d{4}$")]

OrgNumber = Annotated[str, AfterValidator(legal_person)]

Sector = Literal["private", "municipal", "regional", "state", "association"]


def _list(value: Any) -> Any:
    return [part.strip() for part in value.split(";") if part.strip()] if isinstance(value, str) else value


Many = BeforeValidator(_list)


def _valid_number(value: str) -> str:
    return identity_number(value).text


TERMS = (
    "hours_per_day",
    "starts_at",
    "ends_at",
    "hours_per_week",
    "break_minutes",
    "break_after",
    "hazards",
    "setting",
    "programmes",
    "study_years",
    "needs_licence",
)
"""Columns of a slot that the rules read."""

DAYS = ("born_on", "finishes_on")


class Period(Row):
    """First and last day."""

    starts_on: Day
    ends_on: Day

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "Period":
        if self.ends_on < self.starts_on:
            raise ValueError("ends_on is before starts_on")
        return self


class EmployerRow(Row):
    """A row of employers.csv."""

    KEYS = ("org_number",)

    org_number: OrgNumber
    name: Name
    sector: Sector = "private"


class WorkplaceRow(Row):
    """A row of workplaces.csv."""

    KEYS = ("ref",)

    ref: Ref
    org_number: OrgNumber
    name: Name
    locality: Code
    reception_capacity: Annotated[int, Field(ge=0, le=10_000)]
    contact_name: Name
    contact_email: Email
    contact_speaks: Literal["sv", "en"] = "sv"


class SlotRow(Period):
    """A row of slots.csv."""

    KEYS = ("ref",)

    ref: Ref
    workplace: Ref
    placement_type: PlacementType
    occupation: Occupation
    seats: Annotated[int, Field(ge=1, le=10_000)]
    min_language: LanguageLevel = LanguageLevel.NONE
    offers_needs: Annotated[list[Need], Many] = []
    shared_with: Sharing = Sharing.MUNICIPALITY
    named_municipalities: Annotated[list[Municipality], Many] = []
    administration: Administration | None = None
    weekdays: Annotated[list[Annotated[int, Field(ge=1, le=7)]], Many] = []
    hours_per_day: Hours | None = None
    starts_at: Clock | None = None
    ends_at: Clock | None = None
    hours_per_week: Annotated[float, Field(ge=0, le=80)] | None = None
    break_minutes: Annotated[int, Field(ge=0, le=240)] | None = None
    break_after: Hours | None = None
    hazards: Annotated[list[Hazard], Many] = []
    setting: Setting | None = None
    programmes: Annotated[list[Code], Many] = []
    study_years: Annotated[list[Annotated[int, Field(ge=0, le=13)]], Many] = []
    needs_licence: bool = False
    description: Annotated[str, Field(max_length=2000)] | None = None

    @property
    def terms(self) -> SlotTerms:
        """What the rules read, as far as the file has the columns."""
        return SlotTerms(**{name: getattr(self, name) for name in TERMS if name in self.model_fields_set})

    @model_validator(mode="after")
    def _kept_to_somebody(self) -> "SlotRow":
        if self.shared_with == Sharing.ADMINISTRATION and not self.administration:
            raise ValueError("name the administration it is kept to")
        return self


class LearnerRow(Row):
    """A row of learners.csv."""

    KEYS = ("administration", "ref")

    ref: Ref
    administration: Administration
    school: Code
    given_name: Annotated[Name, Field(max_length=100)]
    family_name: Annotated[Name, Field(max_length=100)]
    email: Email | None = None
    guardian_email: Email | None = None
    phone: Phone | None = None
    address: Name | None = None
    postal_code: PostalCode | None = None
    born_on: Annotated[date, Field(ge=date(1900, 1, 1), le=LAST)]
    programme: Code | None = None
    study_year: Annotated[int, Field(ge=0, le=13)] | None = None
    aims_at: Occupation | None = None
    finishes_on: Day | None = None
    locality: Code
    language: LanguageLevel = LanguageLevel.FLUENT
    speaks: Literal["sv", "en"] = "sv"
    identity_number: Annotated[str, AfterValidator(_valid_number)] | None = None
    security_marking: Literal["none", "confidentiality_marked", "protected_registration"] = "none"
    case_worker: Name | None = None

    @model_validator(mode="after")
    def _whole(self) -> "LearnerRow":
        if self.security_marking != "none" and not self.case_worker:
            raise ValueError("a protected learner has a named case worker (case_worker)")
        if self.identity_number and identity_number(self.identity_number).born_on != self.born_on:
            raise ValueError("born_on is another day than the number's")
        return self


class RequestRow(Period):
    """A row of requests.csv; wishes are ranked and separated by `;`.

    A wish is an occupation (`5321`) or a slot (`slot:REF`), if need be with the learner's preference and the
    employer's, 0 to 1: `slot:7=0.5/0.66`. A plus before it says that the learner would like to try
    something new: `+7111`.
    """

    KEYS = ("administration", "ref")

    ref: Ref
    learner: Ref
    administration: Administration
    placement_type: PlacementType
    wishes: Annotated[list[str], Many] = []
    needs: Annotated[list[Need], Many] = []
    max_travel_minutes: Annotated[int, Field(ge=0, le=600)] = 60
    in_school_weeks: bool | None = None

    @property
    def terms(self) -> RequestTerms:
        """What the rules read, as far as the file has the columns."""
        return RequestTerms(**self.model_dump(include={"in_school_weeks"} & self.model_fields_set))
