"""How others find the candidates: a join in polars, and a cKDTree in each bucket; for `matching.py`."""

from typing import Any

import numpy as np

from kompetensnav_matching.engine.candidates import World
from kompetensnav_matching.engine.generate import KINDS
from kompetensnav_matching.engine.travel import RADIUS_KM, ROAD

RADIUS = RADIUS_KM * ROAD


def _wished(world: World) -> tuple[Any, Any]:
    """(learner, occupation) of each different wish."""
    them = world.learners
    rows = np.repeat(np.arange(len(them.starts)), np.diff(them.wish_from))
    return tuple(np.unique(np.column_stack([rows, them.wish_group]), axis=0).T)


def _reach(world: World) -> Any:
    """Radians that each learner can travel."""
    minutes = world.learners.max_minutes + 0.1  # whole tenths are compared
    return np.where(minutes < 16, (minutes - 4) / 1.5, 8 + (minutes - 16) / 0.75) / RADIUS


def _occupations(world: World) -> Any:
    return np.repeat(np.arange(len(world.group_from) - 1), np.diff(world.group_from))


def by_polars(world: World) -> int:
    """A join on occupation and cells of half a degree, then filters (on all cores)."""
    import polars as pl

    slots, them = world.slots, world.learners

    who, occupation = _wished(world)
    north, east = world.latitude[them.place], world.longitude[them.place]
    spread = np.degrees(_reach(world))
    wide = spread / np.cos(np.radians(north)) / 0.97
    low, high = np.floor((north - spread) / 0.5), np.floor((north + spread) / 0.5)
    left, right = np.floor((east - wide) / 1.2), np.floor((east + wide) / 1.2)
    across = (right - left + 1)[who]
    cells = ((high - low + 1)[who] * across).astype(int)
    row = np.repeat(np.arange(len(who)), cells)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(cells) - cells, cells)
    i = who[row]
    asked = pl.DataFrame(
        {
            "i": i, "occupation": occupation[row], "y": low[i] + nth // across[row],
            "x": left[i] + nth % across[row], "lacks": them.lacks[i], "from": them.starts[i],
            "to": them.ends[i], "minutes": them.max_minutes[i],
            "la": np.radians(north)[i], "lo": np.radians(east)[i],
        }
    )  # fmt: skip
    there, across_there = world.latitude[slots.place], world.longitude[slots.place]
    offered = pl.DataFrame(
        {
            "j": np.arange(len(there)), "occupation": _occupations(world), "y": np.floor(there / 0.5),
            "x": np.floor(across_there / 1.2), "bars": slots.bars, "starts": slots.starts,
            "ends": slots.ends, "sa": np.radians(there), "so": np.radians(across_there),
        }
    )  # fmt: skip
    half = ((pl.col("sa") - pl.col("la")) / 2).sin() ** 2 + pl.col("la").cos() * pl.col("sa").cos() * (
        (pl.col("so") - pl.col("lo")) / 2
    ).sin() ** 2
    road = 2 * RADIUS * half.sqrt().arcsin()
    found = (
        asked.lazy()
        .join(offered.lazy(), on=["occupation", "y", "x"])
        .filter(
            ((pl.col("bars") & pl.col("lacks")) == 0)
            & (pl.col("starts") >= pl.col("from"))
            & (pl.col("ends") <= pl.col("to"))
        )
        .with_columns(road.alias("road"))
        .with_columns(
            (
                4
                + pl.when(pl.col("road") < 8)
                .then(pl.col("road") * 1.5)
                .otherwise(12 + (pl.col("road") - 8) * 0.75)
            ).alias("t")
        )
        .filter((pl.col("t") * 10).floor() <= 10 * pl.col("minutes"))
        .select("i", "j", "t")
    )
    return found.collect().height


def by_kdtree(world: World) -> int:
    """scipy's cKDTree in each bucket of occupation, placement type and period, then filters."""
    from scipy.spatial import cKDTree

    slots, them = world.slots, world.learners

    def on_sphere(place: Any) -> Any:
        la, lo = np.radians(world.latitude[place]), np.radians(world.longitude[place])
        return np.column_stack([np.cos(la) * np.cos(lo), np.cos(la) * np.sin(lo), np.sin(la)])

    who, occupation = _wished(world)
    here, there, far = on_sphere(them.place), on_sphere(slots.place), 2 * np.sin(_reach(world) / 2)
    kind = np.log2(them.lacks[who] >> 8 & (2 ** len(KINDS) - 1)).astype(int)
    period = them.starts[who] * 1000 + them.ends[who]
    found, every = 0, _occupations(world)
    for group in np.unique(every):
        js = np.flatnonzero(every == group)
        tree = cKDTree(there[js])
        for k in range(len(KINDS)):
            for p in np.unique(period):
                rows = who[(occupation == group) & (kind == k) & (period == p)]
                for low in range(0, len(rows), 5000):
                    ii = rows[low : low + 5000]
                    near = tree.query_ball_point(here[ii], far[ii] * 1.000001, return_sorted=False)
                    sizes = np.array([len(x) for x in near])
                    if not sizes.sum():
                        continue
                    i, j = np.repeat(ii, sizes), js[np.concatenate([np.array(x, int) for x in near])]
                    fits = (slots.bars[j] & them.lacks[i]) == 0
                    fits &= (slots.starts[j] >= them.starts[i]) & (slots.ends[j] <= them.ends[i])
                    i, j = i[fits], j[fits]
                    chord = np.linalg.norm(here[i] - there[j], axis=1)
                    road = 2 * RADIUS * np.arcsin(np.minimum(1, chord / 2))
                    t = 4 + np.where(road < 8, road * 1.5, 12 + (road - 8) * 0.75)
                    found += int(((10 * t).astype(int) <= 10 * them.max_minutes[i]).sum())
    return found
