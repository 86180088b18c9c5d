"""Checks, decisions, consents, journeys and periods: R17 to R19, R23, R24, R35."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from kompetensnav_registry.rules.domain.case import Case

Parameters = Mapping[str, Any]


def check_is_needed(case: Case, p: Parameters) -> bool:
    """Whether a background check must be shown, by placement type, school form and setting (R17). A minor
    whose school form is not known is taken to go to a school for the young."""

    def is_caught(school_forms: Collection[str]) -> bool:
        return case.school_form in school_forms if case.school_form else not case.is_minor

    return any(
        case.placement_type in row["placement_types"]
        and case.setting in row["settings"]
        and ("school_forms" not in row or is_caught(row["school_forms"]))
        for row in p["needed"]
    )


def _is_shown(case: Case, p: Parameters) -> bool:
    oldest = case.starts_on - timedelta(days=p["days_old"])
    return case.check_shown_on is not None and case.check_shown_on >= oldest


def is_checked(case: Case, p: Parameters) -> bool | None:
    """R17: who must show an extract has shown one, not older than a year, before it starts."""
    return _is_shown(case, p) if check_is_needed(case, p) else None


def check_can_come_in_time(case: Case, p: Parameters) -> bool | None:
    """R18: an extract takes about two weeks; a start sooner than that is not offered without one that will
    still do (R17)."""
    if not check_is_needed(case, p) or _is_shown(case, p):
        return None
    return case.today + timedelta(days=p["days"]) <= case.starts_on


def is_decided(case: Case, p: Parameters) -> bool | None:
    """R19: work practice and work training are by decision: of Arbetsförmedlingen for six months at most,
    normally from the age of 25, a skill assessment a day to three weeks; or of the municipality, by its own
    rules."""
    decision = case.decision
    if decision is None:
        return case.authority_answers
    if decision.get("by") != "af":
        most = p["municipality_days"]
        return most is None or case.days <= most
    if decision.get("for") == "skill_assessment":
        return bool(p["assessment_days"][0] <= case.days <= p["assessment_days"][1])
    old_enough = case.age is None or case.age >= p["from_age"] or bool(decision.get("exception"))
    return bool(case.days <= p["days"] and old_enough)


def guardian_agrees(case: Case, p: Parameters) -> bool | None:
    """R23: a minor's guardian has agreed, where the placement type asks for it."""
    if not case.is_minor or case.placement_type not in p["asked_in"]:
        return None
    return case.guardian_consents


def can_travel(case: Case, p: Parameters) -> bool | None:
    """R24: no longer one way than this by public transport; driving takes 18 years."""
    if case.needs_licence and case.age is not None and case.age < p["licence_age"]:
        return False
    if case.max_travel_minutes is None or case.age_class is None:
        return None
    return bool(case.max_travel_minutes <= p["minutes_minor" if case.is_minor else "minutes"])


def fits_the_period(case: Case, p: Parameters) -> bool | None:
    """R35: a holiday period has so many weeks at most."""
    return bool(case.weeks <= p["holiday_weeks"])
