"""Who was served how in a round, as it may be shown to anybody."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

SMALLEST = 5
"""Learner counts from 1 to 4 are hidden."""
BANDS = (15, 30, 45, 60)
"""Upper ends of the bands of travel, minutes."""


@dataclass(frozen=True)
class Served:
    """One learner's row, without the learner."""

    tier: int
    municipality: str
    placed: bool
    minutes: int | None = None
    """Travel one way."""
    wish_rank: int | None = None


@dataclass(frozen=True)
class Count:
    """A line of a table; None = hidden."""

    key: str
    learners: int | None
    placed: int | None


def served(rows: Iterable[Served]) -> dict[str, list[Count]]:
    """Tables by tier, home municipality, travel and wish rank; the latter two of those who have a slot.

    A count from 1 to 4 is hidden, and with it the smallest other one, so that it cannot be worked out from
    the sum.
    """
    every = list(rows)
    placed = [row for row in every if row.placed]
    return {
        "tier": _table(every, lambda row: str(row.tier)),
        "municipality": _table(every, lambda row: row.municipality),
        "travel": _table(placed, lambda row: _band(row.minutes)),
        "wish_rank": _table(
            placed, lambda row: "none" if row.wish_rank is None else str(min(row.wish_rank, 4))
        ),
    }


def _band(minutes: int | None) -> str:
    low = 0
    for high in BANDS:
        if (minutes or 0) <= high:
            return f"{low}-{high}"
        low = high
    return f"{low}-"


def _table(rows: Sequence[Served], key: Callable[[Served], str]) -> list[Count]:
    keys = sorted({key(row) for row in rows}, key=lambda k: (len(k.split("-")[0]), k))
    learners = [sum(key(row) == k for row in rows) for k in keys]
    placed = [sum(key(row) == k and row.placed for row in rows) for k in keys]
    without = [n - p for n, p in zip(learners, placed, strict=True)]
    hide_all = _hidden(learners)
    hide_placed = _hidden(placed) | _hidden(without) | hide_all
    return [
        Count(k, None if i in hide_all else learners[i], None if i in hide_placed else placed[i])
        for i, k in enumerate(keys)
    ]


def _hidden(column: Sequence[int]) -> set[int]:
    """What to hide: with the few, the smallest others until one that is not few is among them, so that no
    subtraction from the sum tells them."""
    hidden = {i for i, n in enumerate(column) if 0 < n < SMALLEST}
    others = sorted((n, i) for i, n in enumerate(column) if n >= SMALLEST)
    if hidden and others:
        hidden.add(others[0][1])
    return hidden


def shown(placed: int, of: int) -> int | None:
    """How many were placed, unless that tells of a few who were, or were not; None = hidden."""
    return None if 0 < placed < SMALLEST or 0 < of - placed < SMALLEST else placed


def few(count: int) -> int | None:
    """A count of learners; None = hidden."""
    return None if 0 < count < SMALLEST else count
