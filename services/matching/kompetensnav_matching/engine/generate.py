"""Made-up rounds that are like real ones: towns of very different size, most people near, some far out.

Sizes of towns follow a rank-size rule (Zipf 1949; exponent 0.85), distances from a town's centre a
half-normal one with a long tail, seats of a slot a geometric one. Nothing in it is about anybody.
"""

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.candidates import Learners, Slots, World

NORRBOTTEN = np.array(
    [
        (65.584, 22.154, 79), (65.317, 21.479, 42), (65.825, 21.689, 28), (67.856, 20.225, 22),
        (67.134, 20.652, 17.5), (65.853, 23.156, 16), (65.835, 24.137, 9), (65.677, 20.992, 8),
        (66.607, 19.823, 4.8), (66.390, 23.650, 4.2), (67.213, 23.367, 5.9), (65.591, 19.168, 6),
        (66.052, 17.886, 2.7), (66.327, 22.842, 3.2),
    ]
)  # fmt: skip
"""Latitude, longitude and about how many thousands live in fourteen municipalities."""
SHARES = np.array([0.22, 0.12, 0.08, 0.1, 0.09, 0.08, 0.07, 0.1, 0.03, 0.03, 0.04, 0.04])
"""Of twelve groups of occupations among slots and wishes."""
KINDS, TAKEN = (0.2, 0.45, 0.15, 0.1, 0.1), (0.35, 0.6, 0.4, 0.35, 0.3)
"""Of five placement types among learners, and how many of the slots take each. The first is prao."""
AGES = ((13, 15), (16, 44), (18, 61), (18, 61), (18, 61))
"""Youngest and oldest, by placement type."""
YOUNGEST = np.array([16, 13, 13, 13, 15, 16, 15, 16, 18, 13, 13, 13])
LANGUAGE = np.array([3, 3, 1, 2, 1, 2, 1, 1, 2, 2, 1, 3])
DRIVERS, TRUCKS = (
    np.array([1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]),
    np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0]),
)
CHECKED = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
"""What slots of each occupation can demand: years of age, level of language (1 to 3), a driving licence, one
for trucks, an extract from the criminal record."""
PERIOD = 30
"""Days."""


def generate(learners: int, ratio: float = 1.0, seed: int = 1) -> tuple[World, NDArray[np.int32]]:
    """(a round with about `ratio` seats a learner, tier of each learner); the same for the same seed, and
    the same learners and towns for every ratio."""
    country, them, offers = np.random.default_rng(seed).spawn(3)
    seats = offers.geometric(1 / 1.6, max(1, int(learners * ratio))).astype(np.int32)
    seats = seats[: int(np.searchsorted(np.cumsum(seats), int(learners * ratio))) + 1]
    n, m = learners, len(seats)
    towns = _towns(country, everywhere=learners > 20_000)
    places = np.concatenate([_places(them, towns, n, 4.0), _places(offers, towns, m, 5.0)])
    periods = 1 if n <= 2_000 else 2 if n <= 20_000 else 3 if n <= 200_000 else 12
    occupation, kind = offers.choice(len(SHARES), m, p=SHARES), them.choice(len(KINDS), n, p=KINDS)
    starts, first = offers.integers(0, periods, m), them.integers(0, periods, n)
    last = np.minimum(first + (them.random(n) < 0.55), periods - 1)
    wished, many = _wishes(them, kind)
    lacks, drives = _lacks(them, kind)
    minutes = np.where(drives, them.integers(35, 91, n), them.integers(15, 61, n))
    by_place = np.lexsort((_curve(places[n:]), occupation))
    who = np.lexsort((_curve(places[:n]), wished[:, 0]))
    chosen = np.arange(3) < many[who][:, None]
    world = World(
        slots=Slots(
            seats=seats[by_place],
            starts=(starts[by_place] * PERIOD).astype(np.int32),
            ends=(starts[by_place] * PERIOD + PERIOD - 1).astype(np.int32),
            bars=_bars(offers, occupation)[by_place],
            place=(n + np.arange(m)).astype(np.int32),
            sharing=np.zeros(m, np.int32),
        ),
        learners=Learners(
            starts=(first[who] * PERIOD).astype(np.int32),
            ends=(last[who] * PERIOD + PERIOD - 1).astype(np.int32),
            lacks=lacks[who],
            place=np.arange(n, dtype=np.int32),
            max_minutes=minutes[who].astype(np.int32),
            sharing=np.zeros(n, np.int32),
            wish_from=np.concatenate([[0], np.cumsum(many[who])]).astype(np.int64),
            wish_group=wished[who][chosen].astype(np.int32),
            wish_cost=np.broadcast_to(150 * np.arange(3), (n, 3))[chosen].astype(np.int32),
        ),
        group_from=np.searchsorted(occupation[by_place], np.arange(len(SHARES) + 1)).astype(np.int64),
        group_slots=np.arange(m, dtype=np.int32),
        latitude=np.concatenate([places[:n][who], places[n:][by_place]])[:, 0],
        longitude=np.concatenate([places[:n][who], places[n:][by_place]])[:, 1],
        shared=np.ones((1, 1), np.bool_),
    )
    first_served = (kind == len(KINDS) - 1) | (them.random(n) < 0.06)
    return world, np.where(first_served, 0, 1).astype(np.int32)[who]


def _towns(chance: np.random.Generator, *, everywhere: bool) -> NDArray[np.float64]:
    if not everywhere:
        return NORRBOTTEN
    size = np.maximum(1000.0 / np.arange(1.0, 277.0) ** 0.85, 4.0)
    north = 55.4 + 9.6 * chance.beta(1.3, 1.9, 276)
    east = 12 + 0.35 * (north - 55.4) + 5.5 * chance.random(276)
    return np.concatenate([NORRBOTTEN, np.column_stack([north, east, size])])


def _places(
    chance: np.random.Generator, towns: NDArray[np.float64], size: int, spread: float
) -> NDArray[np.float64]:
    town = towns[chance.choice(len(towns), size, p=towns[:, 2] / towns[:, 2].sum())]
    far = np.abs(chance.standard_normal(size)) * spread * np.where(chance.random(size) < 0.12, 5, 1)
    turn = 2 * np.pi * chance.random(size)
    north = town[:, 0] + far * np.sin(turn) / 111.2
    east = town[:, 1] + far * np.cos(turn) / (111.2 * np.cos(np.radians(town[:, 0])))
    return np.column_stack([north, east]).round(5).astype(np.float64)


def _wishes(
    chance: np.random.Generator, kind: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(three occupations (learners, 3), how many of them each wishes for, the first the most): prao three,
    others one or two."""
    drawn = chance.choice(len(SHARES), (len(kind), 3), p=SHARES)
    many = np.where(kind == 0, 3, np.where((kind > 1) & (chance.random(len(kind)) < 0.5), 2, 1))
    return drawn.astype(np.int64), many.astype(np.int64)


def _bars(chance: np.random.Generator, occupation: NDArray[np.int64]) -> NDArray[np.int64]:
    """What the slots demand, and the placement types they do not take."""
    m = len(occupation)
    some, more = chance.random(m) < 0.6, chance.random(m) < 0.35
    demands = [
        *(some & (LANGUAGE[occupation] >= level) for level in (2, 3)),
        more & (DRIVERS[occupation] == 1),
        more & (TRUCKS[occupation] == 1),
        CHECKED[occupation] == 1,
        *(YOUNGEST[occupation] >= age for age in (15, 16, 18)),
    ]
    taken = [chance.random(m) < share for share in TAKEN]
    none = ~np.any(taken, axis=0)
    return _bits([*demands, *(~(t | none) for t in taken)])


def _lacks(
    chance: np.random.Generator, kind: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(what learners cannot meet of it, who drives)."""
    n = len(kind)
    low, high = np.array(AGES)[kind].T
    age = chance.integers(low, high + 1)
    language = np.where(chance.random(n) < 0.25, chance.integers(1, 4, n), 3)
    drives, trucks = (chance.random(n) < 0.6) & (age >= 18), (chance.random(n) < 0.15) & (age >= 18)
    lacks = [language < 2, language < 3, ~drives, ~trucks, chance.random(n) >= 0.93]
    lacks += [age < years for years in (15, 16, 18)]
    return _bits([*lacks, *(kind == k for k in range(len(KINDS)))]), drives


def _bits(columns: list[NDArray[np.bool_]]) -> NDArray[np.int64]:
    found = np.zeros(len(columns[0]), np.int64)
    for bit, column in enumerate(columns):
        found |= column.astype(np.int64) << bit
    return found


def _curve(places: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order in which neighbours are near each other (Morton 1966)."""
    key = np.zeros(len(places), np.int64)
    for column, (low, span) in enumerate(((55.0, 14.0), (10.0, 15.0))):
        cell = np.clip((places[:, column] - low) / span * 65535, 0, 65535).astype(np.int64)
        for bit in range(16):
            key |= ((cell >> bit) & 1) << (2 * bit + column)
    return key
