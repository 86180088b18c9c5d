"""Learners who finish their education, as employers may see them: numbers of at least five, and no totals."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

SMALLEST = 5
"""The fewest persons a number may be about when it is shown outside their own administration. No sums are
shown beside such numbers, so that nothing that is left out can be worked out."""

HORIZON = timedelta(days=3 * 366)
"""How far ahead learners who finish are shown."""


class TooFew(Exception):
    """So few finish then that nothing is said of them. | Så få blir klara då att inget sägs om dem."""


@dataclass(frozen=True, order=True)
class Group:
    """Those who finish an education to an occupation (SSYK 2012), in a town, in a half-year (`2027-H1`)."""

    occupation: str
    locality: str
    finishing: str


def half_year(day: date) -> str:
    """The half-year of a day, as `2027-H1`."""
    return f"{day.year}-H{1 if day.month <= 6 else 2}"


def shown(groups: Iterable[Group]) -> dict[Group, int]:
    """How many there are of each, in order; those of fewer than five are left out."""
    return {group: n for group, n in sorted(Counter(groups).items()) if n >= SMALLEST}
