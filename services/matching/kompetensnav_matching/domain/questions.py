"""What it would take to give a learner another slot: found by trying, as a coordinator would."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kompetensnav_matching.domain.draft import propose
from kompetensnav_matching.domain.rules import (
    Draft,
    Request,
    Slot,
    SlotIsFull,
    Travel,
    hindrances,
)


@dataclass(frozen=True)
class WhyNot:
    """Why a learner does not have a slot: rules that forbid it, or what giving it would change."""

    hindrances: tuple[str, ...]
    """Rules; empty when the learner could have it."""
    moved: int = 0
    """How many others would have another slot, or none."""
    placed: int = 0
    """How many more would be placed in all."""
    cost: int = 0
    """What it would cost more in all, tenths of a minute."""


def why_not(
    requests: Sequence[Request],
    slots: Sequence[Slot],
    travel: Travel,
    *,
    pair: tuple[UUID, UUID],
    **terms: Any,
) -> WhyNot:
    """What would change if the (request, slot) of `pair` were placed by hand and the rest solved again,
    compared with solving again as it stands. `terms` as of `propose`. Raises KeyError for an unknown request
    or slot."""
    request = {r.request_id: r for r in requests}[pair[0]]
    slot = {s.slot_id: s for s in slots}[pair[1]]
    if pair in terms.get("forbidden", ()):
        return WhyNot(("refused_before",))
    if rules := hindrances(request, slot, travel):
        return WhyNot(rules)
    now = propose(requests, slots, travel, reasons=False, **terms)
    fixed = dict(terms.get("fixed") or {}) | {pair[0]: pair[1]}
    try:
        other = propose(requests, slots, travel, reasons=False, **(terms | {"fixed": fixed}))
    except SlotIsFull:
        return WhyNot(("kept_by_people",))
    before, after = _places(now), _places(other)
    others = {request_id for request_id in before | after if request_id != pair[0]}
    moved = sum(after.get(r) != before.get(r) for r in others)
    return WhyNot((), moved, other.matched - now.matched, other.cost - now.cost)


def _places(draft: Draft) -> dict[UUID, UUID | None]:
    return {p.request_id: p.slot_id for p in draft.proposals}
