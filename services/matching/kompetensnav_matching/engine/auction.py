"""A near-optimal start: learners bid for seats (Bertsekas 1988), with one place outside for those left over.

In each round the least bid is raised by epsilon at least, so that bidding ends; rounds with smaller epsilon
begin with the prices of the last. A slot's price is its lowest accepted bid, once it is full.
"""

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.compiled import compiled
from kompetensnav_matching.engine.shortest_paths import FAR, TOO_FAR, resort

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
PATIENCE = 16


@compiled
def lift(bid: Int32s, bidder: Int32s, begin: int, size: int, key: int, who: int) -> None:
    """Adds a bid to a heap of `size` bids, the least first."""
    at = size
    while at > 0:
        up = (at - 1) >> 1
        if bid[begin + up] <= key:
            break
        bid[begin + at], bidder[begin + at] = bid[begin + up], bidder[begin + up]
        at = up
    bid[begin + at], bidder[begin + at] = key, who


@compiled
def replace_least(bid: Int32s, bidder: Int32s, begin: int, size: int, key: int, who: int) -> None:
    """Puts a bid in the place of the least of a heap."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and bid[begin + child + 1] < bid[begin + child]:
            child += 1
        if bid[begin + child] >= key:
            break
        bid[begin + at], bidder[begin + at] = bid[begin + child], bidder[begin + child]
        at = child
    bid[begin + at], bidder[begin + at] = key, who


@compiled
def auction(
    first: Int64s, slot: Int32s, cost: Int32s, room: Int32s, price: Int32s, steps: Int32s
) -> tuple[Int32s, bool]:
    """(slot of each learner, whether 32 bits were enough); the last slot is the place outside, at no cost.

    `slot`, `cost` (pairs,): sorted by cost in each row; their order changes. `room` (slots + 1,): in all
    as many as there are learners with pairs. `price` (slots + 1,): changed. `steps`: the epsilons,
    falling.
    """
    learners, outside = first.size - 1, room.size - 1
    bound = cost.copy()
    begin = np.zeros(room.size + 1, np.int64)
    for j in range(room.size):
        begin[j + 1] = begin[j] + room[j]
    bid, bidder = np.empty(begin[room.size], np.int32), np.empty(begin[room.size], np.int32)
    filled = np.zeros(room.size, np.int32)
    taken = np.full(learners, np.int32(-1))
    queue = np.empty(learners + 1, np.int32)
    wasted = np.zeros(learners, np.int32)
    for step in steps:
        taken[:] = -1
        filled[:] = 0
        head, waiting = 0, 0
        for i in range(learners):
            if first[i] < first[i + 1]:
                queue[waiting] = i
                waiting += 1
        tail = waiting % queue.size
        while waiting > 0:
            i = queue[head]
            head = (head + 1) % queue.size
            waiting -= 1
            least, best, second, vain = price[outside], np.int32(outside), np.int32(FAR), 0
            low, high = first[i], first[i + 1]
            for e in range(low, high):
                if bound[e] >= second:
                    break
                value = cost[e] + price[slot[e]]
                if value < least:
                    second, least, best = least, value, slot[e]
                elif value < second:
                    second = value
                else:
                    vain += 1
            vain += wasted[i]
            if vain > PATIENCE * (high - low):
                resort(low, high, slot, cost, bound, price)
                vain = 0
            wasted[i] = vain
            if second == FAR:
                second = least + step
            offer = price[best] + (second - least) + step
            if offer > TOO_FAR:
                return taken, False
            at, size = begin[best], filled[best]
            if size < room[best]:
                lift(bid, bidder, at, size, offer, i)
                filled[best], taken[i] = size + 1, best
                if size + 1 == room[best] and bid[at] > price[best]:
                    price[best] = bid[at]
            else:
                out = bidder[at]
                replace_least(bid, bidder, at, size, offer, i)
                taken[i], taken[out] = best, -1
                price[best] = max(price[best], bid[at])
                queue[tail] = out
                tail = (tail + 1) % queue.size
                waiting += 1
    return taken, True
