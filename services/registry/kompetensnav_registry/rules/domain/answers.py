"""Who answers an offer, who is told, and within how long: dated rules."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from kompetensnav_contracts.vocabulary import AgeClass, Party


@dataclass(frozen=True)
class AnswerRule:
    """Who must say yes to an offer, who is only told, and how long they have."""

    placement_types: frozenset[str]
    valid_from: date
    must_answer: tuple[Party, ...]
    are_told: tuple[Party, ...]
    days_to_answer: int
    law: str = ""
    valid_to: date | None = None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "AnswerRule":
        """A rule from its data; raises KeyError or ValueError for one that does not fit."""
        return cls(
            frozenset(row["placement_types"]),
            row["valid_from"],
            tuple(Party(p) for p in row["must_answer"]),
            tuple(Party(p) for p in row["are_told"]),
            int(row["days_to_answer"]),
            str(row["law"]),
            row.get("valid_to"),
        )


def answer_rule(rules: Iterable[AnswerRule], placement_type: str, on: date) -> AnswerRule:
    """The rule in force for a placement type on a day. Raises LookupError when there is none."""
    valid = [
        r
        for r in rules
        if placement_type in r.placement_types
        and r.valid_from <= on
        and (r.valid_to is None or on <= r.valid_to)
    ]
    if not valid:
        raise LookupError(f"no rule says who answers {placement_type} on {on}")
    return max(valid, key=lambda r: r.valid_from)


def parties(rule: AnswerRule, age: str) -> tuple[list[Party], list[Party]]:
    """(must answer, are told) for a learner of that age class: a guardian has no part in an adult's
    placement."""
    left_out = {Party.GUARDIAN} if age == AgeClass.ADULT else set()
    return [p for p in rule.must_answer if p not in left_out], [p for p in rule.are_told if p not in left_out]
