"""The rules of matching: who suits what, at what cost, and why. Values in, values out."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import asin, cos, radians, sin, sqrt
from uuid import UUID

import numpy as np

from kompetensnav_contracts.vocabulary import LEVELS, Need, Sharing
from kompetensnav_matching.engine import candidates as engine
from kompetensnav_matching.engine.flow import assign

RELATED = 0.3
"""How much less a slot in a related occupation (same first three SSYK digits) is wanted than the wished one.
"""
ANYTHING = 0.5
"""Preference of a learner without wishes for any slot."""
ROAD = 1.3
"""Road distance over great-circle distance, a common rule of thumb; used only where no travel time is known.
"""
KM_PER_MINUTE = 1.0
NEEDS = {need.value: 1 << bit for bit, need in enumerate(Need)}


class SlotIsFull(Exception):
    """The slot has no free seat for one more. | Platsen har ingen ledig plats till."""


class RoundIsDecided(Exception):
    """The round has been approved or dropped already. | Omgången är redan avgjord."""


class DraftHasChanged(Exception):
    """The draft has been solved again; look at it anew. | Utkastet har lösts om; titta på det igen."""


class LearnerIsPlaced(Exception):
    """The learner has a place already. | Har redan en plats."""


class AgreementDoesNotCover(Exception):
    """The sharing agreement does not cover this round. | Delningsavtalet täcker inte omgången."""

    status = 403


@dataclass(frozen=True)
class Wish:
    """One thing a learner wishes for: an occupation or a certain slot."""

    rank: int
    occupation: str | None = None
    slot_id: UUID | None = None
    preference: float = 1.0
    host_preference: float | None = None


@dataclass(frozen=True)
class Request:
    """What matching knows of a learner's need."""

    request_id: UUID
    learner_id: UUID
    municipality: str
    administration: str
    starts_on: date
    ends_on: date
    locality: str
    language: str = "fluent"
    needs: frozenset[str] = frozenset()
    max_travel_minutes: int = 60
    wishes: tuple[Wish, ...] = ()


@dataclass(frozen=True)
class Slot:
    """What matching knows of a slot; `seats` are those still free."""

    slot_id: UUID
    municipality: str
    workplace_id: UUID
    occupation: str
    starts_on: date
    ends_on: date
    seats: int
    locality: str
    min_language: str = "none"
    offers_needs: frozenset[str] = frozenset()
    shared_with: str = Sharing.MUNICIPALITY
    named_municipalities: frozenset[str] = frozenset()
    administration: str | None = None


@dataclass(frozen=True)
class Reason:
    """One part of why: a rule id and a number (tenths of a minute of cost, minutes, or how many slots)."""

    rule: str
    value: int = 0


@dataclass(frozen=True)
class Proposal:
    """A learner and the proposed slot, or none, with the reasons."""

    request_id: UUID
    slot_id: UUID | None
    cost: int = 0
    wish_rank: int | None = None
    reasons: tuple[Reason, ...] = ()
    by: str = "solver"


@dataclass(frozen=True)
class Draft:
    """A solved round."""

    proposals: tuple[Proposal, ...]
    inputs: str
    """SHA-256 over what was solved, so that a result can be reproduced."""

    @property
    def matched(self) -> int:
        """How many learners have a proposed slot."""
        return sum(p.slot_id is not None for p in self.proposals)

    @property
    def cost(self) -> int:
        """The sum of the proposals' costs, tenths of a minute."""
        return sum(p.cost for p in self.proposals)


@dataclass(frozen=True)
class Travel:
    """Travel times between localities: a table, and where it is silent the great circle x 1.3 at 60 km/h."""

    coordinates: Mapping[str, tuple[float, float]]
    """Locality -> (latitude, longitude) in degrees."""
    table: Mapping[tuple[str, str], int]
    """(from, to) -> minutes."""

    def minutes(self, home: str, work: str) -> int | None:
        """Minutes one way; None when neither table nor coordinates know."""
        if home == work:
            return 0
        if (home, work) in self.table:
            return self.table[home, work]
        if home not in self.coordinates or work not in self.coordinates:
            return None
        return round(kilometres(self.coordinates[home], self.coordinates[work]) * ROAD / KM_PER_MINUTE)

    def is_estimate(self, home: str, work: str) -> bool:
        """Whether the minutes come from distance and not from a table."""
        return home != work and (home, work) not in self.table


def kilometres(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Great-circle distance by the haversine formula (Sinnott 1984), earth radius 6,371 km."""
    (lat1, lon1), (lat2, lon2) = ((radians(x), radians(y)) for x, y in (a, b))
    h = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371 * asin(min(1.0, sqrt(h)))


def is_shared(slot: Slot, request: Request) -> bool:
    """May a learner of this municipality and administration use the slot? The registry decides in the end."""
    if slot.shared_with == Sharing.PUBLIC:
        return True
    if slot.municipality == request.municipality:
        return slot.shared_with != Sharing.ADMINISTRATION or slot.administration == request.administration
    return slot.shared_with == Sharing.NAMED and request.municipality in slot.named_municipalities


ANY_SLOT = "*"


def wanted(wishes: Collection[tuple[str | None, object]]) -> list[str]:
    """What slots the wishes, as (occupation, slot id), can be met by: groups of occupations, and slots."""
    keys = {occupation[:3] for occupation, _ in wishes if occupation} | {str(id) for _, id in wishes if id}
    return sorted(keys) or [ANY_SLOT]


def meets(slots: Iterable[Slot]) -> list[str]:
    """What a learner must want to be able to take one of the slots; compare with `wanted`."""
    slots = list(slots)
    return sorted({ANY_SLOT, *(s.occupation[:3] for s in slots), *(str(s.slot_id) for s in slots)})


def wish_cost(wish: Wish | None, related: bool = False) -> int:
    """Cost of a wish in tenths of a minute: 1,000 for what the learner does not want at all, 100 for what the
    employer does not (0 when it has no opinion)."""
    if wish is None:
        return round(1000 * (1 - ANYTHING))
    host = 1.0 if wish.host_preference is None else wish.host_preference
    preference = max(0.0, wish.preference - RELATED) if related else wish.preference
    return round(1000 * (1 - preference) + 100 * (1 - host))


def best_wish(request: Request, slot: Slot) -> tuple[Wish | None, bool, int] | None:
    """(wish, in a related occupation only, cost) that the slot meets cheapest; None when it meets none."""
    if not request.wishes:
        return None, False, wish_cost(None)
    met: list[tuple[int, int, Wish, bool]] = []
    for order, wish in enumerate(request.wishes):
        if wish.slot_id == slot.slot_id or (wish.occupation and wish.occupation == slot.occupation):
            met.append((wish_cost(wish), order, wish, False))
        elif wish.occupation and wish.occupation[:3] == slot.occupation[:3]:
            met.append((wish_cost(wish, related=True), order, wish, True))
    if not met:
        return None
    cost, _, wish, related = min(met, key=lambda m: m[:2])
    return wish, related, cost


def hindrances(request: Request, slot: Slot, travel: Travel) -> tuple[str, ...]:
    """The hard rules that keep the learner from the slot, in the order of `engine.RULES`; empty when it
    suits."""
    minutes = travel.minutes(request.locality, slot.locality)
    passes = {
        "no_seats": slot.seats > 0,
        "not_shared": is_shared(slot, request),
        "period": slot.starts_on >= request.starts_on and slot.ends_on <= request.ends_on,
        "occupation": best_wish(request, slot) is not None,
        "language": LEVELS.index(slot.min_language) <= LEVELS.index(request.language),
        "needs": request.needs <= slot.offers_needs,
        "too_far": minutes is not None and minutes <= request.max_travel_minutes,
    }
    return tuple(rule for rule in engine.RULES if not passes[rule])


def suits(request: Request, slot: Slot, travel: Travel) -> bool:
    """Could the learner take the slot?"""
    return not hindrances(request, slot, travel)


def explain(request: Request, slot: Slot, travel: Travel) -> tuple[int, int | None, tuple[Reason, ...]]:
    """(cost, wish rank, reasons) of a pair, in parts that add up to the cost."""
    wish, related, cost = best_wish(request, slot) or (None, False, 1000)
    minutes = travel.minutes(request.locality, slot.locality) or 0
    rank = wish.rank if wish else None
    rule = "related_occupation" if related else "wish" if wish else "no_wish"
    how = "travel_estimated" if travel.is_estimate(request.locality, slot.locality) else "travel"
    reasons = (Reason(rule, cost), Reason(how, 10 * minutes))
    return cost + 10 * minutes, rank, reasons


def propose(
    requests: Collection[Request],
    slots: Collection[Slot],
    travel: Travel,
    *,
    forbidden: Collection[tuple[UUID, UUID]] = (),
    fixed: Mapping[UUID, UUID] | None = None,
) -> Draft:
    """The draft that places most learners and then costs least.

    `forbidden`: (request, slot) pairs that may not be used (earlier refusals, a coordinator's no). `fixed`:
    request -> slot, pinned or placed by hand; kept as they are. Raises SlotIsFull when the fixed ones do
    not fit. The order of the input changes nothing.
    """
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
    edges = _without(engine.candidates(world), free, left, forbidden)
    taken = assign(len(free), world.slots.seats, edges.learner, edges.slot, edges.cost)
    suitable = Counter(edges.learner.tolist())
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
    return Draft(tuple(proposals), _hash(requests, slots, forbidden, fixed))


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


def _why_none(world: engine.World, learner: int, suitable: int) -> tuple[Reason, ...]:
    """Why a learner has no slot: all suitable ones went to others, or the rules that took most away."""
    alone = engine.nearly(world, learner)
    opens = [Reason(f"only_{rule}", n) for rule, n in sorted(alone.items(), key=lambda i: -i[1]) if n]
    if suitable:
        return (Reason("given_to_others", suitable), *opens)
    every = engine.hindrances(world, learner)
    hinders = (*opens, *(Reason(rule, n) for rule, n in sorted(every.items(), key=lambda i: -i[1]) if n))[:6]
    if not len(world.slots.seats):
        return (Reason("no_slots"),)
    return hinders or (Reason("refused_before"),)


def _without(
    edges: engine.Edges,
    requests: Sequence[Request],
    slots: Sequence[Slot],
    forbidden: Collection[tuple[UUID, UUID]],
) -> engine.Edges:
    rows = {request.request_id: i for i, request in enumerate(requests)}
    columns = {slot.slot_id: j for j, slot in enumerate(slots)}
    out = {rows[r] * len(slots) + columns[s] for r, s in forbidden if r in rows and s in columns}
    if not out:
        return edges
    keep = ~np.isin(edges.learner * len(slots) + edges.slot, np.fromiter(out, np.int64))
    return engine.Edges(
        *(getattr(edges, name)[keep] for name in ("learner", "slot", "cost", "wish", "minutes"))
    )


def as_world(requests: Sequence[Request], slots: Sequence[Slot], travel: Travel) -> engine.World:
    """The engine's arrays."""
    groups: dict[str, list[int]] = defaultdict(list)
    for j, slot in enumerate(slots):
        for key in ("*", slot.occupation, f"{slot.occupation[:3]}~", str(slot.slot_id)):
            groups[key].append(j)
    names = {key: g for g, key in enumerate(groups)}
    wish_from, wish_group, wish_price = [0], [], []
    for request in requests:
        for key, cost in _wish_groups(request):
            if key in names:
                wish_group.append(names[key])
                wish_price.append(cost)
        wish_from.append(len(wish_group))
    places = {
        name: k for k, name in enumerate(sorted({r.locality for r in requests} | {s.locality for s in slots}))
    }
    minutes = np.full((len(places), len(places)), -1, np.int64)
    works = sorted({s.locality for s in slots})
    for home in sorted({r.locality for r in requests}):
        for work in works:
            known = travel.minutes(home, work)
            minutes[places[home], places[work]] = -1 if known is None else known
    hosts, host_of = _distinct(
        [(s.municipality, s.shared_with, s.named_municipalities, s.administration) for s in slots]
    )
    homes, home_of = _distinct([(r.municipality, r.administration) for r in requests])
    slot_of = {host_of[j]: slot for j, slot in enumerate(slots)}
    request_of = {home_of[i]: request for i, request in enumerate(requests)}
    shared = np.array(
        [[is_shared(slot_of[a], request_of[b]) for b in range(homes)] for a in range(hosts)], np.bool_
    ).reshape(hosts, homes)

    def ints(values: Iterable[int]) -> engine.Ints:
        return np.fromiter(values, np.int64)

    sizes = [len(members) for members in groups.values()]
    return engine.World(
        slots=engine.Slots(
            seats=ints(s.seats for s in slots),
            starts=ints(s.starts_on.toordinal() for s in slots),
            ends=ints(s.ends_on.toordinal() for s in slots),
            level=ints(LEVELS.index(s.min_language) for s in slots),
            offers=ints(sum(NEEDS[n] for n in s.offers_needs) for s in slots),
            locality=ints(places[s.locality] for s in slots),
            sharing=ints(host_of),
        ),
        learners=engine.Learners(
            starts=ints(r.starts_on.toordinal() for r in requests),
            ends=ints(r.ends_on.toordinal() for r in requests),
            level=ints(LEVELS.index(r.language) for r in requests),
            needs=ints(sum(NEEDS[n] for n in r.needs) for r in requests),
            locality=ints(places[r.locality] for r in requests),
            max_minutes=ints(r.max_travel_minutes for r in requests),
            sharing=ints(home_of),
            wish_from=ints(wish_from),
            wish_group=ints(wish_group),
            wish_cost=ints(wish_price),
        ),
        group_from=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]),
        group_slots=ints(j for members in groups.values() for j in members),
        minutes=minutes,
        shared=shared,
    )


def _wish_groups(request: Request) -> list[tuple[str, int]]:
    if not request.wishes:
        return [("*", wish_cost(None))]
    keys: list[tuple[str, int]] = []
    for wish in request.wishes:
        if wish.slot_id:
            keys.append((str(wish.slot_id), wish_cost(wish)))
        elif wish.occupation:
            keys.append((wish.occupation, wish_cost(wish)))
            keys.append((f"{wish.occupation[:3]}~", wish_cost(wish, related=True)))
    return keys


def _distinct(values: Sequence[object]) -> tuple[int, list[int]]:
    """How many different values there are, and the number of each."""
    numbers: dict[object, int] = {}
    of = [numbers.setdefault(value, len(numbers)) for value in values]
    return len(numbers), of


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
