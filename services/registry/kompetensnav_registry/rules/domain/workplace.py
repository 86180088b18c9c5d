"""The workplace, its supervisors, and what the slot offers: R10, R11, R16, R20, R22, R29."""

from collections.abc import Mapping
from typing import Any

from kompetensnav_registry.rules.domain.case import Case

Parameters = Mapping[str, Any]


def is_assessed(case: Case, p: Parameters) -> bool | None:
    """R10: before it starts the workplace has assessed the risks and has a written routine; whoever starts a
    placement does so for the provider, who thereby approves the workplace for this learner."""
    return "R10" in case.declared


def has_a_supervisor(case: Case, p: Parameters) -> bool | None:
    """R11: a named supervisor, 18 or older, there every day."""
    if case.supervisor_is_adult is not None:
        return case.supervisor_is_adult
    return "R11" in case.declared


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


def by_hand_when_protected(case: Case, p: Parameters) -> bool | None:
    """R22: a protected learner is never placed automatically."""
    return not (case.is_protected and case.is_automatic)


def meets_the_needs(case: Case, p: Parameters) -> bool | None:
    """R29: what a learner needs (marked as required), the workplace offers."""
    return case.needs <= case.offers_needs if case.needs else None
