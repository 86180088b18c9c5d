"""The rule pack, and a municipality's own numbers."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import Problem
from kompetensnav_registry.rules.domain.answers import AnswerRule
from kompetensnav_registry.rules.domain.pack import Rule, Setting, in_force
from kompetensnav_registry.rules.edges import Clock
from kompetensnav_registry.rules.tables import RuleSetting

MOST = 10_000
"""No number of a rule is as large."""


class RuleBroken(Problem):
    """One or more rules refuse it; each is named."""

    type, status = "rule-broken", 409

    def __init__(self, rules: Sequence[Rule]) -> None:
        names = ", ".join(rule.id for rule in rules)
        super().__init__(
            f"It breaks {names}: {' '.join(rule.en for rule in rules)}",
            f"Det bryter mot {names}: {' '.join(rule.sv for rule in rules)}",
            errors=[{"rule": r.id, "law": r.law, "reason": r.en, "reason_sv": r.sv} for r in rules],
        )
        self.rules = rules


@cache
def pack() -> tuple[Rule, ...]:
    """Every version of every rule, from the package's data."""
    text = (files("kompetensnav_registry") / "data/rules.toml").read_text()
    return tuple(Rule.read(row) for row in tomllib.loads(text)["rule"])


@lru_cache(maxsize=1_000)
def standing(on: date) -> tuple[Rule, ...]:
    """The rules in force on a day where a municipality has no numbers of its own."""
    return tuple(in_force(pack(), on).values())


async def settings_of(session: Session, municipalities: Iterable[str]) -> dict[str, list[Setting]]:
    """Municipality -> its own numbers."""
    rows = await session.scalars(
        select(RuleSetting)
        .where(RuleSetting.municipality.in_(set(municipalities)))
        .order_by(RuleSetting.rule, RuleSetting.valid_from)
    )
    found: dict[str, list[Setting]] = {}
    for row in rows:
        setting = Setting(row.rule, row.valid_from, row.valid_to, row.parameters, row.switched_off)
        found.setdefault(row.municipality, []).append(setting)
    return found


@cache
def answer_rules() -> tuple[AnswerRule, ...]:
    """The dated rules of who answers, from the package's data."""
    text = (files("kompetensnav_registry") / "data/answers.toml").read_text()
    return tuple(AnswerRule.read(row) for row in tomllib.loads(text)["rule"])


async def configure(
    session: Session,
    *,
    municipality: str,
    rule_id: str,
    valid_from: date,
    valid_to: date | None,
    parameters: Mapping[str, Any],
    switched_off: bool,
    decided_by: str,
) -> RuleSetting:
    """A municipality's own numbers for a rule. Raises Problem for one that may not be configured, or a value
    the rule does not have or cannot read."""
    versions = [rule for rule in pack() if rule.id == rule_id]
    if not versions:
        raise Problem(f"There is no rule {rule_id}.", f"Det finns ingen regel {rule_id}.")
    own = {name for rule in versions for name in rule.configurable}
    if versions[0].decides == "not yet":
        raise Problem(
            f"Nothing is decided by {rule_id} yet: it has no numbers to set.",
            f"Inget avgörs ännu av {rule_id}: den har inga tal att ställa in.",
        )
    if versions[0].kind == "H" and (switched_off or not own):
        raise Problem(f"{rule_id} is law and is not configured.", f"{rule_id} är lag och ställs inte in.")
    unknown = parameters.keys() - own
    wrong = [
        name
        for name, value in parameters.items()
        for rule in versions
        if name in rule.parameters and not _fits(rule, name, value)
    ]
    if unknown or wrong:
        names = ", ".join(sorted({*unknown, *wrong}))
        raise Problem(f"{rule_id} does not take: {names}.", f"{rule_id} tar inte: {names}.")
    row = await session.get(RuleSetting, (municipality, rule_id, valid_from), with_for_update=True)
    if row is None:
        row = RuleSetting(municipality=municipality, rule=rule_id, valid_from=valid_from)
        session.add(row)
    row.valid_to, row.parameters, row.switched_off = valid_to, dict(parameters), switched_off
    row.decided_by = decided_by
    return row


def _fits(rule: Rule, name: str, value: Any) -> bool:
    """Whether a value may stand for a parameter: of its kind, and within its bounds where it has any."""
    most = rule.parameters.get(f"{name}_at_most")
    alike = _alike(rule.parameters[name], value)
    return alike and (most is None or most[0] <= value[0] <= value[1] <= most[1])


_CLOCK = TypeAdapter[str](Clock)


def _alike(own: Any, given: Any) -> bool:
    """Whether a value is of the kind that the rule reads: a number, a time of day, a list of such."""
    numbers = (int, float)
    if isinstance(own, numbers) and not isinstance(own, bool):
        return isinstance(given, numbers) and not isinstance(given, bool) and 0 <= given <= MOST
    if isinstance(own, list):
        alike = isinstance(given, list) and all(_alike(own[0], each) for each in given)
        is_period = _is_day(own[0])
        return alike and (not is_period or (len(given) == len(own) and given == sorted(given)))
    if _is_day(own):
        return _is_day(given)
    if _is_clock(own):
        return _is_clock(given)
    return type(own) is type(given)


def _is_day(value: Any) -> bool:
    """Whether it is a day of any year, `MM-DD`."""
    if not (isinstance(value, str) and re.fullmatch(r"[01][0-9]-[0-3][0-9]", value)):
        return False
    try:
        return bool(date.fromisoformat(f"2024-{value}"))
    except ValueError:
        return False


def _is_clock(value: Any) -> bool:
    try:
        _CLOCK.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True
