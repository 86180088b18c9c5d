"""The largest number that can be placed: a greedy start, single searches, then Hopcroft and Karp's phases.

A single search that finds no open seat has seen slots from which none can be reached, now or later
(Hungarian trees; Lawler 1976, section 5.5), so no other looks at them: where seats are plenty or few, a few
passes over the pairs are enough. Where learners and seats are about as many, the phases take over.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.compiled import compiled

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


@compiled
def fewest_choices_first(first: Int64s, tier: Int32s) -> Int32s:
    """The learners by tier, then by how many pairs they have (two stable counting sorts)."""
    learners = first.size - 1
    widest, lowest = 0, 0
    for i in range(learners):
        widest = max(widest, first[i + 1] - first[i])
        lowest = max(lowest, tier[i])
    count = np.zeros(widest + 2, np.int64)
    for i in range(learners):
        count[first[i + 1] - first[i] + 1] += 1
    for d in range(widest + 1):
        count[d + 1] += count[d]
    by_choices = np.empty(learners, np.int32)
    for i in range(learners):
        d = first[i + 1] - first[i]
        by_choices[count[d]] = i
        count[d] += 1
    if lowest == 0:
        return by_choices
    count = np.zeros(lowest + 2, np.int64)
    for i in range(learners):
        count[tier[i] + 1] += 1
    for t in range(lowest + 1):
        count[t + 1] += count[t]
    order = np.empty(learners, np.int32)
    for i in by_choices:
        order[count[tier[i]]] = i
        count[tier[i]] += 1
    return order


class Seating(NamedTuple):
    """Who sits where: slot j's are holder[begin[j] : begin[j] + filled[j]], learner i is at where[i]."""

    taken: Int32s
    """Slot of each learner, -1 = none."""
    filled: Int32s
    begin: Int64s
    holder: Int32s
    where: Int64s


@compiled
def empty_seating(learners: int, seats: Int32s) -> Seating:
    """Nobody sits anywhere yet."""
    begin = np.zeros(seats.size + 1, np.int64)
    for j in range(seats.size):
        begin[j + 1] = begin[j] + seats[j]
    return Seating(
        np.full(learners, np.int32(-1)),
        np.zeros(seats.size, np.int32),
        begin,
        np.empty(begin[seats.size], np.int32),
        np.zeros(learners, np.int64),
    )


@compiled
def sit(at: Seating, i: int, j: int) -> None:
    """Gives learner i an open seat in slot j."""
    h = at.begin[j] + at.filled[j]
    at.filled[j] += 1
    at.holder[h], at.where[i], at.taken[i] = i, h, j


@compiled
def stand(at: Seating, i: int) -> None:
    """Takes learner i out of its seat."""
    j, hole = at.taken[i], at.where[i]
    at.filled[j] -= 1
    last = at.holder[at.begin[j] + at.filled[j]]
    at.holder[hole], at.where[last], at.taken[i] = last, hole, -1


@compiled
def shift(at: Seating, parent: Int32s, root: int, j: int) -> None:
    """Seats `root`: parent[j] moves to slot j's open seat, the parent of the slot it left follows, ..."""
    hole = at.begin[j] + at.filled[j]
    at.filled[j] += 1
    while True:
        i = parent[j]
        left, left_hole = at.taken[i], at.where[i]
        at.holder[hole], at.where[i], at.taken[i] = i, hole, j
        if i == root:
            return
        j, hole = left, left_hole


@compiled
def greedy(first: Int64s, slot: Int32s, seats: Int32s, order: Int32s, at: Seating) -> None:
    """Each learner in turn takes the open slot that fewest others still want (Karp and Sipser 1981)."""
    wanted = np.zeros(seats.size, np.int32)
    for e in range(first[first.size - 1]):
        wanted[slot[e]] += 1
    for i in order:
        best, least = np.int32(-1), 1e18
        for e in range(first[i], first[i + 1]):
            j = slot[e]
            wanted[j] -= 1
            if at.filled[j] < seats[j]:
                pressure = wanted[j] / (seats[j] - at.filled[j])
                if pressure < least:
                    least, best = pressure, j
        if best >= 0:
            sit(at, i, best)


@compiled
def search_singly(
    first: Int64s, slot: Int32s, seats: Int32s, order: Int32s, at: Seating, budget: int
) -> bool:
    """A breadth-first search for each learner without a place; True when all have been tried within the
    budget of pairs looked at."""
    hopeless = np.zeros(seats.size, np.bool_)
    seen = np.zeros(seats.size, np.int32)
    queue = np.empty(seats.size, np.int32)
    parent = np.empty(seats.size, np.int32)
    search = np.int32(0)
    for root in order:
        if at.taken[root] >= 0 or first[root] == first[root + 1]:
            continue
        if budget < 0:
            return False
        search += 1
        head, tail, found = 0, 0, np.int32(-1)
        i, h, last = root, np.int64(0), np.int64(0)
        while True:
            budget -= first[i + 1] - first[i]
            for e in range(first[i], first[i + 1]):
                j = slot[e]
                if seen[j] == search or hopeless[j]:
                    continue
                seen[j], parent[j] = search, i
                if at.filled[j] < seats[j]:
                    found = j
                    break
                queue[tail] = j
                tail += 1
            h += 1
            if found < 0 and h >= last and head < tail:
                j = queue[head]
                head += 1
                h, last = at.begin[j], at.begin[j] + at.filled[j]
            if found >= 0 or h >= last:
                break
            i = at.holder[h]
        if found >= 0:
            shift(at, parent, root, found)
            continue
        for q in range(tail):
            hopeless[queue[q]] = True
    return True


@compiled
def phase(first: Int64s, slot: Int32s, seats: Int32s, order: Int32s, at: Seating) -> int:
    """One of Hopcroft and Karp's phases: all disjoint shortest augmenting paths there are; how many."""
    level = np.full(seats.size, np.int32(-1))
    queue = np.empty(seats.size, np.int32)
    nearest = np.int32(2147483647)
    head, tail = 0, 0
    turn = first[:-1].copy()
    for i in order:
        if at.taken[i] < 0:
            for e in range(first[i], first[i + 1]):
                j = slot[e]
                if level[j] < 0:
                    level[j] = 0
                    if at.filled[j] < seats[j]:
                        nearest = np.int32(0)
                    queue[tail] = j
                    tail += 1
    while head < tail:
        j = queue[head]
        head += 1
        if level[j] >= nearest:
            break
        for h in range(at.begin[j], at.begin[j] + at.filled[j]):
            i = at.holder[h]
            for e in range(first[i], first[i + 1]):
                k = slot[e]
                if level[k] < 0:
                    level[k] = level[j] + 1
                    if at.filled[k] < seats[k]:
                        nearest = min(nearest, level[k])
                    queue[tail] = k
                    tail += 1
    if nearest == 2147483647:
        return 0
    path = np.empty(nearest + 2, np.int32)
    parent = np.empty(seats.size, np.int32)
    found = 0
    for root in order:
        if at.taken[root] >= 0 or first[root] == first[root + 1]:
            continue
        depth, path[0], end = 0, root, np.int32(-1)
        while depth >= 0 and end < 0:
            i = path[depth]
            deeper = False
            while turn[i] < first[i + 1] and end < 0:
                j = slot[turn[i]]
                if level[j] == depth:
                    if at.filled[j] < seats[j]:
                        parent[j] = i
                        end = j
                        break
                    if depth < nearest:
                        for h in range(at.begin[j], at.begin[j] + at.filled[j]):
                            k = at.holder[h]
                            if turn[k] < first[k + 1]:
                                parent[j] = i
                                depth += 1
                                path[depth] = k
                                deeper = True
                                break
                        if deeper:
                            break
                turn[i] += 1
            if end < 0 and not deeper:
                depth -= 1
        if end >= 0:
            for d in range(depth + 1):
                turn[path[d]] += 1
            shift(at, parent, root, end)
            found += 1
    return found


@compiled
def place_most(first: Int64s, slot: Int32s, seats: Int32s, tier: Int32s) -> Seating:
    """A seating of the largest number of learners, and among those of the most of tier 0, then 1, ...

    `first` (learners + 1,), `slot` (pairs,): compressed rows; `seats` (slots,); `tier` (learners,), 0 =
    served first. A learner who has been placed is not left without for a later one, which is enough: the
    sets that can be placed together are a matroid (Edmonds and Fulkerson 1965).
    """
    order = fewest_choices_first(first, tier)
    at = empty_seating(tier.size, seats)
    low, budget = 0, 5 * first[tier.size]
    while low < order.size:
        high = low
        while high < order.size and tier[order[high]] == tier[order[low]]:
            high += 1
        group = order[low:high]
        greedy(first, slot, seats, group, at)
        if not search_singly(first, slot, seats, group, at, budget):
            while phase(first, slot, seats, group, at) > 0:
                pass
        low = high
    return at
