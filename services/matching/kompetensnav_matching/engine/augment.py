"""One learner is seated at least cost, or left out at a price: a single shortest path in 64 bits.

The step of the successive shortest path method (Ford and Fulkerson 1962, with the node prices of Edmonds and
Karp 1972); the finish after an auction, the plain solver and repair are made of it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.compiled import compiled
from kompetensnav_matching.engine.heaps import grown, grown_number, pop_pair, push_pair
from kompetensnav_matching.engine.most_placed import Seating, empty_seating, shift, sit, stand

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
INFINITE = 1 << 62


class Prices(NamedTuple):
    """The dual side: for each learner `level` = min(outside, least cost + price of its pairs)."""

    price: Int64s
    """Of a seat in each slot; 0 where a seat is open."""
    outside: Int64s
    """What it costs to leave each learner out."""
    level: Int64s


class Desk(NamedTuple):
    """Room to work in, kept between searches."""

    distance: Int64s
    seen: Int32s
    parent: Int32s
    settled: Int32s
    heap: Int64s
    number: Int32s
    search: Int64s
    """[how many searches there have been]"""


@compiled
def desk(slots: int) -> Desk:
    """A desk for an instance."""
    return Desk(
        np.zeros(slots, np.int64),
        np.zeros(slots, np.int32),
        np.zeros(slots, np.int32),
        np.empty(slots + 1, np.int32),
        np.empty(1 << 16, np.int64),
        np.empty(1 << 16, np.int32),
        np.zeros(1, np.int64),
    )


@compiled
def least_level(begin: int, end: int, slot: Int32s, cost: Int32s, price: Int64s, outside: int) -> int:
    """min(outside, least cost + price) over the pairs begin to end, sorted by cost."""
    level = outside
    for e in range(begin, end):
        if cost[e] >= level:
            break
        value = cost[e] + price[slot[e]]
        level = min(level, value)
    return level


@compiled
def augment(
    root: int,
    first: Int64s,
    end: Int64s,
    slot: Int32s,
    cost: Int32s,
    seats: Int32s,
    at: Seating,
    dual: Prices,
    work: Desk,
) -> int:
    """Seats learner `root`, or leaves out whom that is cheapest for; who is left out, or -1.

    Learner i's pairs are first[i] to end[i], sorted by cost. Prices and levels rise so that they stay the
    dual.
    """
    work.search[0] += 1
    search = np.int32(work.search[0])
    distance, seen, parent, heap, number = work.distance, work.seen, work.parent, work.heap, work.number
    price, level = dual.price, dual.level
    level[root] = least_level(first[root], end[root], slot, cost, price, dual.outside[root])
    best = dual.outside[root] - level[root]
    open_slot, out = np.int32(-1), root
    size, done = 0, 0
    i, here = root, np.int64(0)
    h, last = np.int64(0), np.int64(0)
    while True:
        leave = here + dual.outside[i] - level[i]
        if leave < best:
            best, open_slot, out = leave, np.int32(-1), i
        base = here - level[i]
        for e in range(first[i], end[i]):
            there = base + cost[e]
            if there >= best:
                break
            j = slot[e]
            there += price[j]
            if there >= best or (seen[j] == search and there >= distance[j]):
                continue
            seen[j], distance[j], parent[j] = search, there, i
            if at.filled[j] < seats[j]:
                best, open_slot = there, j
            else:
                heap, number = grown(heap, size), grown_number(number, size)
                size = push_pair(heap, number, size, there, j)
        h += 1
        if h >= last:
            j = np.int32(-1)
            while size > 0 and heap[0] < best:
                here, k = heap[0], number[0]
                size = pop_pair(heap, number, size)
                if distance[k] == here:
                    j = k
                    break
            if j < 0:
                break
            work.settled[done] = j
            done += 1
            h, last = at.begin[j], at.begin[j] + at.filled[j]
            if h >= last:
                continue
        i = at.holder[h]
    for q in range(done):
        j = work.settled[q]
        rise = best - distance[j]
        price[j] += rise
        for h in range(at.begin[j], at.begin[j] + at.filled[j]):
            level[at.holder[h]] += rise
    level[root] += best
    if open_slot >= 0:
        shift(at, parent, root, open_slot)
        return -1
    if out != root:
        j = at.taken[out]
        stand(at, out)
        shift(at, parent, root, j)
    return out


@compiled
def seat_all(
    first: Int64s,
    slot: Int32s,
    cost: Int32s,
    seats: Int32s,
    outside: Int64s,
    price: Int64s,
    wish: Int32s,
) -> tuple[Seating, Int64s]:
    """(seating, levels) of least cost, everything counted in, from the start `price` and `wish`.

    `wish` (learners,): the slot each is thought to have, -1 = none; kept where it fits the prices, the others
    are seated one by one. With prices of 0 and no wishes this is the plain solver.
    """
    learners = first.size - 1
    at = empty_seating(learners, seats)
    dual = Prices(price, outside, np.empty(learners, np.int64))
    work = desk(seats.size)
    for i in range(learners):
        dual.level[i] = least_level(first[i], first[i + 1], slot, cost, price, outside[i])
        if wish[i] < 0:
            continue
        for e in range(first[i], first[i + 1]):
            j = slot[e]
            if j == wish[i]:
                if cost[e] + price[j] == dual.level[i] and at.filled[j] < seats[j]:
                    sit(at, i, j)
                break
    for i in range(learners):
        fits_outside = wish[i] < 0 and dual.level[i] == outside[i]
        if at.taken[i] < 0 and first[i] < first[i + 1] and not fits_outside:
            augment(i, first, first[1:], slot, cost, seats, at, dual, work)
    return at, dual.level
