"""The assignment: most learners placed, then least cost, by minimum-cost maximum flow.

OR-Tools' SimpleMinCostFlow is a cost-scaling push-relabel method (Goldberg and Tarjan 1990; Bünnagel, Korte
and Vygen 1998). It maximises the flow first and its cost second, so no artificial large cost is needed.
"""

import numpy as np
from numpy.typing import NDArray
from ortools.graph.python import min_cost_flow

Ints = NDArray[np.int64]


def assign(learners: int, seats: Ints, learner: Ints, slot: Ints, cost: Ints) -> Ints:
    """The slot of each learner, -1 for none. Shape (learners,).

    `seats`: shape (slots,), how many learners each slot takes. `learner`, `slot`, `cost`: shape (edges,), the
    possible pairs; costs are integers. The result depends on the order of the arrays only among equal optima.
    """
    taken = np.full(learners, -1, np.int64)
    if not len(learner):
        return taken
    source, sink = learners + len(seats), learners + len(seats) + 1
    solver = min_cost_flow.SimpleMinCostFlow()
    rows, places = np.arange(learners), np.arange(len(seats))
    tail = np.concatenate([np.full(learners, source), learner, learners + places])
    head = np.concatenate([rows, learners + slot, np.full(len(seats), sink)])
    room = np.concatenate([np.ones(learners, np.int64), np.ones(len(learner), np.int64), seats])
    price = np.concatenate([np.zeros(learners, np.int64), cost, np.zeros(len(seats), np.int64)])
    arcs = solver.add_arcs_with_capacity_and_unit_cost(tail, head, room, price)
    most = min(learners, int(seats.sum()))
    solver.set_nodes_supplies(np.array([source, sink]), np.array([most, -most]))
    status = solver.solve_max_flow_with_min_cost()
    if status != solver.OPTIMAL:
        raise RuntimeError(f"the flow solver ended with status {status}")
    flow = solver.flows(arcs[learners : learners + len(learner)])
    used = flow > 0
    taken[learner[used]] = slot[used]
    return taken
