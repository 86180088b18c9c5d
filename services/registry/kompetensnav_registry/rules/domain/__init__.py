"""The rule pack of placements, R1 to R35: dated data (`data/rules.toml`), and a small function for each that
the registry decides by."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kompetensnav_registry.rules.domain import hours, law, workplace
from kompetensnav_registry.rules.domain.case import Case
from kompetensnav_registry.rules.domain.pack import Rule, When

Check = Callable[[Case, Mapping[str, Any]], bool | None]

CHECKS: dict[str, Check] = {
    "R3": hours.old_enough,
    "R4": hours.child_hours,
    "R5": hours.youth_hours,
    "R6": hours.has_a_break,
    "R7": hours.prao_hours,
    "R8": hours.with_school_hours,
    "R9": hours.safe_tasks,
    "R10": workplace.is_assessed,
    "R11": workplace.has_a_supervisor,
    "R16": workplace.fits_the_programme,
    "R17": law.is_checked,
    "R18": law.check_can_come_in_time,
    "R19": law.is_decided,
    "R20": workplace.replaces_nobody,
    "R22": workplace.by_hand_when_protected,
    "R23": law.guardian_agrees,
    "R24": law.can_travel,
    "R29": workplace.meets_the_needs,
    "R35": law.fits_the_period,
}
"""Id -> its function: True (permitted), False (refused), None (does not apply, or too little is known)."""


@dataclass(frozen=True)
class Verdict:
    """What a rule says of a case."""

    rule: Rule
    permits: bool | None


def verdicts(case: Case, rules: Iterable[Rule]) -> list[Verdict]:
    """What each rule that covers the placement type says, in order."""
    return [
        Verdict(rule, CHECKS[rule.id](case, rule.parameters))
        for rule in sorted(rules, key=lambda r: r.number)
        if rule.decides == "here" and case.placement_type in rule.placement_types
    ]


def broken(case: Case, rules: Iterable[Rule], *when: When) -> list[Rule]:
    """The rules that refuse the case at these moments."""
    asked = [rule for rule in rules if set(rule.when) & set(when)]
    return [v.rule for v in verdicts(case, asked) if v.permits is False]
