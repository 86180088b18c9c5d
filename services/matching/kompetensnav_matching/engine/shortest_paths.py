"""Least cost for rows that can all be placed: one shortest augmenting path after another.

Successive shortest paths with prices (Jonker and Volgenant 1987, for columns with several places), where
each row's pairs stay sorted by an old cost + price, a lower bound, and are sorted anew when too many were
looked at in vain.
"""

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.compiled import compiled
from kompetensnav_matching.engine.heaps import grown, pop, push

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
FAR = 2_000_000_000
"""No distance is as large."""
TOO_FAR = 2**30
"""Distances beyond are not trusted to 32 bits: the caller solves in 64."""
PATIENCE = 2
"""A row is sorted anew when so many times its length was looked at in vain."""


@compiled
def resort(low: int, high: int, column: Int32s, cost: Int32s, bound: Int32s, price: Int32s) -> None:
    """Sorts pairs low to high by cost + price, which becomes their bound (Shell's sort)."""
    for e in range(low, high):
        bound[e] = cost[e] + price[column[e]]
    gap = 1
    while gap < (high - low) // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for a in range(low + gap, high):
            key, c, k, b = bound[a], column[a], cost[a], a
            while b >= low + gap and bound[b - gap] > key:
                bound[b], column[b], cost[b] = bound[b - gap], column[b - gap], cost[b - gap]
                b -= gap
            bound[b], column[b], cost[b] = key, c, k
        gap //= 3


@compiled
def assign(
    row_of: Int32s, first: Int64s, column: Int32s, cost: Int32s, room: Int32s, price: Int32s
) -> tuple[Int32s, Int32s, bool]:
    """(column of each unit or -1, level of each unit, whether 32 bits were enough).

    `row_of` (units,): the compressed row whose pairs a unit has; units of one row are alike. `column`,
    `cost` (pairs,): sorted by cost in each row; their order changes. `room` (columns,). `price`
    (columns,): 0, and the prices afterwards. Every unit that has pairs must be placeable together with all
    others. A unit's level is the least cost + price of its pairs, which the pair it got has.
    """
    units = row_of.size
    bound = cost.copy()
    wasted = np.zeros(first.size - 1, np.int32)
    level = np.zeros(units, np.int32)
    chosen = np.full(units, np.int32(-1))
    begin = np.zeros(room.size + 1, np.int64)
    for j in range(room.size):
        begin[j + 1] = begin[j] + room[j]
    holder = np.empty(begin[room.size], np.int32)
    filled = np.zeros(room.size, np.int32)
    where = np.zeros(units, np.int32)
    for r in range(units):
        low, high = first[row_of[r]], first[row_of[r] + 1]
        if low == high:
            continue
        level[r] = cost[low]
        for e in range(low, high):
            if cost[e] != cost[low]:
                break
            j = column[e]
            if filled[j] < room[j]:
                h = begin[j] + filled[j]
                filled[j] += 1
                holder[h], where[r], chosen[r] = r, h, j
                break

    distance = np.zeros(room.size, np.int32)
    seen = np.zeros(room.size, np.int32)
    parent = np.zeros(room.size, np.int32)
    settled = np.empty(room.size + 1, np.int32)
    heap = np.empty(1 << 16, np.int64)
    search = np.int32(0)
    for root in range(units):
        low, high = first[row_of[root]], first[row_of[root] + 1]
        if chosen[root] >= 0 or low == high:
            continue
        search += 1
        least = np.int32(FAR)
        for e in range(low, high):
            if bound[e] >= least:
                break
            value = cost[e] + price[column[e]]
            least = min(least, value)
        level[root] = least
        best, end = np.int32(FAR), np.int32(-1)
        size, done = 0, 0
        r, here = np.int32(root), np.int32(0)
        h, last = np.int64(0), np.int64(0)
        while True:
            row = row_of[r]
            low, high = first[row], first[row + 1]
            shift = here - level[r]
            limit = best - shift
            e, vain = low, 0
            while e < high:
                if bound[e] >= limit:
                    break
                j = column[e]
                value = cost[e] + price[j]
                e += 1
                if value >= limit:
                    vain += 1
                    continue
                there = shift + value
                if seen[j] == search and there >= distance[j]:
                    continue
                seen[j], distance[j], parent[j] = search, there, r
                if filled[j] < room[j]:
                    best, end = there, j
                    limit = best - shift
                else:
                    heap = grown(heap, size)
                    size = push(heap, size, (np.int64(there) << 32) | np.int64(j))
            vain += wasted[row]
            if vain > PATIENCE * (high - low):
                resort(low, high, column, cost, bound, price)
                vain = 0
            wasted[row] = vain
            h += 1
            if h >= last:
                j = np.int32(-1)
                while size > 0:
                    key = heap[0]
                    here = np.int32(key >> 32)
                    if here >= best:
                        break
                    k = np.int32(key & 0xFFFFFFFF)
                    size = pop(heap, size)
                    if distance[k] == here:
                        j = k
                        break
                if j < 0:
                    break
                settled[done] = j
                done += 1
                h, last = begin[j], begin[j] + filled[j]
            r = holder[h]
        if end < 0:
            continue
        if best > TOO_FAR:
            return chosen, level, False
        for q in range(done):
            j = settled[q]
            rise = best - distance[j]
            price[j] += rise
            if price[j] > TOO_FAR:
                return chosen, level, False
            for h in range(begin[j], begin[j] + filled[j]):
                level[holder[h]] += rise
        level[root] += best
        j, hole = end, begin[end] + filled[end]
        filled[end] += 1
        while True:
            r = parent[j]
            left, left_hole = chosen[r], where[r]
            holder[hole], where[r], chosen[r] = r, hole, j
            if r == root:
                break
            j, hole = left, left_hole
    return chosen, level, True
