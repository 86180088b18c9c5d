"""The proof: prices under which no assignment can cost less (linear programming duality).

For any prices >= 0 and any assignment, sum of costs >= sum of min(outside, cost + price) - sum of price x
seats; where both are equal the assignment is the cheapest there is. One pass over the pairs checks all of
it.
"""

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.compiled import compiled

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


@compiled
def gap(
    first: Int64s,
    slot: Int32s,
    cost: Int32s,
    seats: Int32s,
    taken: Int32s,
    price: Int64s,
    outside: Int64s,
) -> tuple[int, int, int]:
    """(gap, placed, cost): gap 0 = proved to be the cheapest; -1 = not an assignment at all.

    `outside` (learners,): what it counts to leave each learner out.
    """
    filled = np.zeros(seats.size, np.int64)
    paid, least, placed, total = np.int64(0), np.int64(0), 0, np.int64(0)
    for i in range(first.size - 1):
        level, own = outside[i], np.int64(-1)
        for e in range(first[i], first[i + 1]):
            value = cost[e] + price[slot[e]]
            level = min(level, value)
            if slot[e] == taken[i]:
                own = np.int64(cost[e])
        least += level
        if taken[i] < 0:
            paid += outside[i]
        elif own < 0:
            return -1, 0, 0
        else:
            filled[taken[i]] += 1
            placed += 1
            paid += own
            total += own
    for j in range(seats.size):
        if filled[j] > seats[j] or price[j] < 0:
            return -1, 0, 0
        least -= price[j] * seats[j]
    return paid - least, placed, total
