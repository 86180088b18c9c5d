"""The same in the engine's arrays."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from kompetensnav_contracts.vocabulary import LEVELS
from kompetensnav_matching.domain.rules import (
    BITS,
    LANGUAGE_BITS,
    NEED_BITS,
    NEW_FIELD,
    RULES,
    Request,
    Slot,
    Travel,
    is_shared,
    wish_cost,
)

if TYPE_CHECKING:  # the engine is loaded when it is first needed: a service is well before
    import numpy as np

    from kompetensnav_matching.engine.candidates import Pairs, World


def hindered(world: "World", learner: int) -> tuple[dict[str, int], dict[str, int]]:
    """(how many slots each rule takes away from the learner, how many each takes away alone)."""
    from kompetensnav_matching.engine.hindrances import hindrances

    found = hindrances(world, learner, BITS)
    failing = sum(found[rule].astype(int) for rule in RULES)
    alone = failing == 1
    return (
        {rule: int(found[rule].sum()) for rule in RULES},
        {rule: int((found[rule] & alone).sum()) for rule in RULES},
    )


def without(
    pairs: "Pairs",
    requests: Sequence[Request],
    slots: Sequence[Slot],
    forbidden: Collection[tuple[UUID, UUID]],
) -> "Pairs":
    """The pairs without the forbidden (request, slot)."""
    from kompetensnav_matching.engine.candidates import without

    rows = {request.request_id: i for i, request in enumerate(requests)}
    columns = {slot.slot_id: j for j, slot in enumerate(slots)}
    out = [(rows[r], columns[s]) for r, s in forbidden if r in rows and s in columns]
    return without(pairs, out) if out else pairs


def as_world(
    requests: Sequence[Request], slots: Sequence[Slot], travel: Travel, new_field: int = 0
) -> "World":
    """The engine's arrays. All costs are lifted by the most that a wish to try a new field may take off
    (`lifted`), so that none is below 0."""
    import numpy as np

    from kompetensnav_matching.engine.candidates import Learners, Slots, World

    groups: dict[str, list[int]] = defaultdict(list)
    for j, slot in enumerate(slots):
        for key in ("*", slot.occupation, f"{slot.occupation[:3]}~", str(slot.slot_id)):
            groups[key].append(j)
    names = {key: g for g, key in enumerate(groups)}
    wish_from, wish_group, wish_price = [0], [], []
    for request in requests:
        for key, cost in _wish_groups(request, new_field):
            if key in names:
                wish_group.append(names[key])
                wish_price.append(cost + lifted(new_field))
        wish_from.append(len(wish_group))
    places = {
        name: k for k, name in enumerate(sorted({r.locality for r in requests} | {s.locality for s in slots}))
    }
    minutes = np.full((len(places), len(places)), -1, np.int32)
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
    points = [travel.coordinates.get(name, (0.0, 0.0)) for name in places]
    sizes = [len(members) for members in groups.values()]

    def short(values: Iterable[int]) -> "np.ndarray[tuple[int], np.dtype[np.int32]]":
        return np.fromiter(values, np.int32)

    return World(
        slots=Slots(
            seats=short(s.seats for s in slots),
            starts=short(s.starts_on.toordinal() for s in slots),
            ends=short(s.ends_on.toordinal() for s in slots),
            bars=np.fromiter((_bars(s) for s in slots), np.int64),
            place=short(places[s.locality] for s in slots),
            sharing=short(host_of),
        ),
        learners=Learners(
            starts=short(r.starts_on.toordinal() for r in requests),
            ends=short(r.ends_on.toordinal() for r in requests),
            lacks=np.fromiter((_lacks(r) for r in requests), np.int64),
            place=short(places[r.locality] for r in requests),
            max_minutes=short(r.max_travel_minutes for r in requests),
            sharing=short(home_of),
            wish_from=np.array(wish_from, np.int64),
            wish_group=np.array(wish_group, np.int32),
            wish_cost=np.array(wish_price, np.int32),
        ),
        group_from=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64),
        group_slots=short(j for members in groups.values() for j in members),
        latitude=np.array([p[0] for p in points], np.float64),
        longitude=np.array([p[1] for p in points], np.float64),
        shared=shared,
        minutes=minutes,
    )


def _bars(slot: Slot) -> int:
    """The level that must be reached, and the needs that cannot be met."""
    return 1 << LEVELS.index(slot.min_language) | sum(
        bit for need, bit in NEED_BITS.items() if need not in slot.offers_needs
    )


def _lacks(request: Request) -> int:
    """The levels that are not reached, and the needs there are."""
    reached = LEVELS.index(request.language)
    return (LANGUAGE_BITS & ~((2 << reached) - 1)) | sum(NEED_BITS[need] for need in request.needs)


def lifted(new_field: int) -> int:
    """What every pair costs more, tenths of a minute; changes no choice, as all who can be are placed."""
    return 10 * min(new_field, NEW_FIELD)


def _wish_groups(request: Request, new_field: int) -> list[tuple[str, int]]:
    if not request.wishes:
        return [("*", wish_cost(None))]
    keys: list[tuple[str, int]] = []
    for wish in request.wishes:
        if wish.slot_id:
            keys.append((str(wish.slot_id), wish_cost(wish, new_field=new_field)))
        elif wish.occupation:
            keys.append((wish.occupation, wish_cost(wish, new_field=new_field)))
            keys.append((f"{wish.occupation[:3]}~", wish_cost(wish, True, new_field)))
    return keys


def _distinct(values: Sequence[object]) -> tuple[int, list[int]]:
    """How many different values there are, and the number of each."""
    numbers: dict[object, int] = {}
    of = [numbers.setdefault(value, len(numbers)) for value in values]
    return len(numbers), of
