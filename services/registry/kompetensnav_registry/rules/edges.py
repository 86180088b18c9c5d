"""What a slot and a request say for the rules to read: hours, hazards, decisions, consents."""

from collections.abc import Mapping
from datetime import date, time
from typing import Annotated, Literal, overload

from pydantic import BaseModel, Field

from kompetensnav_chassis.codes import Code, Day
from kompetensnav_registry.rules.domain.terms import KeptRequestTerms, KeptSlotTerms

Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]

Hazard = Literal[
    "asbestos", "diving", "cash_transport", "dangerous_chemicals", "explosives", "heavy_machines", "heights",
    "electrical", "lone_risky_work", "slaughter", "age_restricted_sales", "lone_work", "traffic",
]  # fmt: skip
"""Task hazards, after the annex of AFS 2012:3."""

Setting = Literal[
    "preschool", "compulsory_school", "after_school", "children_home", "children_disability", "other"
]
"""Where the tasks are, as the laws on background checks tell places apart."""

Hours = Annotated[float, Field(ge=0, le=24)]


class SlotTerms(BaseModel):
    """What the rules need to know of a slot. What is left out is not known, and no rule refuses on it."""

    hours_per_day: Hours | None = None
    hours_per_week: Annotated[float, Field(ge=0, le=80)] | None = None
    starts_at: Clock | None = None
    ends_at: Clock | None = None
    break_minutes: Annotated[int, Field(ge=0, le=240)] | None = None
    break_after: Hours | None = Field(None, description="Hours of work before the first break.")
    hazards: list[Hazard] = Field(default=[], max_length=20)
    setting: Setting | None = None
    programmes: list[Code] = Field(default=[], max_length=50, description="Programmes it takes; none = any.")
    study_years: list[Annotated[int, Field(ge=0, le=13)]] = Field(default=[], max_length=14)
    needs_licence: bool = Field(False, description="The tasks ask for a driving licence (B).")


class Decision(BaseModel):
    """A decision on work practice or work training (R19)."""

    by: Literal["af", "municipality"]
    decided_on: Day
    for_: Literal["practice", "skill_assessment"] = Field("practice", alias="for")
    exception: bool = Field(False, description="An exception from the lowest age is granted.")


class RequestTerms(BaseModel):
    """What the rules need to know of a request. What is left out is not known."""

    decision: Decision | None = None
    guardian_consents: bool | None = None
    school_hours_per_week: Annotated[float, Field(ge=0, le=80)] | None = None
    school_form: Annotated[str, Field(pattern=r"^[A-Z]{2,9}$")] | None = Field(
        None, description="As in SS 12000. When left out: the school's, if it has one only."
    )
    in_school_weeks: bool | None = Field(
        None,
        description="Whether the learner goes to school in those weeks (R4). Left out: not in the summer.",
    )


@overload
def kept(terms: SlotTerms) -> KeptSlotTerms: ...
@overload
def kept(terms: RequestTerms) -> KeptRequestTerms: ...
def kept(terms: BaseModel) -> object:
    """What was said, as the row keeps it."""
    return terms.model_dump(mode="json", by_alias=True, exclude_defaults=True)


@overload
def merged(before: KeptSlotTerms, said: SlotTerms) -> KeptSlotTerms: ...
@overload
def merged(before: KeptRequestTerms, said: RequestTerms) -> KeptRequestTerms: ...
def merged(before: Mapping[str, object], said: SlotTerms | RequestTerms) -> object:
    """What was said before, and what is said now in its place."""
    now = said.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return kept(type(said).model_validate({**before, **now}))


def clock(value: str | None) -> time | None:
    """A time of day from its text."""
    return time.fromisoformat(value) if value else None


def day(value: str | None) -> date | None:
    """A day from its text."""
    return date.fromisoformat(value) if value else None
