"""Duties, decisions, checks, consents, lengths and times: R1, R2, R14, R15, R17 to R19, R23 to R26, R31, R33
to R35."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from kompetensnav_registry.domain.rules.case import Case

Parameters = Mapping[str, Any]


def prao_is_offered(case: Case, p: Parameters) -> bool | None:
    """R1: at least ten days of prao in all, from a grade on, in the special school a later one (Skollagen 10
    kap 8 a §, 12 kap)."""
    if case.days_in_all is None:
        return None
    from_grade = p["from_grade_special" if case.school_form == "SP" else "from_grade"]
    if case.study_year is not None and case.study_year < from_grade:
        return False
    return bool(case.days_in_all >= p["days"])


def everyone_has_a_place(case: Case, p: Parameters) -> bool | None:
    """R2: the provider, not the pupil, sees that everyone has a place before it starts."""
    if case.without_a_place is None:
        return None
    return case.without_a_place == 0 or case.today < case.starts_on


def apl_is_long_enough(case: Case, p: Parameters) -> bool | None:
    """R14: at least so many weeks on a programme, a week having so many hours of guaranteed teaching
    (Gymnasieförordningen 4 kap 12 §); a lärling is at the workplace for more than half."""
    if case.hours_in_all is None:
        return None
    if case.placement_type == "apprenticeship":
        return None if not case.hours_of_education else case.hours_in_all > case.hours_of_education / 2
    kind = "adapted" if case.school_form == "GYS" else "vocational"
    return bool(case.hours_in_all >= p[f"{kind}_weeks"] * p[f"{kind}_hours"])


def adult_share(case: Case, p: Parameters) -> bool | None:
    """R15: in adult education at least a share of the time is at the workplace."""
    if case.school_form not in p["school_forms"] or not case.hours_of_education or case.hours_in_all is None:
        return None
    return bool(case.hours_in_all >= p["share"][case.placement_type] * case.hours_of_education)


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
    if decision["by"] != "af":
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


def gets_refund(case: Case, p: Parameters) -> bool | None:
    """R25: travel is refunded beyond so many kilometres; True = it is."""
    return None if case.distance_km is None else case.distance_km > p["km"]


def wishes_are_ranked(case: Case, p: Parameters) -> bool | None:
    """R26: wishes are ranked, so many at most, each weighing no more than the one before; and the lottery's
    seed is published with the round."""
    if case.seed_published is False or case.wishes > p["most"]:
        return False
    falling = all(a >= b for a, b in zip(case.preferences, case.preferences[1:], strict=False))
    return falling and all(0 < weight <= 1 for weight in case.preferences)


def nobody_by_sex(case: Case, p: Parameters) -> bool | None:
    """R31: nobody is chosen, refused or ranked by sex; only the learner's own wish for something new weighs
    (Diskrimineringslagen 2 kap 6 §)."""
    return not case.weighed & set(p["never"])


def priority_first(case: Case, p: Parameters) -> bool | None:
    """R33: in holiday practice those in a group with priority come before the lottery: refused is someone
    without priority while others with it still wait."""
    if case.without_a_place is None:
        return None
    return bool(case.priority_groups & set(p["groups"])) or case.without_a_place == 0


def in_good_time(case: Case, p: Parameters) -> bool | None:
    """R34: applied about six weeks before, confirmed three, the learner in touch one week before."""
    days = ((case.asked_on, "applied"), (case.confirmed_on, "confirmed"), (case.contact_on, "contact"))
    known = [(day, p[f"{name}_weeks"]) for day, name in days if day is not None]
    if not known:
        return None
    return all(day + timedelta(weeks=weeks) <= case.starts_on for day, weeks in known)


def fits_the_period(case: Case, p: Parameters) -> bool | None:
    """R35: a holiday period has three weeks; prao goes in the weeks set for the school, if any are."""
    if case.placement_type == "holiday_practice":
        return bool(case.weeks <= p["holiday_weeks"])
    if case.placement_type == "prao" and case.period_weeks:
        monday = case.starts_on - timedelta(days=case.starts_on.weekday())
        return monday in case.period_weeks
    return None
