"""Ten rules that say when somebody must be told. Thresholds stand in a consumer's own metadata
(`io.nats.monitor.*`, which NATS' standard checks read too); where it has none, these apply."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from kompetensnav_operations.domain.picture import Picture, Queue

AGE = 900.0
"""Seconds that a message may wait."""
DEPTH = 10_000
OUTBOX = 60.0
"""Seconds that an event may wait in an outbox."""
GROWTH = 10
"""Dead letters in ten minutes."""
RATIO = 0.2
"""Share of deliveries that are repeats."""
FULL = 0.9
"""Share of a stream's or a server's room."""
CERTIFICATE = timedelta(days=30)
SKEW = 5.0
"""Seconds between two clocks."""
RULES = ("age", "limbo", "dead-growth", "redelivery", "outbox", "link", "slow-consumer", "disk",
         "certificate", "clock")  # fmt: skip
MONITOR = "io.nats.monitor."


@dataclass(frozen=True)
class Finding:
    """A rule that is broken, by what, and by how much."""

    rule: str
    target: str
    value: float
    limit: float


@dataclass(frozen=True)
class Recent:
    """What the picture alone does not tell: dead letters of the last ten minutes by queue, repeats and
    deliveries of the last ten minutes by queue, and slow consumers that are new, by server."""

    dead: Mapping[str, int]
    repeats: Mapping[str, tuple[int, int]]
    slow: Mapping[str, int]


def judge(picture: Picture, recent: Recent) -> list[Finding]:
    """Everything that breaks a rule at this moment."""
    return [*_queues(picture, recent), *_services(picture), *_servers(picture, recent)]


def _queues(picture: Picture, recent: Recent) -> Iterator[Finding]:
    for queue in picture.queues:
        if not queue.paused:
            age, depth = seconds(queue, "age-critical", AGE), threshold(queue, "unprocessed-critical", DEPTH)
            if queue.oldest > age:
                yield Finding("age", queue.key, queue.oldest, age)
            elif queue.waiting > depth:
                yield Finding("age", queue.key, queue.waiting, depth)
        if queue.limbo:
            yield Finding("limbo", queue.key, queue.limbo, 0)
        limit = threshold(queue, "dead-growth-critical", GROWTH)
        if (died := recent.dead.get(queue.key, 0)) >= limit:
            yield Finding("dead-growth", queue.key, died, limit)
        repeats, deliveries = recent.repeats.get(queue.key, (0, 0))
        ratio = threshold(queue, "redelivery-ratio-critical", RATIO)
        if repeats >= 10 and repeats / deliveries > ratio:
            yield Finding("redelivery", queue.key, repeats / deliveries, ratio)


def _services(picture: Picture) -> Iterator[Finding]:
    for each in picture.instances:
        name = f"{each.service}@{each.host}"
        if each.outbox_oldest > OUTBOX:
            yield Finding("outbox", name, each.outbox_oldest, OUTBOX)
        elif each.parked:
            yield Finding("outbox", name, each.parked, 0)
        if abs(each.skew) > SKEW:
            yield Finding("clock", name, each.skew, SKEW)
    for service in picture.silent:
        yield Finding("outbox", service, 0, 0)


def _servers(picture: Picture, recent: Recent) -> Iterator[Finding]:
    for link in picture.lost_links:
        yield Finding("link", link, 1, 0)
    for server in picture.servers:
        if new := recent.slow.get(server.name, 0):
            yield Finding("slow-consumer", server.name, new, 0)
        if server.store_room > 0 and server.store_used / server.store_room > FULL:
            yield Finding("disk", server.name, server.store_used / server.store_room, FULL)
        if server.certificate_ends and server.certificate_ends - picture.at < CERTIFICATE:
            left = (server.certificate_ends - picture.at) / timedelta(days=1)
            yield Finding("certificate", server.name, left, CERTIFICATE.days)
    for stream in picture.streams:
        if stream.max_bytes > 0 and stream.bytes / stream.max_bytes > FULL:
            yield Finding("disk", stream.name, stream.bytes / stream.max_bytes, FULL)


def threshold(queue: Queue, name: str, default: float) -> float:
    """A number of the consumer's metadata; the default when there is none, or it is no number."""
    try:
        return float(queue.metadata.get(MONITOR + name, default))
    except ValueError:
        return default


def seconds(queue: Queue, name: str, default: float) -> float:
    """A duration of the consumer's metadata, as Go writes it (`15m`, `1h30m`, `45s`)."""
    return duration(queue.metadata.get(MONITOR + name, ""), default)


_PARTS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def duration(text: str, default: float) -> float:
    """Seconds of a duration such as `1h30m`; the default when it is none."""
    if not re.fullmatch(r"(\d+(\.\d+)?(ms|h|m|s))+", text):
        return default
    return sum(float(n) * _PARTS[unit] for n, _, unit in re.findall(r"(\d+(\.\d+)?)(ms|h|m|s)", text))


def since(began: datetime, now: datetime) -> float:
    """Seconds that something has gone on."""
    return max(0.0, (now - began).total_seconds())
