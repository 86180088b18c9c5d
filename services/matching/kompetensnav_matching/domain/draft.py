"""A round solved: the proposals with their reasons, the proof, and what other ways would give."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from kompetensnav_matching.domain.arrays import as_world, lifted, without
from kompetensnav_matching.domain.reasons import bottlenecks, why_none
from kompetensnav_matching.domain.rules import (
    MOST_PLACED,
    STAY,
    Draft,
    Proof,
    Proposal,
    Request,
    Slot,
    SlotIsFull,
    Travel,
    Way,
    explain,
)

if TYPE_CHECKING:  # the engine is loaded when it is first needed: a service is well before
    from kompetensnav_matching.engine.candidates import World
    from kompetensnav_matching.engine.instance import Instance
    from kompetensnav_matching.engine.solve import Solution


@dataclass(frozen=True)
class Case:
    """What is to be solved: learners and slots with what people have decided, and the terms of the round."""

    requests: Sequence[Request]
    slots: Sequence[Slot]
    travel: Travel
    forbidden: Collection[tuple[UUID, UUID]] = ()
    """(request, slot) pairs that may not be used: earlier refusals, a coordinator's no."""
    fixed: Mapping[UUID, UUID] | None = None
    """Request -> slot, pinned or placed by hand; kept as they are."""
    kept: Mapping[UUID, UUID] | None = None
    """Request -> slot of the draft that is solved again; left for what spares `STAY` minutes or more."""
    mode: str = MOST_PLACED
    new_field: int = 0
    """Minutes of travel that a learner's own wish to try a new field outweighs."""
    seed: int | None = None
    """The lot's, once it has been drawn for the round."""


def propose(
    requests: Collection[Request],
    slots: Collection[Slot],
    travel: Travel,
    *,
    compare: bool = False,
    reasons: bool = True,
    **terms: Any,
) -> Draft:
    """The draft that places most learners and then costs least; `terms` as in `Case`.

    `compare`: whether to work out the other ways too, and where more seats would help; `reasons`: whether to
    say why those without a slot have none. The order of the input changes nothing. Raises SlotIsFull when the
    fixed ones do not fit.
    """
    from kompetensnav_matching.engine.candidates import candidates
    from kompetensnav_matching.engine.instance import Instance
    from kompetensnav_matching.engine.layers import ways

    case = Case(
        sorted(requests, key=lambda r: r.request_id), sorted(slots, key=lambda s: s.slot_id), travel, **terms
    )
    fixed = case.fixed or {}
    by_id = {slot.slot_id: slot for slot in case.slots}
    used = Counter(fixed.values())
    if any(slot_id not in by_id or by_id[slot_id].seats < n for slot_id, n in used.items()):
        raise SlotIsFull
    left = [replace(slot, seats=slot.seats - used[slot.slot_id]) for slot in case.slots]
    free = [request for request in case.requests if request.request_id not in fixed]
    world = as_world(free, left, travel, case.new_field)
    pairs = without(candidates(world), free, left, case.forbidden)
    instance = Instance(pairs.first, pairs.slot, pairs.cost, world.slots.seats)
    tiers = [request.tier for request in free]
    before = _kept(case, free, left)
    solution = _solved(instance, tiers, before)
    inputs, drawn = _hash(case)
    seed = drawn if case.seed is None else case.seed
    found: dict[str, Any] = {}
    if compare or case.mode != MOST_PLACED:
        found = {way.mode: way for way in ways(instance, tiers, seed, solution, _names(free, left))}
    taken = found[case.mode].taken if found else solution.taken
    proposals = _proposals(case, free, left, taken.tolist())
    if reasons:
        proposals += _unplaced(case, free, left, world, instance, taken, compare)
    exact = _solved(instance, tiers, []) if compare and before else solution
    proposals.sort(key=lambda p: p.request_id)
    kept = sum(p.cost for p in proposals if p.request_id in fixed)
    lift = lifted(case.new_field)
    compared = tuple(
        Way(w.mode, w.placed + len(fixed), w.cost - lift * w.placed + kept, w.envious) for w in found.values()
    )
    proof = Proof(
        solution.gap,
        solution.path,
        frozenset(left[j].slot_id for j in solution.crowded.nonzero()[0]),
        seed,
        compared,
        _scarcity(left, instance, exact) if compare and case.mode == MOST_PLACED else None,
        bottlenecks(left, instance, exact) if compare else (),
    )
    return Draft(tuple(proposals), inputs, proof)


def _names(free: Sequence[Request], left: Sequence[Slot]) -> tuple[Any, Any]:
    """Numbers that name learners and slots in the lot, whoever else takes part."""
    import numpy as np

    def short(ids: Iterable[UUID]) -> Any:
        return np.fromiter((id.int & (2**62 - 1) for id in ids), np.int64)

    return short(r.request_id for r in free), short(s.slot_id for s in left)


def _scarcity(left: Sequence[Slot], instance: "Instance", solution: "Solution") -> dict[UUID, int]:
    from kompetensnav_matching.engine.explanations import scarcity

    spared = scarcity(instance, solution)
    return {left[j].slot_id: int(spared[j]) for j in spared.nonzero()[0].tolist() if not solution.crowded[j]}


def _kept(case: Case, free: Sequence[Request], left: Sequence[Slot]) -> list[int]:
    """The slot that each learner had in the draft before, -1 = none; empty when there was no draft."""
    columns = {slot.slot_id: j for j, slot in enumerate(left)}
    kept = {request_id: columns.get(slot_id, -1) for request_id, slot_id in (case.kept or {}).items()}
    return [kept.get(request.request_id, -1) for request in free] if kept else []


def _solved(instance: "Instance", tiers: Sequence[int], kept: Sequence[int]) -> "Solution":
    """The optimum, in which it counts for staying to have had a slot before."""
    import numpy as np

    from kompetensnav_matching.engine.layers import rewarded, staying
    from kompetensnav_matching.engine.solve import solve

    if not kept:
        return solve(instance, tiers)
    bonus = staying(instance, np.array(kept, np.int32), 10 * STAY)
    return solve(rewarded(instance, bonus)[0], tiers)


def _proposals(
    case: Case, free: Sequence[Request], left: Sequence[Slot], taken: Sequence[int]
) -> list[Proposal]:
    """Those who have a slot, with its parts."""
    placed = [(r, left[j], "solver") for r, j in zip(free, taken, strict=True) if j >= 0]
    fixed, by_id = case.fixed or {}, {slot.slot_id: slot for slot in case.slots}
    placed += [(r, by_id[fixed[r.request_id]], "person") for r in case.requests if r.request_id in fixed]
    return [
        Proposal(request.request_id, slot.slot_id, cost, rank, reasons, by)
        for request, slot, by in placed
        for cost, rank, reasons in [explain(request, slot, case.travel, case.new_field)]
    ]


def _unplaced(
    case: Case,
    free: Sequence[Request],
    left: Sequence[Slot],
    world: "World",
    instance: "Instance",
    taken: Any,
    compare: bool,
) -> list[Proposal]:
    """Those who have none, with why."""
    who = (taken < 0).nonzero()[0]
    asked = [free[i] for i in who]
    ids = {request.request_id for request in asked}
    forbidden = [pair for pair in case.forbidden if pair[0] in ids]

    def allowed(pairs: Any) -> Any:
        return without(pairs, asked, left, forbidden)

    # with another aim than most placed, a learner may be without though a seat is open
    reasons = why_none(world, instance, taken, who, allowed if compare and case.mode == MOST_PLACED else None)
    return [Proposal(r.request_id, None, reasons=why) for r, why in zip(asked, reasons, strict=True)]


def ready() -> None:
    """Loads the engine, so that the first round need not wait for it."""
    from kompetensnav_matching.engine import warm

    warm.once()


def that_fit(fixed: Mapping[UUID, UUID], slots: Iterable[Slot]) -> dict[UUID, UUID]:
    """The pairs (request -> slot) whose slots still have seats for them, in the order of the requests."""
    left = {slot.slot_id: slot.seats for slot in slots}
    kept = {}
    for request_id, slot_id in sorted(fixed.items()):
        if left.get(slot_id, 0) > 0:
            left[slot_id] -= 1
            kept[request_id] = slot_id
    return kept


def _hash(case: Case) -> tuple[str, int]:
    """(SHA-256 over what is solved and on which terms; the lot's seed, from the learners and slots alone)."""
    digest = hashlib.sha256()
    for request in case.requests:
        digest.update(
            repr(replace(request, needs=frozenset())).encode() + repr(sorted(request.needs)).encode()
        )
    for slot in case.slots:
        plain = replace(slot, offers_needs=frozenset(), named_municipalities=frozenset())
        digest.update(
            repr(plain).encode()
            + repr((sorted(slot.offers_needs), sorted(slot.named_municipalities))).encode()
        )
    seed = int(digest.hexdigest()[:7], 16)
    decided = (sorted(case.forbidden), sorted((case.fixed or {}).items()), sorted((case.kept or {}).items()))
    digest.update(repr((*decided, case.mode, case.new_field, case.seed)).encode())
    return digest.hexdigest(), seed
