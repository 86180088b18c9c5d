"""Which learner could take which slot, and at what cost: one row of masks per learner over all its wished
slots.

Costs are integers in tenths of a minute, so that no order of additions can change a result.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

RULES = ("no_seats", "not_shared", "period", "occupation", "language", "needs", "too_far")
"""The hard rules, in the order they are told. Placement type is the round's own and is not looked at again.
"""


@dataclass(frozen=True)
class Slots:
    """n slots as columns, each of shape (n,)."""

    seats: Ints
    starts: Ints
    """Days since 0001-01-01."""
    ends: Ints
    level: Ints
    """Lowest language level, as a number."""
    offers: Ints
    """Requirement codes it can meet, as bits."""
    locality: Ints
    sharing: Ints
    """Row in the sharing table."""


@dataclass(frozen=True)
class Learners:
    """m learners as columns of shape (m,), and their wishes as compressed rows."""

    starts: Ints
    ends: Ints
    level: Ints
    needs: Ints
    locality: Ints
    max_minutes: Ints
    sharing: Ints
    """Column in the sharing table."""
    wish_from: Ints
    """Shape (m + 1,): learner i's wishes are wish_from[i] to wish_from[i + 1]."""
    wish_group: Ints
    """The group of slots each wish speaks of."""
    wish_cost: Ints


@dataclass(frozen=True)
class World:
    """Slots, learners, and the tables that both refer to."""

    slots: Slots
    learners: Learners
    group_from: Ints
    """Shape (groups + 1,): group g's slots are group_slots[group_from[g] : group_from[g + 1]]."""
    group_slots: Ints
    minutes: Ints
    """Shape (localities, localities): travel one way; -1 = unknown."""
    shared: Bools
    """Shape (slot sharing, learner sharing): may the learner use the slot?"""


@dataclass(frozen=True)
class Edges:
    """Pairs that are possible: columns of equal length, sorted by learner, then slot."""

    learner: Ints
    slot: Ints
    cost: Ints
    wish: Ints
    """Which wish of the learner (0 = first) it met; the cheapest."""
    minutes: Ints


def wished(world: World, learner: int) -> tuple[Ints, Ints, Ints]:
    """(slots, cost, wish) that a learner's wishes speak of: each slot once, at its cheapest wish."""
    them = world.learners
    low, high = them.wish_from[learner], them.wish_from[learner + 1]
    groups = them.wish_group[low:high]
    sizes = world.group_from[groups + 1] - world.group_from[groups]
    if not sizes.sum():
        empty = np.empty(0, np.int64)
        return empty, empty, empty
    slots = np.concatenate([world.group_slots[world.group_from[g] : world.group_from[g + 1]] for g in groups])
    cost = np.repeat(them.wish_cost[low:high], sizes)
    wish = np.repeat(np.arange(high - low), sizes)
    order = np.lexsort((wish, cost, slots))
    slots, cost, wish = slots[order], cost[order], wish[order]
    first = np.ones(len(slots), np.bool_)
    first[1:] = slots[1:] != slots[:-1]
    return slots[first], cost[first], wish[first]


def masks(world: World, learner: int, slots: Ints) -> tuple[dict[str, Bools], Ints]:
    """For each rule but occupation whether each slot passes, and the minutes of travel (-1 = unknown)."""
    them, those = world.learners, world.slots
    minutes = world.minutes[them.locality[learner], those.locality[slots]]
    return {
        "no_seats": those.seats[slots] > 0,
        "not_shared": world.shared[those.sharing[slots], them.sharing[learner]],
        "period": (those.starts[slots] >= them.starts[learner]) & (those.ends[slots] <= them.ends[learner]),
        "language": those.level[slots] <= them.level[learner],
        "needs": (them.needs[learner] & ~those.offers[slots]) == 0,
        "too_far": (minutes >= 0) & (minutes <= them.max_minutes[learner]),
    }, minutes


def candidates(world: World) -> Edges:
    """Every possible pair. Time grows with the number of wished pairs, not with learners x slots."""
    columns: list[tuple[Ints, Ints, Ints, Ints, Ints]] = []
    for learner in range(len(world.learners.starts)):
        slots, cost, wish = wished(world, learner)
        passes, minutes = masks(world, learner, slots)
        good = np.logical_and.reduce(list(passes.values()))
        if good.any():
            columns.append(
                (
                    np.full(int(good.sum()), learner, np.int64),
                    slots[good],
                    cost[good] + 10 * minutes[good],
                    wish[good],
                    minutes[good],
                )
            )
    if not columns:
        empty = np.empty(0, np.int64)
        return Edges(empty, empty, empty, empty, empty)
    return Edges(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def hindrances(world: World, learner: int) -> dict[str, int]:
    """How many slots each rule takes away from the learner, over all slots of the round."""
    every = np.arange(len(world.slots.seats))
    passes, _ = masks(world, learner, every)
    wanted = np.zeros(len(every), np.bool_)
    wanted[wished(world, learner)[0]] = True
    passes["occupation"] = wanted
    return {rule: int((~passes[rule]).sum()) for rule in RULES}


def nearly(world: World, learner: int) -> dict[str, int]:
    """How many slots each rule alone takes away: what would open up if just that were different."""
    every = np.arange(len(world.slots.seats))
    passes, _ = masks(world, learner, every)
    wanted = np.zeros(len(every), np.bool_)
    wanted[wished(world, learner)[0]] = True
    passes["occupation"] = wanted
    failing = np.add.reduce([~p for p in passes.values()])
    return {rule: int((~passes[rule] & (failing == 1)).sum()) for rule in RULES}
