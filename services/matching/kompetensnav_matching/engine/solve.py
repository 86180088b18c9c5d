"""The exact optimum: most learners placed, of them most of tier 0, then 1, ..., then least cost; with proof.

The largest number first, without costs. Where learners outnumber seats every seat is filled, so that seats
may choose; elsewhere everybody is placed, so that learners may choose: no artificial large cost is needed.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kompetensnav_matching.engine.auction import auction
from kompetensnav_matching.engine.augment import Prices, seat_all
from kompetensnav_matching.engine.certificate import gap
from kompetensnav_matching.engine.compiled import compiled
from kompetensnav_matching.engine.instance import BadInstance, Instance, sort_keys
from kompetensnav_matching.engine.most_placed import Seating, place_most
from kompetensnav_matching.engine.open_seats import fill_open_seats
from kompetensnav_matching.engine.over_demanded import over_demanded
from kompetensnav_matching.engine.refill import by_slot as by_slot_unsorted
from kompetensnav_matching.engine.refill import settle_open_seats
from kompetensnav_matching.engine.shortest_paths import FAR, TOO_FAR, assign

Bools = NDArray[np.bool_]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Path = Literal["auto", "slots", "auction", "plain"]
SURPLUS = 0.12
"""Share of surplus learners from which the seats choose, measured to be faster than the auction."""
LARGE = 64
"""Seats in a slot from which they are filled as one: equal seats would look at each other's learners."""
WIDE = 8
"""Mean seats of a slot from which bids are not worth it: equal seats make bidders raise by little."""
STEPS = (0.2, 0.03, 0.007)
"""The auction's epsilons as shares of the largest cost."""
FULL = 2**40
"""So much more is a seat worth where each must be filled than any chain of moves costs."""
STEP_OF_REST = 0.008
"""As them where all are placed: a start from unscaled prices, since open seats may have none."""


@dataclass(frozen=True)
class Solution:
    """An optimum and its proof."""

    taken: Int32s
    """Slot of each learner, -1 = none. Shape (learners,)."""
    price: Int64s
    """Of a seat in each slot. Shape (slots,)."""
    outside: Int64s
    """What it counts to leave each learner out; more for a tier that is served first. Shape (learners,)."""
    crowded: Bools
    """Slots of which one seat more would place one learner more. Shape (slots,)."""
    placed: int
    cost: int
    gap: int
    """0: proved."""
    path: str
    """Which way it was found."""


def solve(instance: Instance, tier: ArrayLike | None = None, path: Path = "auto") -> Solution:
    """The optimum of an instance. `tier` (learners,): 0 = served first; none = all alike.

    Raises BadInstance when the costs are too large even for 64 bits.
    """
    tiers = np.zeros(instance.learners, np.int32) if tier is None else np.asarray(tier, np.int32)
    if len(tiers) != instance.learners or (len(tiers) and tiers.min() < 0):
        raise BadInstance("tiers must be one number, at least 0, for each learner")
    lowest = int(tiers.max(initial=0))
    step = lexicographic_step(instance.learners, len(instance.seats), instance.greatest_cost, lowest)
    if path == "plain":
        return _plain(instance, tiers, step)
    at = place_most(instance.first, instance.slot, instance.seats, tiers)
    for weight in _weights(instance, tiers):
        solution = _split(instance, tiers, at, weight, path)
        if solution is None:
            break
        if (_by_tier(tiers, solution.taken) == _by_tier(tiers, at.taken)).all():
            return solution
    return _plain(instance, tiers, step)


def lexicographic_step(learners: int, slots: int, greatest_cost: int, lowest_tier: int) -> int:
    """More than any two assignments' costs can differ by. Raises BadInstance when 64 bits cannot hold the
    sums made of it."""
    step = 2 * (min(learners, slots) + 1) * (greatest_cost + 1)
    if step * (2 * lowest_tier + 2) * (learners + 1) >= 2**62:
        raise BadInstance(f"costs up to {greatest_cost} are too large for so many pairs: scale them down")
    return step


def _by_tier(tiers: Int32s, taken: Int32s) -> NDArray[np.intp]:
    return np.bincount(tiers[taken >= 0], minlength=int(tiers.max(initial=0)) + 1)


def _weights(instance: Instance, tiers: Int32s) -> list[int]:
    """What one tier counts more than the next, in growing steps: a small one makes smaller numbers, and is
    enough when as many of each tier are placed as can be."""
    lowest = int(tiers.max(initial=0))
    if lowest == 0:
        return [0]
    start = 4 * (instance.greatest_cost + 1)
    return [w for w in (start, 8 * start, 64 * start) if w * lowest < TOO_FAR // 8]


def _plain(instance: Instance, tiers: Int32s, step: int) -> Solution:
    lowest = int(tiers.max(initial=0))
    outside = (step * (lowest + 1 + lowest - tiers.astype(np.int64))).astype(np.int64)
    price = np.zeros(len(instance.seats), np.int64)
    nobody = np.full(instance.learners, -1, np.int32)
    at, _ = seat_all(instance.first, instance.slot, instance.cost, instance.seats, outside, price, nobody)
    _, crowded = over_demanded(instance.first, instance.slot, at, np.ones(instance.learners, np.bool_))
    return _proved(instance, at.taken, price, outside, crowded, "plain")


def _proved(
    instance: Instance, taken: Int32s, price: Int64s, outside: Int64s, crowded: Bools, path: str
) -> Solution:
    difference, placed, cost = gap(
        instance.first, instance.slot, instance.cost, instance.seats, taken, price, outside
    )
    return Solution(taken, price, outside, crowded, placed, cost, difference, path)


def _split(instance: Instance, tiers: Int32s, at: Seating, weight: int, path: Path) -> Solution | None:
    """Solves both parts; None when 32 bits were not enough."""
    everyone = np.ones(instance.learners, np.bool_)
    learners, slots = over_demanded(instance.first, instance.slot, at, everyone)
    first, slot, cost = rest(instance.first, instance.slot, instance.cost, learners, slots)
    outside_of_it = np.where(slots, 0, instance.seats).astype(np.int32)
    wide = int(outside_of_it.sum()) >= WIDE * max(1, int((outside_of_it > 0).sum()))
    in_turn = path == "slots" or (wide and path == "auto")
    placed = (_rest_in_turn if in_turn else _rest_by_auction)(first, slot, cost, outside_of_it)
    del first, slot, cost
    if placed is None:
        return None
    taken, price, highest = placed
    way, top = "learners", 0
    seat_level = np.zeros(len(instance.seats), np.int64)
    lowest = int(tiers.max(initial=0))
    if learners.any():
        room = np.where(slots, instance.seats, 0).astype(np.int32)
        surplus = int(learners.sum()) - int(room.sum())
        way = "auction" if surplus < SURPLUS * learners.sum() else "slots"
        way = way if path == "auto" else path
        found = (_by_auction if way == "auction" else _by_slots)(instance, tiers, weight, learners, room)
        if found is None:
            return None
        chosen, seat_level = found
        taken = np.where(learners, chosen, taken)
        top = int(seat_level.max(initial=0))
    base = highest + top + instance.greatest_cost + weight * lowest + 1
    prices = np.where(slots, base - seat_level, price)
    outside = base - weight * tiers.astype(np.int64)
    return _proved(instance, taken, prices, outside, slots, way)


def _rest_in_turn(
    first: Int64s, slot: Int32s, cost: Int32s, room: Int32s
) -> tuple[Int32s, Int64s, int] | None:
    """(slot of each learner, price of each slot, highest level) where all can be placed."""
    price = np.zeros(len(room), np.int32)
    taken, level, fits = assign(np.arange(len(first) - 1, dtype=np.int32), first, slot, cost, room, price)
    return (taken, price.astype(np.int64), int(level.max(initial=0))) if fits else None


def _rest_by_auction(
    first: Int64s, slot: Int32s, cost: Int32s, room: Int32s
) -> tuple[Int32s, Int64s, int] | None:
    """As `_rest_in_turn`, from bids that are nearly right; several times as fast for many learners."""
    step = np.array([max(1, int(cost.max(initial=0) * STEP_OF_REST))], np.int32)
    bids = np.zeros(len(room) + 1, np.int32)
    bids[-1] = FAR  # nobody need be left out
    places = np.append(room, 0).astype(np.int32)
    wish, fits = auction(first, slot.copy(), cost.copy(), places, bids, step)  # it sorts rows anew
    if not fits:
        return None
    wish[wish == len(room)] = -1
    price = bids[:-1].astype(np.int64)
    outside = np.full(len(first) - 1, 2**40)
    at, level = seat_all(first, slot, cost, room, outside, price, wish)
    settle_open_seats(by_slot_unsorted(first, slot, cost, len(room)), room, at, Prices(price, outside, level))
    return at.taken, price, int(level[at.taken >= 0].max(initial=0))


def _by_slots(
    instance: Instance, tiers: Int32s, weight: int, learners: Bools, room: Int32s
) -> tuple[Int32s, Int64s] | None:
    """(slot of each learner, level of each slot) where seats choose their learners."""
    first, learner, cost = by_slot(
        instance.first, instance.slot, instance.cost, learners, tiers, weight, len(room)
    )
    if int(room.max(initial=0)) > LARGE:
        level32 = np.where(np.diff(first) > 0, np.append(cost, np.int32(0))[first[:-1]], 0).astype(np.int32)
        nobody, free = np.full(instance.learners, -1, np.int32), np.zeros(instance.learners, np.int32)
        if not fill_open_seats(first, learner, cost, nobody, free, level32, room.copy()):
            return None
        return nobody, level32.astype(np.int64)
    units = np.repeat(np.arange(len(room), dtype=np.int32), room)
    one_each, rent = np.ones(instance.learners, np.int32), np.zeros(instance.learners, np.int32)
    chosen, level, fits = assign(units, first, learner, cost, one_each, rent)
    if not fits:
        return None
    taken, levels = np.full(instance.learners, -1, np.int32), np.zeros(len(room), np.int64)
    taken[chosen], levels[units] = units, level
    return taken, levels


def _by_auction(
    instance: Instance, tiers: Int32s, weight: int, learners: Bools, room: Int32s
) -> tuple[Int32s, Int64s] | None:
    """As `_by_slots`, where learners bid; for a part with few learners too many."""
    first, slot, cost = block(instance.first, instance.slot, instance.cost, learners, tiers, weight)
    surplus = int(learners.sum()) - int(room.sum())
    places = np.append(room, surplus).astype(np.int32)
    bids = np.zeros(len(places), np.int32)
    largest = int(cost.max(initial=0))
    steps = np.array([max(1, int(largest * share)) for share in STEPS], np.int32)
    wish, fits = auction(first, slot.copy(), cost.copy(), places, bids, steps)  # it sorts rows anew
    if not fits:
        return None
    wish[wish == len(room)] = -1
    outside = np.full(instance.learners, int(bids[-1]) + FULL)
    price = bids[:-1].astype(np.int64) + np.where(room > 0, FULL, 0)
    at, level = seat_all(first, slot, cost, room, outside, price, wish)
    settle_open_seats(by_slot_unsorted(first, slot, cost, len(room)), room, at, Prices(price, outside, level))
    return at.taken, np.where(room > 0, outside[0] - price, 0) if len(outside) else price


@compiled
def rest(
    first: Int64s, slot: Int32s, cost: Int32s, learners: Bools, slots: Bools
) -> tuple[Int64s, Int32s, Int32s]:
    """The pairs of neither marked learners nor marked slots, in order."""
    start = np.zeros(first.size, np.int64)
    places, prices = np.empty(slot.size, np.int32), np.empty(slot.size, np.int32)
    k = 0
    for i in range(first.size - 1):
        if not learners[i]:
            for e in range(first[i], first[i + 1]):
                if not slots[slot[e]]:
                    places[k], prices[k] = slot[e], cost[e]
                    k += 1
        start[i + 1] = k
    return start, places[:k], prices[:k]


@compiled
def block(
    first: Int64s, slot: Int32s, cost: Int32s, learners: Bools, tier: Int32s, weight: int
) -> tuple[Int64s, Int32s, Int32s]:
    """The pairs of marked learners, each costing its tier's weight more."""
    start = np.zeros(first.size, np.int64)
    for i in range(first.size - 1):
        start[i + 1] = start[i] + (first[i + 1] - first[i] if learners[i] else 0)
    places, prices = np.empty(start[first.size - 1], np.int32), np.empty(start[first.size - 1], np.int32)
    for i in range(first.size - 1):
        if learners[i]:
            k, more = start[i], weight * tier[i]
            for e in range(first[i], first[i + 1]):
                places[k], prices[k] = slot[e], cost[e] + more
                k += 1
    return start, places, prices


@compiled
def by_slot(
    first: Int64s, slot: Int32s, cost: Int32s, learners: Bools, tier: Int32s, weight: int, slots: int
) -> tuple[Int64s, Int32s, Int32s]:
    """The pairs of marked learners as rows of slots, each row sorted by (cost + tier's weight, learner)."""
    start = np.zeros(slots + 1, np.int64)
    for i in range(first.size - 1):
        if learners[i]:
            for e in range(first[i], first[i + 1]):
                start[slot[e] + 1] += 1
    for j in range(slots):
        start[j + 1] += start[j]
    at = start[:slots].copy()
    key = np.empty(start[slots], np.int64)
    for i in range(first.size - 1):
        if learners[i]:
            more = weight * tier[i]
            for e in range(first[i], first[i + 1]):
                key[at[slot[e]]] = (np.int64(cost[e] + more) << 32) | np.int64(i)
                at[slot[e]] += 1
    who, prices = np.empty(start[slots], np.int32), np.empty(start[slots], np.int32)
    for j in range(slots):
        sort_keys(key[start[j] : start[j + 1]], start[j + 1] - start[j])
        for k in range(start[j], start[j + 1]):
            who[k], prices[k] = np.int32(key[k] & 0xFFFFFFFF), np.int32(key[k] >> 32)
    return start, who, prices
