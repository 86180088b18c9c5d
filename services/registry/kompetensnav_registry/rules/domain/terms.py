"""What a slot and a request say for the rules to read, as rows keep it: what is left out is not known."""

from typing_extensions import TypedDict

KeptDecision = TypedDict(
    "KeptDecision", {"by": str, "decided_on": str, "for": str, "exception": bool}, total=False
)
"""A decision on work practice or work training (R19); `decided_on` is YYYY-MM-DD."""


class KeptSlotTerms(TypedDict, total=False):
    """Of a slot; times of day are HH:MM."""

    hours_per_day: float
    hours_per_week: float
    starts_at: str
    ends_at: str
    break_minutes: int
    break_after: float
    hazards: list[str]
    setting: str
    programmes: list[str]
    study_years: list[int]
    needs_licence: bool


class KeptRequestTerms(TypedDict, total=False):
    """Of a request."""

    decision: KeptDecision
    guardian_consents: bool
    school_hours_per_week: float
    school_form: str
    in_school_weeks: bool
