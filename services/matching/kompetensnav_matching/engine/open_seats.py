"""The finish on the slots' side: seats that are left open are filled by shortest paths from their slot.

The mirror of `augment`: in the over-demanded part every seat must be filled, and learners may be left over.
"""

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.compiled import compiled
from kompetensnav_matching.engine.heaps import grown, pop, push
from kompetensnav_matching.engine.shortest_paths import FAR, PATIENCE, TOO_FAR, resort

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


@compiled
def fill_open_seats(
    first: Int64s, learner: Int32s, cost: Int32s, taken: Int32s, rent: Int32s, level: Int32s, open_: Int32s
) -> bool:
    """Fills `open_` (slots,) seats of each slot, changing `taken` (learners,); whether 32 bits were enough.

    `first` (slots + 1,), `learner`, `cost` (pairs,): rows of slots, whose order changes. `rent`
    (learners,), at least 0, and 0 for those without a place, and `level` (slots,) are the dual: cost +
    rent >= level, equal for pairs that are used.
    """
    slots = open_.size
    bound = cost.copy()
    wasted = np.zeros(slots, np.int32)
    for j in range(slots):
        resort(first[j], first[j + 1], learner, cost, bound, rent)
    distance = np.zeros(taken.size, np.int32)
    seen = np.zeros(taken.size, np.int32)
    parent = np.zeros(taken.size, np.int32)
    reached = np.zeros(slots, np.int32)
    through = np.zeros(slots, np.int32)
    visited, at = np.empty(slots + 1, np.int32), np.empty(slots + 1, np.int32)
    heap = np.empty(1 << 16, np.int64)
    search = np.int32(0)
    for root in range(slots):
        while open_[root] > 0:
            search += 1
            best, end = np.int32(FAR), np.int32(-1)
            size, done = 0, 0
            j, here = np.int32(root), np.int32(0)
            reached[root] = search
            while True:
                visited[done], at[done] = j, here
                done += 1
                shift = here - level[j]
                limit = best - shift
                low, high = first[j], first[j + 1]
                e, vain = low, 0
                while e < high:
                    if bound[e] >= limit:
                        break
                    i = learner[e]
                    value = cost[e] + rent[i]
                    e += 1
                    if value >= limit:
                        vain += 1
                        continue
                    there = shift + value
                    if seen[i] == search and there >= distance[i]:
                        continue
                    k = taken[i]
                    if k >= 0 and reached[k] == search:
                        continue
                    seen[i], distance[i], parent[i] = search, there, j
                    if k < 0:
                        best, end = there, i
                        limit = best - shift
                    else:
                        heap = grown(heap, size)
                        size = push(heap, size, (np.int64(there) << 32) | np.int64(i))
                vain += wasted[j]
                if vain > PATIENCE * (high - low):
                    resort(low, high, learner, cost, bound, rent)
                    vain = 0
                wasted[j] = vain
                j = np.int32(-1)
                while size > 0:
                    key = heap[0]
                    here = np.int32(key >> 32)
                    if here >= best:
                        break
                    i = np.int32(key & 0xFFFFFFFF)
                    size = pop(heap, size)
                    if distance[i] == here and reached[taken[i]] != search:
                        j = taken[i]
                        break
                if j < 0:
                    break
                reached[j], through[j] = search, i
            if end < 0 or best > TOO_FAR:
                return False
            for q in range(done):
                j = visited[q]
                rise = best - at[q]
                if rise > 0:
                    level[j] += rise
                    if level[j] > TOO_FAR:
                        return False
                    for e in range(first[j], first[j + 1]):
                        if taken[learner[e]] == j:
                            rent[learner[e]] += rise
            i = end
            while True:
                j = parent[i]
                taken[i] = j
                if j == root:
                    break
                i = through[j]
            open_[root] -= 1
    return True
