"""Which learner could take which slot, and at what cost.

One test of bits, one of the period, then travel: from a table between places or, where that is silent or
there is none, from distance. Without a table only slots in the squares around a learner are looked at.
Costs are whole tenths of a minute, so that no order of additions can change a result.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kompetensnav_matching.engine.compiled import compiled
from kompetensnav_matching.engine.instance import BadInstance, sort_keys
from kompetensnav_matching.engine.travel import RADIUS_KM, kilometres, reach, tenths_by_road

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
SQUARE_KM = 8.0
"""Side of a square of the grid."""
UNKNOWN = -1
"""In the travel table: no time is known, nor can be estimated."""


@dataclass(frozen=True)
class Slots:
    """Slots as columns, each of shape (slots,)."""

    seats: Int32s
    starts: Int32s
    """Days since 0001-01-01."""
    ends: Int32s
    bars: Int64s
    """Bits of what bars from it; it bars a learner with any of the same bits."""
    place: Int32s
    """Row of the places."""
    sharing: Int32s
    """Row of the sharing table."""


@dataclass(frozen=True)
class Learners:
    """Learners as columns of shape (learners,), and their wishes as compressed rows."""

    starts: Int32s
    ends: Int32s
    lacks: Int64s
    """Bits of what would bar the learner."""
    place: Int32s
    max_minutes: Int32s
    sharing: Int32s
    """Column of the sharing table."""
    wish_from: Int64s
    """Shape (learners + 1,): learner i's wishes are wish_from[i] to wish_from[i + 1]."""
    wish_group: Int32s
    """The group of slots each wish speaks of."""
    wish_cost: Int32s


@dataclass(frozen=True)
class World:
    """Slots, learners, and the tables that both refer to."""

    slots: Slots
    learners: Learners
    group_from: Int64s
    """Shape (groups + 1,): group g's slots are group_slots[group_from[g] : group_from[g + 1]]."""
    group_slots: Int32s
    latitude: Floats
    """Of each place, degrees."""
    longitude: Floats
    shared: Bools
    """Shape (slot sharing, learner sharing): may the learner use the slot?"""
    minutes: Int32s | None = None
    """Shape (places, places): travel one way, -1 = unknown. None: all from distance."""


@dataclass(frozen=True)
class Pairs:
    """Pairs that are possible, in compressed rows by learner, each sorted by (cost, slot)."""

    first: Int64s
    """Shape (learners + 1,)."""
    slot: Int32s
    cost: Int32s
    """Tenths of a minute: the cheapest wish's cost + travel."""

    @property
    def learner(self) -> Int32s:
        """The learner of each pair."""
        return np.repeat(np.arange(len(self.first) - 1, dtype=np.int32), np.diff(self.first))


def candidates(world: World) -> Pairs:
    """Every possible pair. Time grows with the pairs that are near and wished for, not with all of them.

    Raises BadInstance for coordinates that are no place on earth (unless there is a table).
    """
    slots, learners, table = world.slots, world.learners, world.minutes
    groups, latitude, longitude = world.group_slots, world.latitude, world.longitude
    if table is None:
        off = ~(np.abs(latitude) <= 90) | ~(np.abs(longitude) <= 180)
        if off.any():
            at = int(np.argmax(off))
            raise BadInstance(f"place {at} is at {latitude[at]}, {longitude[at]}: not on earth", at)
        grid = _grid(latitude, longitude)
        square = grid.square(np.radians(latitude), np.radians(longitude))[slots.place]
        of_group = np.repeat(np.arange(len(world.group_from) - 1), np.diff(world.group_from))
        groups = groups[np.lexsort((groups, square[groups], of_group))]
        strip = of_group * grid.rows + square[groups] // grid.columns
        strips = np.searchsorted(strip, np.arange((len(world.group_from) - 1) * grid.rows + 1))
    else:
        grid, square = Grid(0, 0, 1, 1, 1, 1), np.zeros(len(slots.place), np.int64)
        strips = world.group_from
    first, slot, cost = _join(
        slots.seats, slots.starts, slots.ends, slots.bars, slots.place, slots.sharing,
        learners.starts, learners.ends, learners.lacks, learners.place, learners.max_minutes,
        learners.sharing, learners.wish_from, learners.wish_group, learners.wish_cost,
        strips, groups, square[groups], world.shared,
        np.zeros((0, 0), np.int32) if table is None else table,
        *_on_sphere(np.radians(latitude), np.radians(longitude)),
        np.array([grid.south, grid.west, grid.height, grid.width]), grid.columns, grid.rows,
    )  # fmt: skip
    return Pairs(first, slot, cost)


def only(world: World, who: NDArray[np.integer]) -> World:
    """The same world with just some of its learners, in the order of `who`."""
    them = world.learners
    sizes = np.diff(them.wish_from)[who]
    first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    wishes = np.repeat(them.wish_from[who] - first[:-1], sizes) + np.arange(first[-1])
    return replace(
        world,
        learners=Learners(
            them.starts[who], them.ends[who], them.lacks[who], them.place[who], them.max_minutes[who],
            them.sharing[who], first, them.wish_group[wishes], them.wish_cost[wishes],
        ),
    )  # fmt: skip


def without(pairs: Pairs, out: Sequence[tuple[int, int]]) -> Pairs:
    """The pairs without some (learner, slot)."""
    slots = int(pairs.slot.max(initial=0)) + 1
    named = np.array([learner * slots + slot for learner, slot in out if slot < slots], np.int64)
    keep = ~np.isin(pairs.learner.astype(np.int64) * slots + pairs.slot, named)
    first = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep, dtype=np.int64)])[pairs.first]
    return Pairs(first, pairs.slot[keep], pairs.cost[keep])


@dataclass(frozen=True)
class Grid:
    """Squares in radians from the south-west corner, numbered by row, then column."""

    south: float
    west: float
    height: float
    width: float
    columns: int
    rows: int

    def square(self, latitude: Floats, longitude: Floats) -> Int64s:
        """The number of each point's square."""
        row = ((latitude - self.south) / self.height).astype(np.int64)
        return row * self.columns + ((longitude - self.west) / self.width).astype(np.int64)


def _grid(latitude: Floats, longitude: Floats) -> Grid:
    if not len(latitude):
        return Grid(0, 0, 1, 1, 1, 1)
    low, high = np.radians(latitude.min()) - 1e-6, np.radians(latitude.max()) + 1e-6
    west, east = np.radians(longitude.min()) - 1e-6, np.radians(longitude.max()) + 1e-6
    height = SQUARE_KM / RADIUS_KM
    width = height / max(0.05, math.cos((low + high) / 2))
    return Grid(low, west, height, width, int((east - west) / width) + 2, int((high - low) / height) + 2)


def _on_sphere(latitude: Floats, longitude: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Unit vectors, rounded so that they do not depend on how they were worked out, and the angles."""
    x, y, z = (
        np.round(v, 12)
        for v in (
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
        )
    )
    return x, y, z, latitude, longitude


@compiled
def _join(
    seats: Int32s, slot_starts: Int32s, slot_ends: Int32s, bars: Int64s, slot_place: Int32s,
    slot_sharing: Int32s, starts: Int32s, ends: Int32s, lacks: Int64s, place: Int32s, max_minutes: Int32s,
    sharing: Int32s, wish_from: Int64s, wish_group: Int32s, wish_cost: Int32s, strips: Int64s,
    group_slots: Int32s, square: Int64s, shared: Bools, table: Int32s, x: Floats, y: Floats, z: Floats,
    latitude: Floats, longitude: Floats, corner: Floats, columns: int, grid_rows: int,
) -> tuple[Int64s, Int32s, Int32s]:  # fmt: skip
    by_table = table.shape[0] > 0
    learners = starts.size
    first = np.zeros(learners + 1, np.int64)
    slot, cost = np.empty(64 * learners + 64, np.int32), np.empty(64 * learners + 64, np.int32)
    key = np.empty(seats.size, np.int64)
    seen, at = np.full(seats.size, np.int32(-1)), np.empty(seats.size, np.int32)
    used = np.int64(0)
    for i in range(learners):
        here, limit, size = place[i], 10 * np.int64(max_minutes[i]), 0
        farthest, low_row, high_row, low_column, high_column = 0.0, 0, 0, 0, 0
        if not by_table:
            angle = max(0.0, reach(max_minutes[i] + 0.1)) / RADIUS_KM
            farthest = (2 * math.sin(angle / 2)) ** 2
            spread = angle / max(0.05, 0.97 * math.cos(latitude[here]))
            low_row = max(int((latitude[here] - angle - corner[0]) / corner[2]), 0)
            high_row = min(int((latitude[here] + angle - corner[0]) / corner[2]), grid_rows - 1)
            low_column = max(int((longitude[here] - spread - corner[1]) / corner[3]), 0)
            high_column = min(int((longitude[here] + spread - corner[1]) / corner[3]), columns - 1)
        for w in range(wish_from[i], wish_from[i + 1]):
            strip = wish_group[w] * grid_rows  # a group's slots in one row of squares
            for row in range(low_row, high_row + 1):
                low, high = strips[strip + row], strips[strip + row + 1]
                start, stop = low, high
                if not by_table:
                    base = row * columns
                    start = low + np.searchsorted(square[low:high], base + low_column)
                    stop = low + np.searchsorted(square[low:high], base + high_column + 1)
                for q in range(start, stop):
                    j = group_slots[q]
                    if (bars[j] & lacks[i]) != 0 or slot_starts[j] < starts[i] or slot_ends[j] > ends[i]:
                        continue
                    if seats[j] == 0 or not shared[slot_sharing[j], sharing[i]]:
                        continue
                    there = slot_place[j]
                    if by_table:
                        if table[here, there] < 0:
                            continue
                        tenths = 10 * np.int64(table[here, there])
                    else:
                        dx, dy, dz = x[there] - x[here], y[there] - y[here], z[there] - z[here]
                        square_of_chord = dx * dx + dy * dy + dz * dz
                        if square_of_chord > farthest:
                            continue
                        tenths = np.int64(tenths_by_road(kilometres(math.sqrt(square_of_chord))))
                    if tenths > limit:
                        continue
                    price = ((tenths + wish_cost[w]) << 32) | j
                    if seen[j] != i:
                        seen[j], at[j], key[size] = i, size, price
                        size += 1
                    elif price < key[at[j]]:
                        key[at[j]] = price
        sort_keys(key, size)
        if used + size > slot.size:
            room = 2 * slot.size + size
            more_slots, more_costs = np.empty(room, np.int32), np.empty(room, np.int32)
            more_slots[:used], more_costs[:used] = slot[:used], cost[:used]
            slot, cost = more_slots, more_costs
        for k in range(size):
            slot[used + k], cost[used + k] = np.int32(key[k] & 0xFFFFFFFF), np.int32(key[k] >> 32)
        used += size
        first[i + 1] = used
    return first, slot[:used].copy(), cost[:used].copy()
