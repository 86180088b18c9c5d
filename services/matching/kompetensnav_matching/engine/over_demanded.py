"""The split of Dulmage and Mendelsohn (1958): where learners outnumber seats, and the rest."""

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.compiled import compiled
from kompetensnav_matching.engine.most_placed import Seating

Bools = NDArray[np.bool_]


@compiled
def over_demanded(
    first: NDArray[np.int64], slot: NDArray[np.int32], at: Seating, roots: Bools
) -> tuple[Bools, Bools]:
    """(learners, slots) that alternating paths reach from the learners `roots` who have no place.

    With a seating of the largest number, every seat of those slots is taken, in every such seating: one seat
    more in any of them places one learner more, and nobody else may have one.
    """
    learners = np.zeros(first.size - 1, np.bool_)
    slots = np.zeros(at.filled.size, np.bool_)
    stack = np.empty(at.filled.size, np.int32)
    top = 0
    for root in range(first.size - 1):
        if at.taken[root] >= 0 or not roots[root] or first[root] == first[root + 1]:
            continue
        learners[root] = True
        i, h, last = root, np.int64(0), np.int64(0)
        while True:
            for e in range(first[i], first[i + 1]):
                j = slot[e]
                if not slots[j]:
                    slots[j] = True
                    stack[top] = j
                    top += 1
            while True:
                h += 1
                if h >= last:
                    if top == 0:
                        break
                    top -= 1
                    h, last = at.begin[stack[top]], at.begin[stack[top]] + at.filled[stack[top]]
                    if h >= last:
                        continue
                i = at.holder[h]
                if not learners[i]:
                    learners[i] = True
                    break
            if h >= last and top == 0:
                break
    return learners, slots
