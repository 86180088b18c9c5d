"""What keeps a learner from slots: the tests of `candidates`, for one learner and every slot at once."""

import math

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.candidates import Learners, World
from kompetensnav_matching.engine.travel import kilometres, tenths_by_road

Bools = NDArray[np.bool_]


def hindrances(world: World, learner: int, bits: dict[str, int]) -> dict[str, Bools]:
    """Rule -> the slots (slots,) it takes away from the learner.

    Rules: no_seats, not_shared, period, occupation, too_far, and the names of `bits`, which say what the
    bits of `bars` and `lacks` mean.
    """
    slots, them = world.slots, world.learners
    wanted = np.zeros(len(slots.seats), np.bool_)
    for wish in range(them.wish_from[learner], them.wish_from[learner + 1]):
        group = them.wish_group[wish]
        wanted[world.group_slots[world.group_from[group] : world.group_from[group + 1]]] = True
    barred = slots.bars & them.lacks[learner]
    tenths = _tenths(world, them, learner)
    return {
        "no_seats": slots.seats == 0,
        "not_shared": ~world.shared[slots.sharing, them.sharing[learner]],
        "period": (slots.starts < them.starts[learner]) | (slots.ends > them.ends[learner]),
        "occupation": ~wanted,
        **{rule: (barred & mask) != 0 for rule, mask in bits.items()},
        "too_far": (tenths < 0) | (tenths > 10 * int(them.max_minutes[learner])),
    }


def _tenths(world: World, them: Learners, learner: int) -> NDArray[np.int64]:
    here, there = int(them.place[learner]), world.slots.place
    if world.minutes is not None:
        table: NDArray[np.int64] = 10 * world.minutes[here, there].astype(np.int64)
        return table
    found = np.empty(len(there), np.int64)
    for j, place in enumerate(there):
        found[j] = tenths_by_road(kilometres(_chord(world, here, int(place))))
    return found


def _chord(world: World, here: int, there: int) -> float:
    points = []
    for place in (here, there):
        latitude, longitude = math.radians(world.latitude[place]), math.radians(world.longitude[place])
        points.append(
            (
                math.cos(latitude) * math.cos(longitude),
                math.cos(latitude) * math.sin(longitude),
                math.sin(latitude),
            )
        )
    return math.dist(*points)
