"""Where more seats place more learners, counted exactly.

A learner without a place gains one by an alternating path that ends in an open seat (Berge 1957). Seats that
are added to a group of slots are such ends, and nobody who has taken one need move again: each group is
answered by one pass over the pairs that the learners without a place can reach.
"""

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.compiled import compiled
from kompetensnav_matching.engine.most_placed import Seating, empty_seating, sit, stand

Bools = NDArray[np.bool_]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


@compiled
def seated(seats: Int32s, taken: Int32s) -> Seating:
    """The seating in which each learner has the slot of `taken` (learners,), -1 = none."""
    at = empty_seating(taken.size, seats)
    for i in range(taken.size):
        if taken[i] >= 0:
            sit(at, i, taken[i])
    return at


@compiled
def leads_to_open_seat(first: Int64s, slot: Int32s, seats: Int32s, taken: Int32s) -> Bools:
    """Slots (slots,) in which one learner more could be seated, the others moving: those with an open seat,
    and those whose learners could move to such a slot, or so on."""
    leads = np.zeros(seats.size, np.bool_)
    filled = np.zeros(seats.size, np.int32)
    start = np.zeros(seats.size + 1, np.int64)
    for i in range(taken.size):
        if taken[i] >= 0:
            filled[taken[i]] += 1
            for e in range(first[i], first[i + 1]):
                start[slot[e] + 1] += 1
    for j in range(seats.size):
        start[j + 1] += start[j]
    could, at = np.empty(start[seats.size], np.int32), start[:-1].copy()
    for i in range(taken.size):
        if taken[i] >= 0:
            for e in range(first[i], first[i + 1]):
                could[at[slot[e]]] = i
                at[slot[e]] += 1
    stack, top = np.empty(seats.size, np.int32), 0
    for j in range(seats.size):
        if filled[j] < seats[j]:
            leads[j] = True
            stack[top] = j
            top += 1
    while top > 0:
        top -= 1
        j = stack[top]
        for q in range(start[j], start[j + 1]):
            k = taken[could[q]]
            if not leads[k]:
                leads[k] = True
                stack[top] = k
                top += 1
    return leads


@compiled
def sharing(first: Int64s, slot: Int32s, seats: Int32s, taken: Int32s, who: Int32s) -> Int64s:
    """For each learner of `who` without a place: (learners, seats) that share all the places any of them
    could take (Hall 1935). Shape (who, 2); zeros for the last ones when there are too many to look at."""
    at = seated(seats, taken)
    found = np.zeros((who.size, 2), np.int64)
    seen_slot, seen = np.full(seats.size, np.int32(-1)), np.full(taken.size, np.int32(-1))
    stack, budget = np.empty(seats.size, np.int32), 300 * np.int64(slot.size) + 100_000_000
    for w in range(who.size):
        if budget < 0:
            break
        top = 0
        for e in range(first[who[w]], first[who[w] + 1]):
            seen_slot[slot[e]] = w
            stack[top] = slot[e]
            top += 1
        found[w, 0] = 1
        while top > 0:
            top -= 1
            j = stack[top]
            found[w, 1] += seats[j]
            for h in range(at.begin[j], at.begin[j] + at.filled[j]):
                i = at.holder[h]
                if seen[i] == w:
                    continue
                seen[i] = w
                found[w, 0] += 1
                budget -= first[i + 1] - first[i]
                for e in range(first[i], first[i + 1]):
                    if seen_slot[slot[e]] != w:
                        seen_slot[slot[e]] = w
                        stack[top] = slot[e]
                        top += 1
    return found


@compiled
def placed_by_more(
    first: Int64s, slot: Int32s, seats: Int32s, taken: Int32s, group: Int32s, groups: int
) -> Int64s:
    """How many learners more would be placed if the slots of each group had as many seats as could be used;
    the first so many seats each place one. `taken` (learners,) is a seating of the largest number; `group`
    (slots,): each slot's group, -1 = none. Shape (groups,)."""
    counts = np.zeros(groups, np.int64)
    start = seated(seats, taken)
    seen = np.zeros(seats.size, np.int32)
    queue, parent = np.empty(seats.size, np.int32), np.empty(seats.size, np.int32)
    search = np.int32(0)
    for g in range(groups):
        at = Seating(
            start.taken.copy(), start.filled.copy(), start.begin, start.holder.copy(), start.where.copy()
        )
        hopeless = np.zeros(seats.size, np.bool_)
        for root in range(taken.size):
            if taken[root] >= 0 or first[root] == first[root + 1]:
                continue
            search += 1
            head, tail, end = 0, 0, np.int32(-1)
            i, h, last = np.int32(root), np.int64(0), np.int64(0)
            while True:
                for e in range(first[i], first[i + 1]):
                    j = slot[e]
                    if seen[j] == search or hopeless[j]:
                        continue
                    seen[j], parent[j] = search, i
                    if group[j] == g:
                        end = j
                        break
                    queue[tail] = j
                    tail += 1
                h += 1
                while end < 0 and h >= last and head < tail:
                    j = queue[head]
                    head += 1
                    h, last = at.begin[j], at.begin[j] + at.filled[j]
                if end >= 0 or h >= last:
                    break
                i = at.holder[h]
            if end < 0:
                for q in range(tail):
                    hopeless[queue[q]] = True
                continue
            counts[g] += 1
            i = parent[end]
            while i != root:  # whoever takes an added seat is out; each follows into the seat just left
                left = at.taken[i]
                stand(at, i)
                if group[end] != g:
                    sit(at, i, end)
                end, i = left, parent[left]
            if group[end] != g:
                sit(at, i, end)
    return counts
