"""Pictures as coordinates; templates make SVG of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kompetensnav_operations.domain.picture import Picture, Queue

COLUMNS = (10, 250, 500, 790)
WIDTHS = (170, 190, 230, 170)
STEP = 40
TOP = 34


def chart(values: Sequence[float], width: int, height: int, most: float = 0) -> str:
    """The points of a line from left to right; the largest value (or `most`) is at the top, 0 at the
    bottom."""
    most = most or max([*values, 1])
    steps = max(len(values) - 1, 1)
    points = [*values, values[0]] if len(values) == 1 else values
    return " ".join(
        f"{n * width / steps:.1f},{1 + height - value / most * height:.1f}" for n, value in enumerate(points)
    )


@dataclass(frozen=True)
class Drawn:
    """A map: boxes with names, arrows between them, and what stands above each column."""

    width: int
    height: int
    heads: Sequence[tuple[int, str]]
    boxes: Sequence[dict[str, Any]]
    arrows: Sequence[tuple[float, float, float, float]]


def draw(picture: Picture, queues: Mapping[str, Sequence[Queue]], listeners: Mapping[str, str]) -> Drawn:
    """Sources, streams, consumers and services, from left to right."""
    links = {link for server in picture.servers for link in server.links} | set(picture.lost_links)
    sources = sorted({name for s in picture.streams for name, _ in s.sources} | links)
    streams = sorted(s.name for s in picture.streams)
    consumers = [q for each in queues.values() for q in each]
    services = sorted({i.service for i in picture.instances} | set(picture.silent))
    names = (sources, streams, [q.key for q in consumers], services)
    boxes, at = [], {}
    bad = {
        *picture.silent, *picture.lost_links, *(q.key for q in consumers if q.limbo),
        *(i.service for i in picture.instances if i.faults),
    }  # fmt: skip
    warn = {q.key for q in consumers if q.dead or q.paused}
    for column, some in enumerate(names):
        for n, name in enumerate(some):
            y = TOP + n * STEP
            at[(column, name)] = y + 15
            kind = "bad" if name in bad else "warn" if name in warn else "well"
            shown = name.partition("/")[2] if column == 2 else name
            boxes.append({"x": COLUMNS[column], "y": y, "width": WIDTHS[column], "name": shown, "kind": kind})
    ties = [(0, name, s.name) for s in picture.streams for name, _ in s.sources]
    ties += [(1, q.stream, q.key) for q in consumers]
    ties += [(2, q.key, listeners[q.name]) for q in consumers if q.name in listeners]
    arrows = [
        (COLUMNS[c] + WIDTHS[c], at[(c, one)], COLUMNS[c + 1], at[(c + 1, other)])
        for c, one, other in ties
        if (c, one) in at and (c + 1, other) in at
    ]
    height = TOP + max([1, *(len(some) for some in names)]) * STEP
    heads = list(zip(COLUMNS, ("sources", "streams", "consumers", "services"), strict=True))
    return Drawn(COLUMNS[3] + WIDTHS[3] + 10, height, heads, boxes, arrows)
