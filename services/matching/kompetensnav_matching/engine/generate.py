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
"""Of five placement types among learners, and how many of the slots take each."""
PERIOD = 30
"""Days."""


def generate(learners: int, ratio: float = 1.0, seed: int = 1) -> tuple[World, NDArray[np.int32]]:
    """(a round with about `ratio` seats a learner, tier of each learner); the same for the same seed."""
    chance = np.random.default_rng(seed)
    seats = chance.geometric(1 / 1.6, max(1, int(learners * ratio))).astype(np.int32)
    seats = seats[: int(np.searchsorted(np.cumsum(seats), int(learners * ratio))) + 1]
    n, m = learners, len(seats)
    towns = _towns(chance, everywhere=learners > 20_000)
    places = np.concatenate([_places(chance, towns, n, 4.0), _places(chance, towns, m, 5.0)])
    periods = 1 if n <= 2_000 else 2 if n <= 20_000 else 3 if n <= 200_000 else 12
    occupation = chance.choice(len(SHARES), m, p=SHARES)
    starts, first = chance.integers(0, periods, m), chance.integers(0, periods, n)
    last = np.minimum(first + (chance.random(n) < 0.5), periods - 1)
    wishes = _wishes(chance, n)
    order = np.lexsort((_curve(places[n:]), occupation))
    who = np.lexsort((_curve(places[:n]), [w[0] for w in wishes]))
    sizes = np.array([len(wishes[i]) for i in who])
    kind, takes = chance.choice(len(KINDS), n, p=KINDS), _some(chance, m, TAKEN)
    takes[takes == 0] = 2
    drives = chance.random(n) < 0.5
    minutes = np.where(drives, chance.integers(35, 91, n), chance.integers(15, 61, n))
    world = World(
        slots=Slots(
            seats=seats[order],
            starts=(starts[order] * PERIOD).astype(np.int32),
            ends=(starts[order] * PERIOD + PERIOD - 1).astype(np.int32),
            bars=(_some(chance, m, (0.4, 0.25, 0.2)) | ((31 & ~takes) << 3))[order],
            place=(n + np.arange(m)).astype(np.int32),
            sharing=np.zeros(m, np.int32),
        ),
        learners=Learners(
            starts=(first[who] * PERIOD).astype(np.int32),
            ends=(last[who] * PERIOD + PERIOD - 1).astype(np.int32),
            lacks=_some(chance, n, (0.2, 0.3, 0.07)) | (np.int64(8) << kind),
            place=np.arange(n, dtype=np.int32),
            max_minutes=minutes.astype(np.int32),
            sharing=np.zeros(n, np.int32),
            wish_from=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            wish_group=np.concatenate([wishes[i] for i in who]).astype(np.int32),
            wish_cost=np.concatenate([150 * np.arange(len(wishes[i])) for i in who]).astype(np.int32),
        ),
        group_from=np.searchsorted(occupation[order], np.arange(len(SHARES) + 1)).astype(np.int64),
        group_slots=np.arange(m, dtype=np.int32),
        latitude=np.concatenate([places[:n][who], places[n:][order]])[:, 0],
        longitude=np.concatenate([places[:n][who], places[n:][order]])[:, 1],
        shared=np.ones((1, 1), np.bool_),
    )
    return world, (chance.random(n) >= 0.15).astype(np.int32)


def _towns(chance: np.random.Generator, *, everywhere: bool) -> NDArray[np.float64]:
    if not everywhere:
        return NORRBOTTEN
    size = np.maximum(1000.0 / np.arange(1, 277) ** 0.85, 4)
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
    return np.round(np.column_stack([north, east]), 5)


def _wishes(chance: np.random.Generator, size: int) -> list[list[int]]:
    """One to three different occupations, the first the most wished for."""
    drawn = chance.choice(len(SHARES), (size, 3), p=SHARES)
    many = chance.choice([1, 2, 3], size, p=[0.65, 0.15, 0.2])
    return [list(dict.fromkeys(row[:k])) for row, k in zip(drawn.tolist(), many.tolist(), strict=True)]


def _some(chance: np.random.Generator, size: int, shares: tuple[float, ...]) -> NDArray[np.int64]:
    bits = np.zeros(size, np.int64)
    for bit, share in enumerate(shares):
        bits |= (chance.random(size) < share).astype(np.int64) << bit
    return bits


def _curve(places: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order in which neighbours are near each other (Morton 1966)."""
    key = np.zeros(len(places), np.int64)
    for column, (low, span) in enumerate(((55.0, 14.0), (10.0, 15.0))):
        cell = np.clip((places[:, column] - low) / span * 65535, 0, 65535).astype(np.int64)
        for bit in range(16):
            key |= ((cell >> bit) & 1) << (2 * bit + column)
    return key
