"""The workplace, its supervisors and the ledger: R10 to R13, R16, R20 to R22, R27 to R30, R32."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from kompetensnav_registry.domain.rules.case import Case

Parameters = Mapping[str, Any]


def is_assessed(case: Case, p: Parameters) -> bool | None:
    """R10: before it starts the workplace has assessed the risks and has a written routine, and the provider
    has approved it for this learner: whoever starts a placement does so for the provider."""
    return "R10" in case.declared and case.provider_approved is not False


def has_a_supervisor(case: Case, p: Parameters) -> bool | None:
    """R11: a named supervisor, 18 or older, there every day."""
    if case.supervisor_is_adult is not None:
        return case.supervisor_is_adult
    return "R11" in case.declared


def knows_the_tasks(case: Case, p: Parameters) -> bool | None:
    """R11, as advice: the supervisor should have a year in the tasks."""
    if case.supervisor_since is None:
        return None
    return case.supervisor_since + timedelta(days=365 * p["years"]) <= case.starts_on


def supervisor_has_time(case: Case, p: Parameters) -> bool | None:
    """R12: no more learners at once than a supervisor takes."""
    if case.supervisor_is_adult is None and case.supervisor_takes is None:
        return None
    most = case.supervisor_takes if case.supervisor_takes is not None else p["at_once"]
    return bool(case.with_supervisor < most)


def has_room(case: Case, p: Parameters) -> bool | None:
    """R13: no more than the slot's seats, and over all forms no more than the workplace receives a week."""
    if case.seats is None or case.receives is None:
        return None
    return case.in_slot < case.seats and case.in_week < case.receives


def fits_the_programme(case: Case, p: Parameters) -> bool | None:
    """R16: the slot says which programmes and years it takes."""
    if case.programmes and case.programme is not None and case.programme not in case.programmes:
        return False
    if case.study_years and case.study_year is not None and case.study_year not in case.study_years:
        return False
    known = (case.programmes and case.programme) or (case.study_years and case.study_year is not None)
    return True if known else None


def replaces_nobody(case: Case, p: Parameters) -> bool | None:
    """R20: the employer has declared that the learner replaces no staff."""
    return "R20" in case.declared


def is_free(case: Case, p: Parameters) -> bool | None:
    """R21: no two placements at once, but for split weeks on different days."""
    return not case.is_busy


def by_hand_when_protected(case: Case, p: Parameters) -> bool | None:
    """R22: a protected learner is never placed automatically."""
    return not (case.is_protected and case.is_automatic)


def breadth(case: Case, p: Parameters) -> bool | None:
    """R27: in prao not the same employer twice; in APL the same one is welcome."""
    if case.same_employer_before is None or case.placement_type not in p["new_employer_in"]:
        return None
    return not case.same_employer_before


def knows_the_language(case: Case, p: Parameters) -> bool | None:
    """R28: the learner has the least level of Swedish that the slot asks for."""
    return None if case.language is None else case.language >= case.min_language


def meets_the_needs(case: Case, p: Parameters) -> bool | None:
    """R29: what a learner needs (marked as required), the workplace offers."""
    return case.needs <= case.offers_needs if case.needs else None


def keeps_study_days_free(case: Case, p: Parameters) -> bool | None:
    """R30: days for study stay free."""
    if not case.study_days:
        return None
    return not (case.weekdays & case.study_days) if case.weekdays else len(case.study_days) == 0


def asks_fairly(case: Case, p: Parameters) -> bool | None:
    """R32: employers are asked evenly; not more often a term than this."""
    return bool(case.asked_this_term <= p["times_a_term"])
