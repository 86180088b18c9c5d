"""The least prices that prove a solution: what one seat more in each slot would spare all.

A dual of an assignment is not unique, and its least element is what sellers can be sure of (Shapley and
Shubik 1972): the marginal worth of a seat. How far each price can fall is a shortest path, as falling prices
let learners ask for less elsewhere (Dijkstra 1959 over the reduced costs, which are not negative).
"""

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.compiled import compiled
from kompetensnav_matching.engine.heaps import grown, grown_number, pop_pair, push_pair

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


@compiled
def least_prices(
    first: Int64s, slot: Int32s, cost: Int32s, taken: Int32s, price: Int64s, outside: Int64s
) -> Int64s:
    """The least prices (slots,) with which `taken` is still an optimum; the rest as in `Solution`."""
    slots = price.size
    level = outside.copy()
    begin = np.zeros(slots + 1, np.int64)
    for i in range(taken.size):
        if taken[i] >= 0:
            begin[taken[i] + 1] += 1
    for j in range(slots):
        begin[j + 1] += begin[j]
    at, holder = begin[:-1].copy(), np.empty(begin[slots], np.int32)
    for i in range(taken.size):
        j = taken[i]
        if j >= 0:
            holder[at[j]] = i
            at[j] += 1
            for e in range(first[i], first[i + 1]):
                if slot[e] == j:
                    level[i] = cost[e] + price[j]
                    break
    fall = price.copy()
    for i in range(taken.size):
        if taken[i] < 0:
            for e in range(first[i], first[i + 1]):
                fall[slot[e]] = min(fall[slot[e]], cost[e] + price[slot[e]] - level[i])
    heap, number, size = np.empty(slots + 16, np.int64), np.empty(slots + 16, np.int32), 0
    for j in range(slots):
        heap, number = grown(heap, size), grown_number(number, size)
        size = push_pair(heap, number, size, fall[j], j)
    done = np.zeros(slots, np.bool_)
    while size > 0:
        here, k = heap[0], number[0]
        size = pop_pair(heap, number, size)
        if done[k]:
            continue
        done[k] = True
        for h in range(begin[k], begin[k + 1]):
            i = holder[h]
            for e in range(first[i], first[i + 1]):
                j = slot[e]
                there = here + cost[e] + price[j] - level[i]
                if not done[j] and there < fall[j]:
                    fall[j] = there
                    heap, number = grown(heap, size), grown_number(number, size)
                    size = push_pair(heap, number, size, there, j)
    return price - fall
