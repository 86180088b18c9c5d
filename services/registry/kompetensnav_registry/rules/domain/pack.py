"""The rule pack: rules as dated data, which of them hold on a day, and what changes from day to day."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal

Kind = Literal["H", "S", "C"]
"""Hard (refuses), soft (advises), or configurable by the municipality (refuses as configured)."""

When = Literal["request", "seat", "start"]
"""When a rule that decides here is asked: a request is opened, a seat given, a placement started."""

Decides = Literal["here", "ledger", "matching", "counted", "not yet"]
"""What goes by the rule: the registry refuses, its ledger does, matching proposes by it, it is counted and
shown; or nothing goes by it yet, and it is kept as dated data alone."""


@dataclass(frozen=True)
class Rule:
    """One rule from a day, to a day: whom it covers, what it says, and the numbers in it.

    `law` is where it comes from; `parameters` are what the function of the same id reads.
    """

    id: str
    kind: Kind
    decides: Decides
    when: tuple[When, ...]
    placement_types: frozenset[str]
    valid_from: date
    valid_to: date | None
    law: str
    sv: str
    en: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    own: frozenset[str] = frozenset()
    """Of a hard rule: the parameters that are the municipality's to decide all the same."""

    @property
    def configurable(self) -> frozenset[str]:
        """The parameters that a municipality may have numbers of its own for."""
        if self.decides == "not yet":
            return frozenset()
        return self.own if self.kind == "H" else frozenset(self.parameters)

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "Rule":
        """A rule from its data; raises KeyError for one that lacks something."""
        return cls(
            row["id"],
            row["kind"],
            row["decides"],
            tuple(row.get("when", ())),
            frozenset(row["placement_types"]),
            row["valid_from"],
            row.get("valid_to"),
            row["law"],
            row["sv"],
            row["en"],
            row.get("parameters", {}),
            frozenset(row.get("own", ())),
        )

    def holds(self, on: date) -> bool:
        """Whether it is in force on a day."""
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)

    @property
    def number(self) -> int:
        """The number in its id, to sort by."""
        return int(self.id[1:])


@dataclass(frozen=True)
class Setting:
    """A municipality's own numbers for a rule that it may configure, from a day."""

    rule: str
    valid_from: date
    valid_to: date | None
    parameters: Mapping[str, Any]
    switched_off: bool = False

    def holds(self, on: date) -> bool:
        """Whether it applies on a day."""
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)


@dataclass(frozen=True)
class Change:
    """A rule that is not the same on two days; `before` or `after` is None when it begins or ends."""

    id: str
    before: Rule | None
    after: Rule | None


def in_force(rules: Iterable[Rule], on: date, settings: Sequence[Setting] = ()) -> dict[str, Rule]:
    """Id -> the rule that holds on a day, with the municipality's own numbers in it; of two versions the
    later one. A configurable rule that the municipality has switched off is left out."""
    found: dict[str, Rule] = {}
    for rule in sorted(rules, key=lambda r: (r.number, r.valid_from)):
        if rule.holds(on):
            found[rule.id] = rule
    for setting in sorted(settings, key=lambda s: s.valid_from):
        rule = found.get(setting.rule)  # type: ignore[assignment]
        if rule is None or not setting.holds(on):
            continue
        if setting.switched_off and rule.kind != "H":
            del found[setting.rule]
        else:
            own = {n: value for n, value in setting.parameters.items() if n in rule.configurable}
            found[setting.rule] = replace(rule, parameters={**rule.parameters, **own})
    return found


def changes(rules: Sequence[Rule], today: date, on: date, settings: Sequence[Setting] = ()) -> list[Change]:
    """The rules that will be other on a day than they are today."""
    before, after = in_force(rules, today, settings), in_force(rules, on, settings)
    ids = sorted(before.keys() | after.keys(), key=lambda id: int(id[1:]))
    return [Change(id, before.get(id), after.get(id)) for id in ids if before.get(id) != after.get(id)]
