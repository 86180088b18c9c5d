"""Why this slot, why not that one, why none: read from the proof, or found by trying."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.bottlenecks import sharing
from kompetensnav_matching.engine.instance import BadInstance, Instance
from kompetensnav_matching.engine.least_prices import least_prices
from kompetensnav_matching.engine.repair import Plan
from kompetensnav_matching.engine.solve import Solution


@dataclass(frozen=True)
class Forced:
    """What it would take to give a learner a slot, everybody else then being placed as well as can be."""

    moved: int
    """How many others would have another slot, or none."""
    placed: int
    """How many more would be placed in all; -1 when one less is."""
    cost: int
    """What it would cost more in all."""


@dataclass(frozen=True)
class Chosen:
    """A learner's slot and what stands behind it."""

    slot: int
    cost: int
    scarcity: int
    """What one seat more in the slot would spare all in cost; 0 when it has an open seat."""
    crowded: bool
    """One seat more would place one learner more."""


@dataclass(frozen=True)
class Shared:
    """Learners who have only these places to share (Hall 1935)."""

    learners: int
    seats: int


def chosen(instance: Instance, solution: Solution, learner: int) -> Chosen | None:
    """A learner's slot, None when there is none. Raises BadInstance for an unknown learner."""
    _known(learner, instance.learners, "learner")
    slot = int(solution.taken[learner])
    if slot < 0:
        return None
    row = slice(instance.first[learner], instance.first[learner + 1])
    cost = int(instance.cost[row][instance.slot[row] == slot][0])
    crowded = bool(solution.crowded[slot])
    return Chosen(slot, cost, 0 if crowded else int(scarcity(instance, solution)[slot]), crowded)


def scarcity(instance: Instance, solution: Solution) -> NDArray[np.int64]:
    """What one seat more in each slot would spare all in cost, where it would place nobody more. Shape
    (slots,)."""
    return least_prices(
        instance.first, instance.slot, instance.cost, solution.taken, solution.price, solution.outside
    )


def if_forced(plan: Plan, learner: int, slot: int, cost: int) -> Forced:
    """What changes if the learner is put in the slot, at that cost; the plan stays as it is.

    Exact: the rest is solved again around the pair. Raises BadInstance for an unknown learner or slot, and a
    slot without seats.
    """
    _known(learner, plan.learners, "learner")
    _known(slot, plan.slots, "slot")
    _, placed, before = plan.proof
    trial = plan.copy()
    others = trial.force(learner, slot)
    _, rest, after = trial.proof
    return Forced(int((others != learner).sum()), rest + 1 - placed, after + cost - before)


def shared_by(instance: Instance, solution: Solution, learner: int) -> Shared | None:
    """How many learners share how many places, for one without a place: all that any of them could take is
    among these. None for a learner with a slot, or without any pair."""
    _known(learner, instance.learners, "learner")
    if solution.taken[learner] >= 0 or instance.first[learner] == instance.first[learner + 1]:
        return None
    who = np.array([learner], np.int32)
    learners, seats = sharing(instance.first, instance.slot, instance.seats, solution.taken, who)[0]
    return Shared(int(learners), int(seats))


def _known(number: int, size: int, what: str) -> None:
    if not 0 <= number < size:
        raise BadInstance(f"there is no {what} {number}: they are 0 to {size - 1}", number)
