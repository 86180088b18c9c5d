"""What may be added to the costs, each part bounded, and the three ways to place with the price of each.

Parts are in the cost's own unit (tenths of a minute). As everybody who can be placed is, adding the same
to all pairs changes nothing: bonuses are taken off after everything has been lifted by the largest of
them.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kompetensnav_matching.engine.deferred_acceptance import drawn, envy, propose
from kompetensnav_matching.engine.instance import Instance
from kompetensnav_matching.engine.solve import Solution, solve

Mode = Literal["most_placed", "stable", "stable_filled"]
MODES: tuple[Mode, ...] = ("most_placed", "stable", "stable_filled")
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


def rewarded(instance: Instance, bonus: NDArray[np.integer]) -> tuple[Instance, int]:
    """(the instance with `bonus` (pairs,), at least 0, taken off each pair's cost, what was added to all)."""
    lift = int(bonus.max(initial=0))
    rows = np.repeat(np.arange(instance.learners), np.diff(instance.first))
    cost = instance.cost.astype(np.int64) + lift - bonus
    return Instance.of(instance.learners, instance.seats, rows, instance.slot, cost), lift


def staying(instance: Instance, taken: NDArray[np.integer], bonus: int) -> NDArray[np.int64]:
    """The bonus (pairs,) for keeping what each learner has, so that a new solution moves few."""
    rows = np.repeat(np.arange(instance.learners), np.diff(instance.first))
    return np.where(instance.slot == np.asarray(taken)[rows], bonus, 0)


@dataclass(frozen=True)
class Way:
    """One way to place, in numbers."""

    mode: Mode
    taken: Int32s
    placed: int
    cost: int
    envious: int
    """Learners who would rather have a slot that would rather have them."""


def ways(
    instance: Instance,
    tier: ArrayLike,
    seed: int,
    optimum: Solution | None = None,
    names: tuple[Int64s, Int64s] | None = None,
) -> list[Way]:
    """The three ways side by side: most placed; stable; stable, then as many as possible with few moved.

    In the stable ones slots rank learners by tier (learners,), and within a tier by lot; `seed` is the lot's,
    and `names` numbers that name the learners and the slots, their rows if there are none.
    """
    tiers = np.asarray(tier, np.int32)
    best = optimum or solve(instance, tiers)
    learner_name, slot_name = names or (np.arange(instance.learners), np.arange(len(instance.seats)))
    rank = drawn(instance.first, instance.slot, tiers, seed, learner_name, slot_name)
    fair = propose(instance.first, instance.slot, instance.seats, rank)
    bonus = staying(instance, fair, 4 * (instance.greatest_cost + 1))
    filled = solve(rewarded(instance, bonus)[0], tiers)
    return [
        _way(mode, instance, rank, taken)
        for mode, taken in zip(MODES, (best.taken, fair, filled.taken), strict=True)
    ]


def _way(mode: Mode, instance: Instance, rank: Int32s, taken: Int32s) -> Way:
    cost = int(instance.cost_of(taken).sum())
    envious = envy(instance.first, instance.slot, instance.cost, instance.seats, rank, taken)
    return Way(mode, taken, int((taken >= 0).sum()), cost, envious)
