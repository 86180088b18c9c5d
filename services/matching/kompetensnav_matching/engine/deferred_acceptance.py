"""Stable placing: learners propose, slots keep the best so far (Gale and Shapley 1962).

The result is the best stable one for every learner, and no learner gains by hiding a wish (Roth 1982).
"""

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.compiled import compiled
from kompetensnav_matching.engine.instance import Instance

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


@compiled
def lottery(learner: int, slot: int, seed: int) -> int:
    """A draw from 0 to 2^31 - 1 that anyone can repeat (the finalizer of splitmix64; Steele et al. 2014)."""
    x = (
        np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
        + np.uint64(learner) * np.uint64(0xBF58476D1CE4E5B9)
        + np.uint64(slot) * np.uint64(0x94D049BB133111EB)
    )
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return np.int64(x >> np.uint64(33))


def stable(instance: Instance, rank: Int32s) -> Int32s:
    """The slot of each learner, -1 = none, by the learners' order of cost and the slots' `rank`.

    `rank` (pairs,): of the learner in the eyes of the slot, the least is kept first; equal ranks by learner.
    """
    return propose(instance.first, instance.slot, instance.seats, np.asarray(rank, np.int32))


@compiled
def propose(first: Int64s, slot: Int32s, seats: Int32s, rank: Int32s) -> Int32s:
    """Deferred acceptance; rows are in the learners' order of preference."""
    learners = first.size - 1
    begin = np.zeros(seats.size + 1, np.int64)
    for j in range(seats.size):
        begin[j + 1] = begin[j] + seats[j]
    held = np.empty(begin[seats.size], np.int64)  # of each slot a heap, the worst first
    filled = np.zeros(seats.size, np.int32)
    turn = first[:-1].copy()
    taken = np.full(learners, np.int32(-1))
    for each in range(learners):
        i = each
        while i >= 0:
            out = -1
            while turn[i] < first[i + 1]:
                e = turn[i]
                turn[i] += 1
                j = slot[e]
                key = -((np.int64(rank[e]) << 32) | i)
                low, size = begin[j], filled[j]
                if size < seats[j]:
                    at = size
                    while at > 0:
                        up = (at - 1) >> 1
                        if held[low + up] <= key:
                            break
                        held[low + at] = held[low + up]
                        at = up
                    held[low + at] = key
                    filled[j], taken[i] = size + 1, j
                    break
                if size > 0 and held[low] < key:
                    out = np.int64(-held[low]) & 0xFFFFFFFF
                    at = 0
                    while True:
                        child = 2 * at + 1
                        if child >= size:
                            break
                        if child + 1 < size and held[low + child + 1] < held[low + child]:
                            child += 1
                        if held[low + child] >= key:
                            break
                        held[low + at] = held[low + child]
                        at = child
                    held[low + at] = key
                    taken[i], taken[out] = j, -1
                    break
            i = out
    return taken


@compiled
def envy(first: Int64s, slot: Int32s, cost: Int32s, seats: Int32s, rank: Int32s, taken: Int32s) -> int:
    """How many learners would rather have a slot that would rather have them, or has an open seat."""
    worst = np.full(seats.size, np.int64(-1))
    filled = np.zeros(seats.size, np.int32)
    for i in range(taken.size):
        for e in range(first[i], first[i + 1]):
            if slot[e] == taken[i]:
                filled[slot[e]] += 1
                worst[slot[e]] = max(worst[slot[e]], (np.int64(rank[e]) << 32) | i)
    found = 0
    for i in range(taken.size):
        for e in range(first[i], first[i + 1]):
            j = slot[e]
            if j == taken[i]:
                break
            if filled[j] < seats[j] or worst[j] > ((np.int64(rank[e]) << 32) | i):
                found += 1
                break
    return found


@compiled
def drawn(
    first: Int64s, slot: Int32s, tier: Int32s, seed: int, learner_name: Int64s, slot_name: Int64s
) -> Int32s:
    """A rank (pairs,) for slots without an opinion: tier by tier, and within a tier by lot. The lot of a pair
    follows from the seed and the numbers that name the two, whoever else takes part."""
    rank = np.empty(slot.size, np.int32)
    for i in range(first.size - 1):
        for e in range(first[i], first[i + 1]):
            rank[e] = (min(tier[i], 15) << 27) | (
                lottery(learner_name[i], slot_name[slot[e]], seed) & 0x7FFFFFF
            )
    return rank
