"""Why a learner has no slot, what would have to be different, and where more seats would help most."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kompetensnav_matching.domain.arrays import hindered
from kompetensnav_matching.domain.rules import CHANGES, LONGER, Bottleneck, Reason, Slot

if TYPE_CHECKING:  # the engine is loaded when it is first needed: a service is well before
    import numpy as np

    from kompetensnav_matching.engine.candidates import Pairs, World
    from kompetensnav_matching.engine.instance import Instance
    from kompetensnav_matching.engine.solve import Solution


def why_none(
    world: "World",
    instance: "Instance",
    taken: "np.ndarray[Any, Any]",
    who: "np.ndarray[Any, Any]",
    allowed: Callable[["Pairs"], "Pairs"] | None,
) -> list[tuple[Reason, ...]]:
    """For each learner of `who`: how many suitable slots went to others, and how many learners share them; or
    the rules that took most slots away, and how many would open up if just one were different.

    With `allowed`, which takes forbidden pairs out, also the smallest single change that would give the
    learner a place without taking anybody else's, and how many slots it would open for that.
    """
    from kompetensnav_matching.engine.bottlenecks import sharing

    suitable = (instance.first[who + 1] - instance.first[who]).tolist()
    rows = who.astype("int32")
    shared = sharing(instance.first, instance.slot, instance.seats, taken, rows).tolist()
    opened = _changes(world, instance, taken, who, allowed) if allowed and len(instance.seats) else {}
    found = []
    for place, learner in enumerate(who.tolist()):
        reasons = list(_rules(world, learner, suitable[place]))
        if suitable[place] and shared[place][0] > shared[place][1]:
            reasons += [
                Reason("sharing_learners", shared[place][0]),
                Reason("shared_seats", shared[place][1]),
            ]
        if place in opened:
            change, slots = opened[place]
            reasons.append(Reason(f"placed_with_{change}", slots))
        found.append(tuple(reasons))
    return found


def _rules(world: "World", learner: int, suitable: int) -> tuple[Reason, ...]:
    every, alone = hindered(world, learner)
    opens = [Reason(f"only_{rule}", n) for rule, n in sorted(alone.items(), key=lambda i: -i[1]) if n]
    if suitable:
        return (Reason("given_to_others", suitable), *opens)
    hinders = (*opens, *(Reason(rule, n) for rule, n in sorted(every.items(), key=lambda i: -i[1]) if n))[:6]
    if not len(world.slots.seats):
        return (Reason("no_slots"),)
    return hinders or (Reason("refused_before"),)


def _changes(
    world: "World",
    instance: "Instance",
    taken: "np.ndarray[Any, Any]",
    who: "np.ndarray[Any, Any]",
    allowed: Callable[["Pairs"], "Pairs"],
) -> dict[int, tuple[str, int]]:
    """Place in `who` -> (the first of `CHANGES` that would do, how many slots it would open)."""
    import numpy as np

    from kompetensnav_matching.engine.bottlenecks import leads_to_open_seat
    from kompetensnav_matching.engine.candidates import candidates, only

    leads = leads_to_open_seat(instance.first, instance.slot, instance.seats, taken)
    some = only(world, who)
    them, many = some.learners, len(who)
    variants = {
        "longer_travel": replace(them, max_minutes=them.max_minutes + np.int32(LONGER)),
        "another_week": replace(them, starts=np.zeros_like(them.starts), ends=np.full_like(them.ends, 2**30)),
        "another_occupation": replace(
            them,
            wish_from=np.arange(many + 1, dtype=np.int64),
            wish_group=np.zeros(many, np.int32),  # the group of all slots
            wish_cost=np.zeros(many, np.int32),
        ),
    }
    found: dict[int, tuple[str, int]] = {}
    for change in CHANGES:
        pairs = allowed(candidates(replace(some, learners=variants[change])))
        opens = np.concatenate([[0], np.cumsum(leads[pairs.slot])])[pairs.first]
        for place, slots in enumerate(np.diff(opens).tolist()):
            if slots:
                found.setdefault(place, (change, slots))
    return found


def bottlenecks(slots: Sequence[Slot], instance: "Instance", solution: "Solution") -> tuple[Bottleneck, ...]:
    """By occupation, municipality and week: how many learners more seats would place, counted exactly."""
    import numpy as np

    from kompetensnav_matching.engine.bottlenecks import placed_by_more

    keys: dict[tuple[Any, ...], int] = {}
    group = np.full(len(slots), -1, np.int32)
    for j in solution.crowded.nonzero()[0].tolist():
        slot = slots[j]
        monday = slot.starts_on - timedelta(days=slot.starts_on.weekday())
        group[j] = keys.setdefault((slot.occupation, slot.municipality, monday), len(keys))
    counts = placed_by_more(
        instance.first, instance.slot, instance.seats, solution.taken, group, len(keys)
    ).tolist()
    seats = np.bincount(group[group >= 0], instance.seats[group >= 0], len(keys)).astype(int).tolist()
    found = [
        Bottleneck(occupation, municipality, week, counts[g], seats[g])
        for (occupation, municipality, week), g in keys.items()
    ]
    return tuple(sorted(found, key=lambda b: (-b.learners, b.occupation, b.municipality, b.week)))
