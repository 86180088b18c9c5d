"""A round solved: the proposals with their reasons, the proof, and what other ways would give."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from kompetensnav_matching.domain.arrays import as_world, hindered, without
from kompetensnav_matching.domain.rules import (
    MOST_PLACED,
    Draft,
    Proof,
    Proposal,
    Reason,
    Request,
    Slot,
    SlotIsFull,
    Travel,
    Way,
    explain,
)

if TYPE_CHECKING:  # the engine is loaded when it is first needed: a service is well before
    from kompetensnav_matching.engine.candidates import World


def propose(
    requests: Collection[Request],
    slots: Collection[Slot],
    travel: Travel,
    *,
    forbidden: Collection[tuple[UUID, UUID]] = (),
    fixed: Mapping[UUID, UUID] | None = None,
    mode: str = MOST_PLACED,
    compare: bool = False,
) -> Draft:
    """The draft that places most learners and then costs least.

    `forbidden`: (request, slot) pairs that may not be used (earlier refusals, a coordinator's no). `fixed`:
    request -> slot, pinned or placed by hand; kept as they are. Raises SlotIsFull when the fixed ones do
    not fit. `mode`: how to place; `compare`: whether to work out the other ways too. The order of the input
    changes nothing.
    """
    from kompetensnav_matching.engine.candidates import candidates
    from kompetensnav_matching.engine.instance import Instance
    from kompetensnav_matching.engine.layers import ways
    from kompetensnav_matching.engine.solve import solve

    requests = sorted(requests, key=lambda r: r.request_id)
    slots = sorted(slots, key=lambda s: s.slot_id)
    fixed = fixed or {}
    by_id = {slot.slot_id: slot for slot in slots}
    used = Counter(fixed.values())
    if any(slot_id not in by_id or by_id[slot_id].seats < n for slot_id, n in used.items()):
        raise SlotIsFull
    left = [replace(slot, seats=slot.seats - used[slot.slot_id]) for slot in slots]
    free = [request for request in requests if request.request_id not in fixed]
    world = as_world(free, left, travel)
    pairs = without(candidates(world), free, left, forbidden)
    instance = Instance(pairs.first, pairs.slot, pairs.cost, world.slots.seats)
    tiers = [request.tier for request in free]
    solution, inputs = solve(instance, tiers), _hash(requests, slots, forbidden, fixed)
    seed, found = int(inputs[:7], 16), dict[str, Any]()
    if compare or mode != MOST_PLACED:
        found = {way.mode: way for way in ways(instance, tiers, seed, solution)}
    taken = (found[mode].taken if found else solution.taken).tolist()
    suitable = (pairs.first[1:] - pairs.first[:-1]).tolist()
    proposals = [
        _matched(request, left[taken[i]], travel, "solver")
        if taken[i] >= 0
        else Proposal(request.request_id, None, reasons=_why_none(world, i, suitable[i]))
        for i, request in enumerate(free)
    ]
    proposals += [
        _matched(request, by_id[fixed[request.request_id]], travel, "person")
        for request in requests
        if request.request_id in fixed
    ]
    proposals.sort(key=lambda p: p.request_id)
    kept = sum(p.cost for p in proposals if p.request_id in fixed)
    crowded = frozenset(left[j].slot_id for j in solution.crowded.nonzero()[0])
    compared = tuple(Way(w.mode, w.placed + len(fixed), w.cost + kept, w.envious) for w in found.values())
    proof = Proof(solution.gap, solution.path, crowded, seed, compared)
    return Draft(tuple(proposals), inputs, proof)


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


def _matched(request: Request, slot: Slot, travel: Travel, by: str) -> Proposal:
    cost, rank, reasons = explain(request, slot, travel)
    return Proposal(request.request_id, slot.slot_id, cost, rank, reasons, by)


def _why_none(world: "World", learner: int, suitable: int) -> tuple[Reason, ...]:
    """Why a learner has no slot: all suitable ones went to others, or the rules that took most away; and how
    many would open up if just one rule were different."""
    every, alone = hindered(world, learner)
    opens = [Reason(f"only_{rule}", n) for rule, n in sorted(alone.items(), key=lambda i: -i[1]) if n]
    if suitable:
        return (Reason("given_to_others", suitable), *opens)
    hinders = (*opens, *(Reason(rule, n) for rule, n in sorted(every.items(), key=lambda i: -i[1]) if n))[:6]
    if not len(world.slots.seats):
        return (Reason("no_slots"),)
    return hinders or (Reason("refused_before"),)


def _hash(
    requests: Sequence[Request],
    slots: Sequence[Slot],
    forbidden: Collection[tuple[UUID, UUID]],
    fixed: Mapping[UUID, UUID],
) -> str:
    digest = hashlib.sha256()
    for request in requests:
        digest.update(
            repr(replace(request, needs=frozenset())).encode() + repr(sorted(request.needs)).encode()
        )
    for slot in slots:
        plain = replace(slot, offers_needs=frozenset(), named_municipalities=frozenset())
        digest.update(
            repr(plain).encode()
            + repr((sorted(slot.offers_needs), sorted(slot.named_municipalities))).encode()
        )
    digest.update(repr(sorted(forbidden)).encode() + repr(sorted(fixed.items())).encode())
    return digest.hexdigest()
