"""What is to be solved: pairs of learners and slots with costs, and seats; checked, grouped, sorted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kompetensnav_matching.engine.compiled import compiled

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
MOST = 2**30
"""Above all costs, so that sums of a few of them fit in 32 bits."""


class BadInstance(ValueError):
    """The input cannot be solved; the message says what, where and what to do."""

    def __init__(self, what: str, place: int | None = None) -> None:
        super().__init__(what)
        self.place = place
        """Number of the pair or slot (from 0) that is wrong, when it is one."""


@dataclass(frozen=True)
class Instance:
    """Pairs in compressed rows: learner i's are first[i] to first[i + 1], sorted by (cost, slot)."""

    first: Int64s
    """Shape (learners + 1,)."""
    slot: Int32s
    """Shape (pairs,)."""
    cost: Int32s
    """Shape (pairs,), at least 0."""
    seats: Int32s
    """Shape (slots,), at least 0; a slot without seats has no pairs."""

    @property
    def learners(self) -> int:
        """How many learners there are, with and without pairs."""
        return len(self.first) - 1

    @property
    def greatest_cost(self) -> int:
        """Of any pair; 0 when there is none."""
        return int(self.cost.max()) if len(self.cost) else 0

    def cost_of(self, taken: NDArray[np.integer]) -> Int64s:
        """What each learner's slot costs, 0 for none. Shape (learners,). Raises BadInstance for no pair."""
        found = paid(self.first, self.slot, self.cost, np.asarray(taken, np.int32))
        if (found < 0).any():
            learner = int(np.argmax(found < 0))
            raise BadInstance(f"learner {learner} may not take slot {taken[learner]}", learner)
        return found

    @classmethod
    def of(
        cls, learners: int, seats: ArrayLike, learner: ArrayLike, slot: ArrayLike, cost: ArrayLike
    ) -> "Instance":
        """From columns of pairs in any order. Raises BadInstance."""
        room = _whole(seats, "seats")
        columns = [_whole(c, n) for c, n in ((learner, "learner"), (slot, "slot"), (cost, "cost"))]
        if len({len(c) for c in columns}) > 1:
            raise BadInstance("the columns learner, slot and cost are not equally long")
        for values, name, low, high in (
            (room, "seats", 0, MOST),
            (columns[0], "learner", 0, learners),
            (columns[1], "slot", 0, len(room)),
            (columns[2], "cost", 0, MOST),
        ):
            if len(values) and (values.min() < low or values.max() >= high):
                at = int(np.argmax((values < low) | (values >= high)))
                raise BadInstance(f"{name} {values[at]} at {at}: must be from {low} to {high - 1}", at)
        seats32, who, where, price = (c.astype(np.int32, copy=False) for c in (room, *columns))
        first, places, prices, twice = grouped(learners, who, where, price, seats32)
        if twice >= 0:
            pair = int(np.searchsorted(first, twice, side="right")) - 1
            raise BadInstance(f"learner {pair} and slot {places[twice]} are a pair twice", twice)
        return cls(first, places, prices, seats32)


def _whole(values: ArrayLike, name: str) -> NDArray[np.integer]:
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(0, np.int64)
    if array.ndim != 1:
        raise BadInstance(f"{name} must be one column")
    if array.dtype.kind == "f":
        wrong = ~np.isfinite(array) | (array != np.floor(array))
        if wrong.any():
            at = int(np.argmax(wrong))
            raise BadInstance(f"{name} {array[at]} at {at} is not a whole number", at)
    elif array.dtype.kind not in "iu":
        raise BadInstance(f"{name} must be whole numbers")
    return array


@compiled
def sort_keys(key: Int64s, size: int) -> None:
    """Sorts the first `size` keys in place (quicksort by the median of three, Hoare 1962, short parts by
    insertion): the fastest here for rows of some hundreds."""
    low_of, high_of = np.empty(64, np.int64), np.empty(64, np.int64)
    low, high, waiting = np.int64(0), np.int64(size - 1), 0
    while True:
        while high - low > 24:
            first, middle, last = key[low], key[(low + high) >> 1], key[high]
            pivot = max(min(first, middle), min(max(first, middle), last))
            i, j = low, high
            while i <= j:
                while key[i] < pivot:
                    i += 1
                while key[j] > pivot:
                    j -= 1
                if i <= j:
                    key[i], key[j] = key[j], key[i]
                    i += 1
                    j -= 1
            if j - low > high - i:  # the longer part waits, so that few do
                low_of[waiting], high_of[waiting], low = low, j, i
            else:
                low_of[waiting], high_of[waiting], high = i, high, j
            waiting += 1
        for a in range(low + 1, high + 1):
            value, b = key[a], a
            while b > low and key[b - 1] > value:
                key[b] = key[b - 1]
                b -= 1
            key[b] = value
        if waiting == 0:
            return
        waiting -= 1
        low, high = low_of[waiting], high_of[waiting]


@compiled
def grouped(
    rows: int, row: Int32s, column: Int32s, cost: Int32s, room: Int32s
) -> tuple[Int64s, Int32s, Int32s, int]:
    """Pairs by row, each row sorted by (cost, column), without columns that have no room; and the number of
    a pair that is there twice, or -1."""
    first = np.zeros(rows + 1, np.int64)
    all_have = room.size > 0 and room.min() > 0
    for e in range(row.size):
        if all_have or room[column[e]] > 0:
            first[row[e] + 1] += 1
    for r in range(rows):
        first[r + 1] += first[r]
    at = first[:rows].copy()
    key = np.empty(
        first[rows], np.int64
    )  # one array: pairs come in any order, and each miss of the cache costs
    for e in range(row.size):
        if all_have or room[column[e]] > 0:
            key[at[row[e]]] = (np.int64(cost[e]) << 32) | np.int64(column[e])
            at[row[e]] += 1
    columns = np.empty(first[rows], np.int32)
    costs = np.empty(first[rows], np.int32)
    seen = np.full(room.size, np.int32(-1))
    twice = np.int64(-1)
    for r in range(rows):
        low, high = first[r], first[r + 1]
        sort_keys(key[low:high], high - low)
        for k in range(low, high):
            columns[k], costs[k] = np.int32(key[k] & 0xFFFFFFFF), np.int32(key[k] >> 32)
            if seen[columns[k]] == r and twice < 0:
                twice = k
            seen[columns[k]] = r
    return first, columns, costs, twice


@compiled
def paid(first: Int64s, slot: Int32s, cost: Int32s, taken: Int32s) -> Int64s:
    """What each learner's slot costs; 0 for none, -1 for one that is no pair."""
    found = np.zeros(taken.size, np.int64)
    for i in range(taken.size):
        if taken[i] >= 0:
            found[i] = -1
            for e in range(first[i], first[i + 1]):
                if slot[e] == taken[i]:
                    found[i] = cost[e]
                    break
    return found
