"""What matching knows of learners and slots, and the rules: who suits what, at what cost."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from math import asin, cos, radians, sin, sqrt
from uuid import UUID

from kompetensnav_contracts.vocabulary import LEVELS, Need, Sharing

RELATED = 0.3
"""How much less a slot in a related occupation (same first three SSYK digits) is wanted than the wished one.
"""
ANYTHING = 0.5
"""Preference of a learner without wishes for any slot."""
ROAD = 1.3
"""Road distance over great-circle distance, a common rule of thumb; used only where no travel time is known.
"""
KM_PER_MINUTE = 1.0
RULES = ("no_seats", "not_shared", "period", "occupation", "language", "needs", "too_far")
"""The hard rules, in the order they are told. Placement type is the round's own and is not looked at again.
"""
LANGUAGE_BITS = (1 << len(LEVELS)) - 1
NEED_BITS = {need.value: 1 << (len(LEVELS) + bit) for bit, need in enumerate(Need)}
BITS = {"language": LANGUAGE_BITS, "needs": sum(NEED_BITS.values())}
"""What the bits of the engine's `bars` and `lacks` mean."""


MOST_PLACED = "most_placed"
NEW_FIELD = 30
"""Most minutes of travel that a learner's own wish to try a new field may outweigh in a round."""
STAY = 10
"""Minutes that a better place must spare before a draft that is solved again moves a learner."""
CHANGES = ("longer_travel", "another_week", "another_occupation")
"""What would have to be different for one learner alone to be placed, the smallest change first."""
LONGER = 15
"""Minutes of travel more."""
MODES = (MOST_PLACED, "stable", "stable_filled")


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
    new_field: bool = False
    """The learner's own wish to try something outside the usual choice."""


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

    @property
    def tier(self) -> int:
        """0: placed before others where there are too few seats, because fewer slots can take the learner."""
        return 0 if self.needs else 1


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
class Way:
    """One way to place the same learners, in numbers; the price of choosing it."""

    mode: str
    placed: int
    cost: int
    envious: int
    """Learners who would rather have a slot that would rather have them."""


@dataclass(frozen=True)
class Bottleneck:
    """Slots of one occupation, municipality and week in which more seats would place more learners."""

    occupation: str
    municipality: str
    week: date
    """Its Monday."""
    learners: int
    """So many seats more would each place one learner more."""
    seats: int
    """That are there, all taken."""

    def as_data(self) -> dict[str, object]:
        """For the books."""
        return {
            "occupation": self.occupation,
            "municipality": self.municipality,
            "week": self.week.isoformat(),
            "learners": self.learners,
            "seats": self.seats,
        }


@dataclass(frozen=True)
class Proof:
    """That nobody could have placed more, or the same at less cost; and where a seat more would help."""

    gap: int
    """Between the cost and what no assignment can be below; 0 = proved, whatever pins take part of."""
    way: str
    """Which of the engine's ways found it."""
    crowded: frozenset[UUID]
    """Slots of which one seat more would place one learner more."""
    seed: int
    """Of the lottery in the stable ways; it comes from the inputs, so that nobody can choose it."""
    ways: tuple[Way, ...] = ()
    scarcity: Mapping[UUID, int] | None = None
    """Slot -> what one seat more would spare all in cost, tenths of a minute, where it is anything; None when
    it was not worked out."""
    bottlenecks: tuple[Bottleneck, ...] = ()
    """Those that would place most first."""

    def as_data(self) -> dict[str, object]:
        """For the books."""
        ways = [{"mode": w.mode, "placed": w.placed, "cost": w.cost, "envious": w.envious} for w in self.ways]
        return {"gap": self.gap, "way": self.way, "seed": self.seed, "ways": ways}


@dataclass(frozen=True)
class Draft:
    """A solved round."""

    proposals: tuple[Proposal, ...]
    inputs: str
    """SHA-256 over what was solved, so that a result can be reproduced."""
    proof: "Proof"

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


def wish_cost(wish: Wish | None, related: bool = False, new_field: int = 0) -> int:
    """Cost of a wish in tenths of a minute: 1,000 for what the learner does not want at all, 100 for what the
    employer does not (0 when it has no opinion); `new_field` minutes less for the learner's own wish to try
    one."""
    if wish is None:
        return round(1000 * (1 - ANYTHING))
    host = 1.0 if wish.host_preference is None else wish.host_preference
    preference = max(0.0, wish.preference - RELATED) if related else wish.preference
    return round(1000 * (1 - preference) + 100 * (1 - host)) - reward(wish, new_field)


def reward(wish: Wish, new_field: int) -> int:
    """What is taken off a pair's cost for the learner's own wish to try something new, tenths of a minute."""
    return 10 * min(new_field, NEW_FIELD) if wish.new_field else 0


def best_wish(request: Request, slot: Slot, new_field: int = 0) -> tuple[Wish | None, bool, int] | None:
    """(wish, in a related occupation only, cost) that the slot meets cheapest; None when it meets none."""
    if not request.wishes:
        return None, False, wish_cost(None)
    met: list[tuple[int, int, Wish, bool]] = []
    for order, wish in enumerate(request.wishes):
        if wish.slot_id == slot.slot_id or (wish.occupation and wish.occupation == slot.occupation):
            met.append((wish_cost(wish, new_field=new_field), order, wish, False))
        elif wish.occupation and wish.occupation[:3] == slot.occupation[:3]:
            met.append((wish_cost(wish, True, new_field), order, wish, True))
    if not met:
        return None
    cost, _, wish, related = min(met, key=lambda m: m[:2])
    return wish, related, cost


def hindrances(request: Request, slot: Slot, travel: Travel) -> tuple[str, ...]:
    """The hard rules that keep the learner from the slot, in the order of `RULES`; empty when it
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
    return tuple(rule for rule in RULES if not passes[rule])


def suits(request: Request, slot: Slot, travel: Travel) -> bool:
    """Could the learner take the slot?"""
    return not hindrances(request, slot, travel)


def explain(
    request: Request, slot: Slot, travel: Travel, new_field: int = 0
) -> tuple[int, int | None, tuple[Reason, ...]]:
    """(cost, wish rank, reasons) of a pair, in parts that add up to the cost."""
    wish, related, cost = best_wish(request, slot, new_field) or (None, False, 1000)
    minutes = travel.minutes(request.locality, slot.locality) or 0
    rank = wish.rank if wish else None
    rule = "related_occupation" if related else "wish" if wish else "no_wish"
    how = "travel_estimated" if travel.is_estimate(request.locality, slot.locality) else "travel"
    off = reward(wish, new_field) if wish else 0
    reasons = (
        Reason(rule, cost + off),
        *([Reason("new_field", -off)] if off else []),
        Reason(how, 10 * minutes),
    )
    return cost + 10 * minutes, rank, reasons
