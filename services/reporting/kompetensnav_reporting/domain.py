"""How placements are counted, and which numbers may be shown to whom. Values in, values out."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from uuid import UUID

SMALLEST = 5
"""Learner counts from 1 to 4 are suppressed outside the administration that answers for the learners."""

DIMENSIONS = ("placement_type", "occupation", "week")
MEASURES = ("slots", "seats", "requests", "matched", "confirmed", "declined", "interrupted", "completed")
ABOUT_LEARNERS = MEASURES[2:]
"""Slots and seats are never suppressed."""

STATES = {
    "registry.slot.posted.v1": "slots",
    "registry.slot.changed.v1": "slots",
    "registry.slot.withdrawn.v1": "slots",
    "registry.request.opened.v1": "requests",
    "registry.request.changed.v1": "requests",
    "registry.request.closed.v1": "requests",
}
"""Events that hold a thing's state: only the newest of each thing counts."""
COUNTED = {
    "matching.learner.matched.v1": "matched",
    "registry.placement.confirmed.v1": "confirmed",
    "registry.offer.declined.v1": "declined",
    "registry.offer.expired.v1": "declined",
    "registry.placement.interrupted.v1": "interrupted",
    "registry.placement.completed.v1": "completed",
}
"""Events that each count one."""
ENDINGS = {"registry.slot.withdrawn.v1", "registry.request.closed.v1"}


@dataclass(frozen=True)
class Fact:
    """One event as it is counted."""

    event_id: UUID
    name: str
    thing_id: UUID
    revision: int
    placement_type: str
    occupation: str
    week: date
    number: int = 1
    """Seats of a slot; days to place of a confirmed placement."""


Key = tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """One line of a report: counts by measure (None = suppressed), and what follows from them."""

    key: Key
    counts: Mapping[str, int | None]
    median_days: float | None

    @property
    def fill_rate(self) -> float | None:
        """Placed over seats posted: (confirmed - interrupted) / seats."""
        return _share(self._placed, self.counts["seats"])

    @property
    def placed_share(self) -> float | None:
        """Placed over those who need a place: (confirmed - interrupted) / requests."""
        return _share(self._placed, self.counts["requests"])

    @property
    def _placed(self) -> int | None:
        confirmed, interrupted = self.counts["confirmed"], self.counts["interrupted"]
        return None if confirmed is None or interrupted is None else confirmed - interrupted


def _share(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else round(part / whole, 4)


def monday(day: date) -> date:
    """The first day of the ISO week."""
    return day - timedelta(days=day.weekday())


def recount(rows: Iterable[Fact], by: Sequence[str] = ()) -> list[Line]:
    """The report's lines from the facts of the event log, in any order and with repeats. Keys are sorted.

    `by`: dimensions out of DIMENSIONS; none = one line of totals.
    """
    once = {fact.event_id: fact for fact in rows}
    newest: dict[tuple[str, UUID], Fact] = {}
    counts: dict[Key, Counter[str]] = defaultdict(Counter)
    days: dict[Key, list[int]] = defaultdict(list)
    for fact in once.values():
        if fact.name in STATES:
            thing = (STATES[fact.name], fact.thing_id)
            if thing not in newest or newest[thing].revision < fact.revision:
                newest[thing] = fact
        elif fact.name in COUNTED:
            key = _key(fact, by)
            counts[key][COUNTED[fact.name]] += 1
            if fact.name == "registry.placement.confirmed.v1":
                days[key].append(fact.number)
    for (measure, _), fact in newest.items():
        if fact.name in ENDINGS:
            continue
        counts[_key(fact, by)][measure] += 1
        if measure == "slots":
            counts[_key(fact, by)]["seats"] += fact.number
    keys = sorted(counts) or ([()] if not by else [])
    return [
        Line(key, {m: counts[key][m] for m in MEASURES}, median(days[key]) if days[key] else None)
        for key in keys
    ]


def _key(fact: Fact, by: Sequence[str]) -> Key:
    return tuple(str(getattr(fact, dimension)) for dimension in by)


def suppress(lines: Sequence[Line], known: Sequence[Line] = ()) -> list[Line]:
    """Lines as others than the learners' own administration may see them.

    Learner counts from 1 to 4 are hidden. A count that stands alone hidden among the lines that differ from
    it in one dimension could be worked out from a total, so the smallest other one there is hidden too.
    `known`: lines that the reader has seen exactly; a count is also hidden when what is left after taking
    those away is from 1 to 4.
    """
    counts = [dict(line.counts) for line in lines]
    seen = {line.key: line.counts for line in known}
    for measure in ABOUT_LEARNERS:
        column = [row[measure] or 0 for row in counts]
        theirs = [(seen.get(line.key) or {}).get(measure) or 0 for line in lines]
        hidden = {
            i
            for i, (n, own) in enumerate(zip(column, theirs, strict=True))
            if 0 < n < SMALLEST or 0 < n - own < SMALLEST
        }
        for i in _complemented(lines, column, hidden):
            counts[i][measure] = None
    return [
        Line(line.key, row, line.median_days if row["confirmed"] is not None else None)
        for line, row in zip(lines, counts, strict=True)
    ]


def _complemented(lines: Sequence[Line], column: Sequence[int], hidden: set[int]) -> set[int]:
    """The hidden ones, with others hidden until none stands alone in any row or column of the table."""
    groups: dict[tuple[int, Key], list[int]] = defaultdict(list)
    for i, line in enumerate(lines):
        for d in range(len(line.key)):
            groups[d, line.key[:d] + line.key[d + 1 :]].append(i)
    alone = True
    while alone:
        alone = False
        for members in groups.values():
            if sum(i in hidden for i in members) == 1:
                others = [(column[i], i) for i in members if column[i] and i not in hidden]
                if others:
                    hidden.add(min(others)[1])
                    alone = True
    return hidden


def total(lines: Sequence[Line], measure: str) -> int | None:
    """The sum of a measure; None when a part is suppressed."""
    values = [line.counts[measure] for line in lines]
    return None if any(v is None for v in values) else sum(v for v in values if v is not None)


Differences = list[tuple[Key, str, int | None, int | None]]


def differences(report: Sequence[Line], counted: Sequence[Line]) -> Differences:
    """(key, measure, reported, recounted) wherever a report and a recount do not agree."""
    left, right = ({line.key: line.counts for line in lines} for lines in (report, counted))
    nothing: Callable[[], dict[str, int]] = lambda: dict.fromkeys(MEASURES, 0)
    return [
        (key, measure, a[measure], b[measure])
        for key in sorted(left.keys() | right.keys())
        for a, b in [(left.get(key) or nothing(), right.get(key) or nothing())]
        for measure in MEASURES
        if a[measure] != b[measure]
    ]
