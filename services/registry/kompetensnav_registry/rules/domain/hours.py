"""Ages and working hours of minors: R3 to R9. Each answers True (permitted), False (refused) or None: it does
not apply, or too little is known.

Sources: AFS 2012:3 (minors' work; in the 2025 structure AFS 2023:2), directive 94/33/EC, and the provision
boards' own routines for prao.
"""

from collections.abc import Mapping
from datetime import time
from typing import Any

from kompetensnav_contracts.vocabulary import AgeClass
from kompetensnav_registry.rules.domain.case import Case

Parameters = Mapping[str, Any]


def old_enough(case: Case, p: Parameters) -> bool | None:
    """R3: a younger child (under 13) is not placed; the others each in their class."""
    if case.age_class is None:
        return None
    return case.age_class not in p["refused"]


def child_hours(case: Case, p: Parameters) -> bool | None:
    """R4: paid work of a child who has turned 13; fewer hours in a school week, rest at night and each week.
    Not for prao."""
    if not case.is_paid or case.age_class != AgeClass.OLDER_CHILD:
        return None
    if _has_no_rest(case, p):
        return False
    kind = "school_week" if _in_school_weeks(case, p) else "holiday"
    return _within(case, p[f"hours_per_day_{kind}"], p[f"hours_per_week_{kind}"], p["earliest"], p["latest"])


def youth_hours(case: Case, p: Parameters) -> bool | None:
    """R5: youth, 8 hours a day and 40 a week, 06-22 or 07-23, never between 00 and 05, with rest at night and
    each week."""
    if case.age_class != AgeClass.YOUTH:
        return None
    if _has_no_rest(case, p):
        return False
    spans = [_within(case, p["hours_per_day"], p["hours_per_week"], *span) for span in p["spans"]]
    return None if all(s is None for s in spans) else any(spans)


def has_a_break(case: Case, p: Parameters) -> bool | None:
    """R6: half an hour's break, at the latest after four and a half hours."""
    if not case.is_minor or case.hours_per_day is None:
        return None
    if case.hours_per_day <= p["after_hours"]:
        return True
    if case.break_minutes is None:
        return None
    after = case.break_after if case.break_after is not None else p["after_hours"]
    return bool(case.break_minutes >= p["minutes"] and after <= p["after_hours"])


def prao_hours(case: Case, p: Parameters) -> bool | None:
    """R7: prao has at most seven hours a day, on weekdays, between 06 and 20."""
    within = _within(case, p["hours_per_day"], None, p["earliest"], p["latest"])
    if case.weekdays and not case.weekdays <= set(p["weekdays"]):
        return False
    return True if within is None and case.weekdays else within


def with_school_hours(case: Case, p: Parameters) -> bool | None:
    """R8: hours in school the same week come off the hours at the workplace, one for one."""
    if case.school_hours_per_week is None or case.hours_per_week is None or not case.is_minor:
        return None
    return bool(case.hours_per_week + case.school_hours_per_week <= p["hours_per_week"])


def safe_tasks(case: Case, p: Parameters) -> bool | None:
    """R9: no minor does forbidden tasks, none below youth sells what has an age limit, and prao is light work
    only."""
    if case.age_class is None:
        return None
    if case.is_minor and case.hazards & set(p["forbidden_under_18"]):
        return False
    below_youth = case.age_class in (AgeClass.YOUNGER_CHILD, AgeClass.OLDER_CHILD)
    if below_youth and case.hazards & set(p["forbidden_below_youth"]):
        return False
    return not (case.placement_type == "prao" and case.hazards)


def _in_school_weeks(case: Case, p: Parameters) -> bool:
    """As it is said; else only a period within the summer is surely no school week."""
    if case.is_school_week is not None:
        return case.is_school_week
    first, last = max(p["summer"][0], p["summer_at_most"][0]), min(p["summer"][1], p["summer_at_most"][1])
    one_year = case.starts_on.year == case.ends_on.year
    return not (one_year and first <= f"{case.starts_on:%m-%d}" and f"{case.ends_on:%m-%d}" <= last)


def _has_no_rest(case: Case, p: Parameters) -> bool:
    """Whether the day is so long that the night's rest is too short, or the week has too few days off."""
    if len(case.weekdays) > p["days_a_week"]:
        return True
    if case.starts_at is None or case.ends_at is None:
        return False
    at_work = (case.ends_at.hour - case.starts_at.hour) * 60 + case.ends_at.minute - case.starts_at.minute
    return bool(at_work > (24 - p["rest_hours"]) * 60)


def _within(case: Case, per_day: float, per_week: float | None, earliest: str, latest: str) -> bool | None:
    known = False
    for hours, most in ((case.hours_per_day, per_day), (case.hours_per_week, per_week)):
        if hours is not None and most is not None:
            known = True
            if hours > most:
                return False
    if case.starts_at is not None and case.ends_at is not None:
        known = True
        if case.ends_at <= case.starts_at:  # through the night
            return False
        if case.starts_at < time.fromisoformat(earliest) or case.ends_at > time.fromisoformat(latest):
            return False
    return True if known else None
