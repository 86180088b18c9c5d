"""A solved instance that is kept solved: one change, one or two searches, the optimum again.

Built on the dual of the solution (the sensitivity of the assignment problem; Toroslu and Üçoluk 2007): a
change leaves at most a learner without a place or a seat empty at a price, and one shortest path mends
each. Whoever has accepted is taken out together with the seat, and is never moved.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kompetensnav_matching.engine.augment import Prices, augment, desk, least_level
from kompetensnav_matching.engine.compiled import compiled
from kompetensnav_matching.engine.instance import BadInstance, Instance
from kompetensnav_matching.engine.most_placed import Seating, sit, stand
from kompetensnav_matching.engine.over_demanded import over_demanded
from kompetensnav_matching.engine.refill import Rows, back, fill_seat
from kompetensnav_matching.engine.solve import Solution, lexicographic_step

Bools = NDArray[np.bool_]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
SHUT = 1 << 58
"""Price of a slot that has been withdrawn."""
SPARE = 8
"""One row in so many is kept spare for new learners and slots."""


@compiled
def rows(size: int, row: Int32s, other: Int32s, cost: Int32s) -> Rows:
    """Rows from pairs that are sorted by cost within each row."""
    begin = np.zeros(size, np.int64)
    end = np.zeros(size, np.int64)
    for e in range(row.size):
        end[row[e]] += 1
    at = np.int64(0)
    for r in range(size):
        begin[r] = at
        at += end[r]
        end[r] = begin[r]
    room = at + at // 8 + 1024
    others, costs = np.empty(room, np.int32), np.empty(room, np.int32)
    for e in range(row.size):
        k = end[row[e]]
        others[k], costs[k] = other[e], cost[e]
        end[row[e]] = k + 1
    return Rows(begin, end, end.copy(), others, costs, np.array([at]))


@compiled
def add_pair(to: Rows, r: int, other: int, cost: int) -> bool:
    """Adds a pair to a row in its place by cost; False when there is no room left at all."""
    if to.end[r] == to.limit[r]:
        size = to.end[r] - to.begin[r]
        more = to.used[0] + 2 * size + 4
        if more > to.other.size:
            return False
        for k in range(size):
            to.other[to.used[0] + k] = to.other[to.begin[r] + k]
            to.cost[to.used[0] + k] = to.cost[to.begin[r] + k]
        to.begin[r], to.end[r], to.limit[r] = to.used[0], to.used[0] + size, more
        to.used[0] = more
    e = to.end[r]
    while e > to.begin[r] and to.cost[e - 1] > cost:
        to.other[e], to.cost[e] = to.other[e - 1], to.cost[e - 1]
        e -= 1
    to.other[e], to.cost[e] = other, cost
    to.end[r] += 1
    return True


@compiled
def cut_pair(of: Rows, r: int, other: int) -> int:
    """Takes a pair out of a row; its cost, or -1 when there is none."""
    for e in range(of.begin[r], of.end[r]):
        if of.other[e] == other:
            cost = of.cost[e]
            for k in range(e, of.end[r] - 1):
                of.other[k], of.cost[k] = of.other[k + 1], of.cost[k + 1]
            of.end[r] -= 1
            return cost
    return -1


@compiled
def set_levels(pairs: Rows, dual: Prices) -> None:
    """Every learner's level from the prices."""
    for i in range(dual.level.size):
        dual.level[i] = least_level(
            pairs.begin[i], pairs.end[i], pairs.other, pairs.cost, dual.price, dual.outside[i]
        )


@compiled
def proof(pairs: Rows, seats: Int32s, at: Seating, dual: Prices, away: Bools) -> tuple[int, int, int]:
    """As `certificate.gap`, for rows and without those who take no part."""
    filled = np.zeros(seats.size, np.int64)
    paid, least, placed, total = np.int64(0), np.int64(0), 0, np.int64(0)
    for i in range(away.size):
        if away[i]:
            continue
        level, own = dual.outside[i], np.int64(-1)
        for e in range(pairs.begin[i], pairs.end[i]):
            level = min(level, pairs.cost[e] + dual.price[pairs.other[e]])
            if pairs.other[e] == at.taken[i]:
                own = np.int64(pairs.cost[e])
        least += level
        if at.taken[i] < 0:
            paid += dual.outside[i]
        elif own < 0:
            return -1, 0, 0
        else:
            filled[at.taken[i]] += 1
            placed += 1
            paid += own
            total += own
    for j in range(seats.size):
        if filled[j] > seats[j] or filled[j] != at.filled[j] or dual.price[j] < 0:
            return -1, 0, 0
        least -= dual.price[j] * seats[j]
    return paid - least, placed, total


class Plan:
    """A solution under change. Changes return the learners whose slot they changed, in order."""

    def __init__(
        self, instance: Instance, solution: Solution, tier: NDArray[np.integer] | None = None
    ) -> None:
        n, m = instance.learners, len(instance.seats)
        self.learners, self.slots = n, m
        learners, slots = n + n // SPARE + 16, m + m // SPARE + 16
        self._greatest = max(2 * instance.greatest_cost, 10_000)
        own_tier = np.zeros(n, np.int32) if tier is None else np.asarray(tier, np.int32)
        self._lowest = max(1, int(own_tier.max(initial=0)))
        self._step = lexicographic_step(learners, slots, self._greatest, self._lowest)
        row = np.repeat(np.arange(n, dtype=np.int32), np.diff(instance.first))
        self.pairs = rows(learners, row, instance.slot, instance.cost)
        by_cost = np.argsort(instance.cost, kind="stable")
        self.by_slot = rows(slots, instance.slot[by_cost], row[by_cost], instance.cost[by_cost])
        self.seats = _longer(instance.seats, slots, 0)
        self.away = _longer(np.zeros(n, np.bool_), learners, True)
        self.tier = _longer(own_tier, learners, 0)
        begin = np.zeros(slots + 1, np.int64)
        np.cumsum(self.seats, out=begin[1:])
        self._at = Seating(
            np.full(learners, -1, np.int32),
            np.zeros(slots, np.int32),
            begin,
            np.empty(int(begin[-1]) + 16, np.int32),
            np.zeros(learners, np.int64),
        )
        for i in np.flatnonzero(solution.taken >= 0):
            sit(self._at, int(i), int(solution.taken[i]))
        price = _longer(self._large_prices(instance, solution, own_tier), slots, 0)
        self._dual = Prices(price, self._outside(self.tier), np.zeros(learners, np.int64))
        set_levels(self.pairs, self._dual)
        self._desk, self._back = desk(slots), back(learners, slots)

    def _outside(self, tier: Int32s) -> Int64s:
        return self._step * (2 * self._lowest + 1 - tier.astype(np.int64))

    def _large_prices(self, instance: Instance, solution: Solution, tier: Int32s) -> Int64s:
        """The solution's prices, as if leaving a learner out cost more than anything: the slots that unplaced
        learners of a tier could reach rise by as much as leaving those out does."""
        price = solution.price.astype(np.int64).copy()
        risen = np.zeros(len(price), np.bool_)
        large = self._outside(tier)
        for t in np.unique(tier):
            _, reached = over_demanded(instance.first, instance.slot, self._at, tier == t)
            one = int(np.argmax(tier == t))
            reached = reached[: len(price)]
            price[reached & ~risen] += large[one] - solution.outside[one]
            risen |= reached
        return price

    @property
    def taken(self) -> Int32s:
        """The slot of each learner, -1 = none or away. Shape (learners,)."""
        return self._at.taken[: self.learners]

    @property
    def proof(self) -> tuple[int, int, int]:
        """(gap, placed, cost), as of `certificate.gap`: reads every pair."""
        return proof(self.pairs, self.seats, self._at, self._dual, self.away)

    def copy(self) -> "Plan":
        """A plan to try things on."""
        twin = object.__new__(Plan)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                value = value.copy()
            elif isinstance(value, tuple):
                value = type(value)(*(part.copy() for part in value))
            setattr(twin, name, value)
        return twin

    def decline(self, learner: int) -> Int32s:
        """The learner has said no to the slot it has: that pair is no more."""
        before, j = self._at.taken.copy(), self._place_of(learner)
        stand(self._at, learner)
        cut_pair(self.pairs, learner, j)
        cut_pair(self.by_slot, j, learner)
        self._seat(learner)
        self._fill(j)
        return self._changed(before)

    def forbid(self, learner: int, slot: int) -> Int32s:
        """The pair is no more, whether the learner has that slot or not."""
        if self._at.taken[learner] == slot:
            return self.decline(learner)
        if cut_pair(self.pairs, learner, slot) < 0:
            return np.zeros(0, np.int32)
        cut_pair(self.by_slot, slot, learner)
        return np.zeros(0, np.int32)  # a choice less of those not taken: still the optimum

    def accept(self, learner: int) -> None:
        """The learner and its seat are settled: neither takes part any more."""
        j = self._place_of(learner)
        stand(self._at, learner)
        self.seats[j] -= 1
        self.away[learner] = True

    def close(self, learner: int) -> Int32s:
        """The learner takes no part any more; its seat is free."""
        before, j = self._at.taken.copy(), int(self._at.taken[learner])
        if self.away[learner]:
            return np.zeros(0, np.int32)
        self.away[learner] = True
        if j >= 0:
            stand(self._at, learner)
            self._fill(j)
        return self._changed(before)

    def open(self, learner: int) -> Int32s:
        """A learner who was closed takes part again."""
        if not self.away[learner]:
            return np.zeros(0, np.int32)
        before = self._at.taken.copy()
        self.away[learner] = False
        self._seat(learner)
        return self._changed(before)

    def withdraw(self, slot: int) -> Int32s:
        """The slot is gone; those in it are seated elsewhere."""
        return self.set_seats(slot, 0)

    def set_seats(self, slot: int, seats: int) -> Int32s:
        """The slot has so many seats from now on. Raises BadInstance for fewer than none."""
        if seats < 0:
            raise BadInstance(f"slot {slot} cannot have {seats} seats", slot)
        before, was = self._at.taken.copy(), int(self.seats[slot])
        if seats > was:
            self._make_room(slot, seats)
            self.seats[slot] = seats
            if was == 0:
                self._dual.price[slot] = self._worth(slot)
            self._fill(slot)
            return self._changed(before)
        out = []
        while self._at.filled[slot] > seats:
            last = int(self._at.holder[self._at.begin[slot] + self._at.filled[slot] - 1])
            stand(self._at, last)
            out.append(last)
        self.seats[slot] = seats
        if seats == 0:
            self._dual.price[slot] = SHUT
        for learner in sorted(out):
            self._seat(learner)
        return self._changed(before)

    def add_slot(self, seats: int, pairs: Iterable[tuple[int, int]]) -> tuple[int, Int32s]:
        """A new slot, with (learner, cost) pairs; its number and who moved. Raises BadInstance."""
        if self.slots == len(self.seats):
            raise BadInstance("no spare rows are left for a new slot: solve anew")
        slot, self.slots = self.slots, self.slots + 1
        self._dual.price[slot] = SHUT
        for learner, cost in pairs:
            self._add_pair(learner, slot, cost)
        return slot, self.set_seats(slot, seats)

    def add_learner(self, pairs: Iterable[tuple[int, int]], tier: int = 0) -> tuple[int, Int32s]:
        """A new learner, with (slot, cost) pairs; its number and who moved. Raises BadInstance."""
        if self.learners == len(self.away):
            raise BadInstance("no spare rows are left for a new learner: solve anew")
        if not 0 <= tier <= self._lowest:
            raise BadInstance(f"tier {tier} must be from 0 to {self._lowest}: solve anew")
        learner, self.learners = self.learners, self.learners + 1
        self.tier[learner] = tier
        self._dual.outside[learner] = self._outside(self.tier[learner : learner + 1])[0]
        for slot, cost in pairs:
            self._add_pair(learner, slot, cost)
        return learner, self.open(learner)

    def force(self, learner: int, slot: int) -> Int32s:
        """Settles the learner in the slot, come what may; who else moved. Raises BadInstance for a slot
        without seats."""
        if self.seats[slot] < 1:
            raise BadInstance(f"slot {slot} has no seat", slot)
        before = self._at.taken.copy()
        self.close(learner)
        self.set_seats(slot, int(self.seats[slot]) - 1)
        before[learner] = self._at.taken[learner]
        return self._changed(before)

    def _place_of(self, learner: int) -> int:
        j = int(self._at.taken[learner])
        if j < 0:
            raise BadInstance(f"learner {learner} has no slot", learner)
        return j

    def _changed(self, before: Int32s) -> Int32s:
        return np.flatnonzero(before != self._at.taken).astype(np.int32)

    def _seat(self, learner: int) -> None:
        p = self.pairs
        augment(learner, p.begin, p.end, p.other, p.cost, self.seats, self._at, self._dual, self._desk)

    def _fill(self, slot: int) -> None:
        while self._at.filled[slot] < self.seats[slot] and self._dual.price[slot] > 0:
            if not fill_seat(slot, self.by_slot, self._at, self._dual, self.away, self._desk, self._back):
                return

    def _worth(self, slot: int) -> int:
        """The price at which a slot that nobody has is worth no learner's move."""
        row = slice(self.by_slot.begin[slot], self.by_slot.end[slot])
        who = self.by_slot.other[row]
        gain = (self._dual.level[who] - self.by_slot.cost[row])[~self.away[who]]
        return max(0, int(gain.max(initial=0)))

    def _make_room(self, slot: int, seats: int) -> None:
        at, size = self._at, int(self._at.filled[slot])
        held = at.holder[at.begin[slot] : at.begin[slot] + size].copy()
        start = len(at.holder)
        self._at = at._replace(holder=np.concatenate([at.holder, np.empty(seats, np.int32)]))
        self._at.begin[slot] = start
        self._at.holder[start : start + size] = held
        self._at.where[held] = np.arange(start, start + size)

    def _add_pair(self, learner: int, slot: int, cost: int) -> None:
        if not 0 <= cost <= self._greatest:
            raise BadInstance(f"cost {cost} must be from 0 to {self._greatest}: solve anew")
        while not add_pair(self.pairs, learner, slot, cost):
            self.pairs = _roomier(self.pairs)
        while not add_pair(self.by_slot, slot, learner, cost):
            self.by_slot = _roomier(self.by_slot)


def _longer(values: ArrayLike, size: int, fill: int | bool) -> Any:
    short = np.asarray(values)
    return np.concatenate([short, np.full(size - len(short), fill, short.dtype)])


def _roomier(full: Rows) -> Rows:
    more = np.empty(len(full.other) + 4096, np.int32)
    return full._replace(other=np.concatenate([full.other, more]), cost=np.concatenate([full.cost, more]))
