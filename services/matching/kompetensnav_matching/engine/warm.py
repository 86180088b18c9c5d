"""Every kernel compiled, or read from the cache: at build, and once when a service starts."""

import functools

import numpy as np

from kompetensnav_matching.engine import bottlenecks, explanations
from kompetensnav_matching.engine.candidates import Learners, Slots, World, candidates
from kompetensnav_matching.engine.instance import Instance
from kompetensnav_matching.engine.layers import ways
from kompetensnav_matching.engine.repair import Plan
from kompetensnav_matching.engine.solve import solve


@functools.cache
def once() -> None:
    """Runs each kernel on a very small round, with and without a travel table."""
    chance = np.random.default_rng(1)
    many, few = 40, 12
    for table in (None, np.full((4, 4), 10, np.int32)):
        zeros = np.zeros(few, np.int32)
        world = World(
            slots=Slots(
                np.ones(few, np.int32), zeros, zeros, zeros.astype(np.int64),
                chance.integers(0, 4, few).astype(np.int32), zeros,
            ),
            learners=Learners(
                np.zeros(many, np.int32), np.ones(many, np.int32), np.zeros(many, np.int64),
                chance.integers(0, 4, many).astype(np.int32), np.full(many, 60, np.int32),
                np.zeros(many, np.int32), np.arange(many + 1), np.zeros(many, np.int32),
                np.zeros(many, np.int32),
            ),
            group_from=np.array([0, few]),
            group_slots=np.arange(few, dtype=np.int32),
            latitude=np.array([65.0, 65.1, 65.2, 65.3]),
            longitude=np.array([21.0, 21.1, 21.2, 21.3]),
            shared=np.ones((1, 1), np.bool_),
            minutes=table,
        )  # fmt: skip
        pairs = candidates(world)
        instance = Instance(pairs.first, pairs.slot, pairs.cost, world.slots.seats)
    rows = pairs.learner
    instance = Instance.of(many, np.ones(few), rows, pairs.slot, chance.integers(0, 99, len(rows)))
    tiers = chance.integers(0, 2, many)
    for path in ("slots", "auction", "plain"):
        solution = solve(instance, tiers, path)
    ways(instance, tiers, 1, solution)
    arrays = (instance.first, instance.slot, instance.seats, solution.taken)
    bottlenecks.leads_to_open_seat(*arrays)
    bottlenecks.placed_by_more(*arrays, np.zeros(few, np.int32), 1)
    bottlenecks.sharing(*arrays, np.flatnonzero(solution.taken < 0).astype(np.int32))
    explanations.scarcity(instance, solution)
    plan = Plan(instance, solution, tiers)
    placed = np.flatnonzero(plan.taken >= 0)
    plan.decline(int(placed[0]))
    plan.set_seats(0, 3)
    slot, _ = plan.add_slot(1, [(0, 5)])
    plan.add_learner([(slot, 1)])
    assert plan.proof[0] == 0


if __name__ == "__main__":
    once()
