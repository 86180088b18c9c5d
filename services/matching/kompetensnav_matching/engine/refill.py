"""Seats that are open at a price: each is filled by the cheapest chain of moves, or its price falls until it
may stay open. One shortest path from the slot's side, where holders of seats are the ways on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.augment import Desk, Prices, desk
from kompetensnav_matching.engine.compiled import compiled
from kompetensnav_matching.engine.heaps import grown, grown_number, pop_pair, push_pair
from kompetensnav_matching.engine.most_placed import Seating, sit, stand

Bools = NDArray[np.bool_]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


class Rows(NamedTuple):
    """Pairs by row, sorted by cost, with room to grow: row r is begin[r] to end[r], at most limit[r]."""

    begin: Int64s
    end: Int64s
    limit: Int64s
    other: Int32s
    cost: Int32s
    used: Int64s
    """[how much of `other` and `cost` is in use]"""


class Back(NamedTuple):
    """Room to work in for searches from a slot."""

    distance: Int64s
    seen: Int32s
    goes_to: Int32s
    """The slot each learner would move to."""
    reached: Int64s
    when: Int32s
    leaver: Int32s
    """The learner by whose leaving each slot was reached."""
    visited: Int32s


@compiled
def back(learners: int, slots: int) -> Back:
    """A desk for searches from a slot."""
    return Back(
        np.zeros(learners, np.int64),
        np.zeros(learners, np.int32),
        np.zeros(learners, np.int32),
        np.zeros(slots, np.int64),
        np.zeros(slots, np.int32),
        np.zeros(slots, np.int32),
        np.empty(slots + 1, np.int32),
    )


@compiled
def fill_seat(
    root: int, by_slot: Rows, at: Seating, dual: Prices, away: Bools, work: Desk, desk_back: Back
) -> bool:
    """Fills an open seat of slot `root` by the cheapest chain of moves, or lowers the prices until one may
    stay open; whether the seat was filled."""
    work.search[0] += 1
    search = np.int32(work.search[0])
    price, level, heap, number = dual.price, dual.level, work.heap, work.number
    size, done = 0, 0
    best, newcomer, stays_open = np.int64(1) << 62, np.int32(-1), np.int32(-1)
    j, here = np.int32(root), np.int64(0)
    desk_back.leaver[root] = -1
    while True:
        desk_back.when[j], desk_back.reached[j], desk_back.visited[done] = search, here, j
        done += 1
        if here + price[j] < best:
            best, stays_open, newcomer = here + price[j], j, np.int32(-1)
        for e in range(by_slot.begin[j], by_slot.end[j]):
            i = by_slot.other[e]
            if away[i]:
                continue
            there = here + by_slot.cost[e] + price[j] - level[i]
            if there >= best or (desk_back.seen[i] == search and there >= desk_back.distance[i]):
                continue
            k = at.taken[i]
            if k == j or (k >= 0 and desk_back.when[k] == search):
                continue
            desk_back.seen[i], desk_back.distance[i], desk_back.goes_to[i] = search, there, j
            if k < 0:
                best, newcomer, stays_open = there, i, np.int32(-1)
            else:
                heap, number = grown(heap, size), grown_number(number, size)
                size = push_pair(heap, number, size, there, i)
        j = np.int32(-1)
        while size > 0 and heap[0] < best:
            here, i = heap[0], number[0]
            size = pop_pair(heap, number, size)
            if desk_back.distance[i] == here and desk_back.when[at.taken[i]] != search:
                j = at.taken[i]
                desk_back.leaver[j] = i
                break
        if j < 0:
            break
    for q in range(done):
        j = desk_back.visited[q]
        fall = best - desk_back.reached[j]
        if fall > 0:
            price[j] -= fall
            for h in range(at.begin[j], at.begin[j] + at.filled[j]):
                level[at.holder[h]] -= fall
    if newcomer < 0 and stays_open == root:
        return False
    first = newcomer if newcomer >= 0 else desk_back.leaver[stays_open]
    i = first
    while i >= 0:
        if at.taken[i] >= 0:
            stand(at, i)
        i = desk_back.leaver[desk_back.goes_to[i]]
    i = first
    while i >= 0:
        sit(at, i, desk_back.goes_to[i])
        i = desk_back.leaver[desk_back.goes_to[i]]
    return True


@compiled
def by_slot(first: Int64s, slot: Int32s, cost: Int32s, slots: int) -> Rows:
    """The pairs as rows of slots, in no order within a row."""
    start = np.zeros(slots + 1, np.int64)
    for e in range(slot.size):
        start[slot[e] + 1] += 1
    for j in range(slots):
        start[j + 1] += start[j]
    at = start[:-1].copy()
    who, price = np.empty(slot.size, np.int32), np.empty(slot.size, np.int32)
    for i in range(first.size - 1):
        for e in range(first[i], first[i + 1]):
            k = at[slot[e]]
            at[slot[e]] += 1
            who[k], price[k] = i, cost[e]
    return Rows(start[:-1].copy(), at, at, who, price, start[-1:].copy())


@compiled
def settle_open_seats(pairs: Rows, room: Int32s, at: Seating, dual: Prices) -> None:
    """Until no open seat of `room` (slots,) has a price."""
    nobody = np.zeros(at.taken.size, np.bool_)
    work, desk_back = desk(room.size), back(at.taken.size, room.size)
    for j in range(room.size):
        while at.filled[j] < room[j] and dual.price[j] > 0:
            if not fill_seat(j, pairs, at, dual, nobody, work, desk_back):
                break
