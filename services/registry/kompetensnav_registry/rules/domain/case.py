"""What the rules look at: a learner, a slot and what has been said, as far as it is known."""

from dataclasses import dataclass
from datetime import date, time

from kompetensnav_contracts.vocabulary import AgeClass, PlacementType
from kompetensnav_registry.rules.domain.terms import KeptDecision


@dataclass(frozen=True)
class Case:
    """What is known of one placement, asked for or under way. None (or an empty set) = not known or not said.

    Hours are hours; `break_after` is how long one works before the first break. Days are inclusive.
    """

    placement_type: str
    starts_on: date
    ends_on: date
    today: date
    age: int | None = None
    age_class: str | None = None
    # the slot
    hours_per_day: float | None = None
    hours_per_week: float | None = None
    starts_at: time | None = None
    ends_at: time | None = None
    break_minutes: int | None = None
    break_after: float | None = None
    weekdays: frozenset[int] = frozenset()
    hazards: frozenset[str] = frozenset()
    setting: str | None = None
    programmes: frozenset[str] = frozenset()
    study_years: frozenset[int] = frozenset()
    needs_licence: bool = False
    offers_needs: frozenset[str] = frozenset()
    supervisor_is_adult: bool | None = None
    # the learner and the request
    is_protected: bool = False
    is_automatic: bool = False
    programme: str | None = None
    study_year: int | None = None
    school_form: str | None = None
    needs: frozenset[str] = frozenset()
    school_hours_per_week: float | None = None
    is_school_week: bool | None = None
    max_travel_minutes: int | None = None
    decision: KeptDecision | None = None
    authority_answers: bool = False
    check_shown_on: date | None = None
    guardian_consents: bool | None = None
    declared: frozenset[str] = frozenset()

    @property
    def is_minor(self) -> bool:
        """Under 18."""
        return self.age_class in (AgeClass.YOUNGER_CHILD, AgeClass.OLDER_CHILD, AgeClass.YOUTH)

    @property
    def is_paid(self) -> bool:
        """Whether it is paid work (holiday practice is)."""
        return self.placement_type == PlacementType.HOLIDAY_PRACTICE

    @property
    def days(self) -> int:
        """Calendar days from the first to the last."""
        return (self.ends_on - self.starts_on).days + 1

    @property
    def weeks(self) -> float:
        """Its length in weeks."""
        return self.days / 7
