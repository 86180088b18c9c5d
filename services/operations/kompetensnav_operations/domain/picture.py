"""What the console sees at one moment: streams, queues, services, servers and links. Ages in seconds."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Stream:
    """A stream, and what it holds."""

    name: str
    messages: int
    bytes: int
    max_bytes: int
    """-1 = no limit."""
    last_seq: int
    last_at: datetime | None
    consumers: int
    sources: tuple[tuple[str, float | None], ...] = ()
    """(name, seconds since a sign of it; None = none since the server began)."""
    deleted: int = 0
    created: str = ""
    first_seq: int = 0


@dataclass(frozen=True)
class Queue:
    """A durable consumer: what waits for a listener."""

    stream: str
    name: str
    waiting: int
    """Messages that nobody has been given yet."""
    in_flight: int
    """Given to a listener, and not answered yet."""
    redelivered: int
    pulls: int
    """Requests for messages that are open."""
    delivered: int
    """The consumer's own count of deliveries."""
    done: int
    """The highest delivery with everything before it answered."""
    floor: int
    """The stream sequence up to which everything is answered."""
    last_seq: int
    """The highest stream sequence delivered."""
    delivered_at: datetime | None
    answered_at: datetime | None
    paused: bool
    filters: tuple[str, ...]
    metadata: Mapping[str, str]
    ack_wait: float
    max_deliver: int
    max_ack_pending: int
    oldest: float = 0.0
    """Seconds that the first unanswered message has waited."""
    limbo: int = 0
    """Messages given up by the server that are no dead letter."""
    dead: int = 0
    """Dead letters that nobody has dealt with."""
    rate_in: float = 0.0
    rate_out: float = 0.0
    """Messages a second, over the last ten seconds."""
    paused_until: datetime | None = None

    @property
    def key(self) -> str:
        """`STREAM/durable`: unique in a stack."""
        return f"{self.stream}/{self.name}"

    @property
    def replay_subject(self) -> str:
        """The subject, before the original one, by which a message reaches this consumer and no other; empty
        when it has none. A filter `replay.<anything>.<consumer's name>.>` is such a subject."""
        own = (f for f in self.filters if f.startswith("replay.") and f.endswith(f".{self.name}.>"))
        return next((f[:-1] for f in own), "")

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is being done."""
        return not (self.waiting or self.in_flight)


@dataclass(frozen=True)
class Instance:
    """A running process of a service, as it tells of itself."""

    service: str
    id: str
    version: str
    host: str
    faults: tuple[str, ...]
    outbox: int
    outbox_oldest: float
    parked: int
    skew: float
    """Seconds that its clock is before the console's."""
    durables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Server:
    """A node of the broker."""

    name: str
    version: str
    connections: int
    slow_consumers: int
    store_used: int
    store_room: int
    """Bytes of storage used, and allowed."""
    certificate_ends: datetime | None
    links: tuple[str, ...] = ()
    """Accounts with a link to another server at this moment."""


@dataclass(frozen=True)
class Picture:
    """All of it, at one moment."""

    at: datetime
    streams: tuple[Stream, ...] = ()
    queues: tuple[Queue, ...] = ()
    instances: tuple[Instance, ...] = ()
    servers: tuple[Server, ...] = ()
    silent: tuple[str, ...] = ()
    """Services that answered before and do not now."""
    lost_links: tuple[str, ...] = ()
    """Links that were there before and are not now."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """What could not be asked, and why."""

    def queue(self, stream: str, name: str) -> Queue | None:
        """The queue of a name."""
        return next((q for q in self.queues if (q.stream, q.name) == (stream, name)), None)

    def of_consumer(self, name: str, stream: str = "") -> Queue | None:
        """The queue of a consumer, in the stream that a dead letter names, or in any."""
        found = [q for q in self.queues if q.name == name]
        return next((q for q in found if q.stream == stream or not stream), None)


def flow(before: Queue, now: Queue, seconds: float) -> tuple[float, float]:
    """(in, out) of a queue in messages a second between two looks at it; 0 when it was made anew between
    them."""
    if seconds <= 0 or now.done < before.done:
        return 0.0, 0.0
    out = now.done - before.done
    came = out + now.waiting + now.in_flight - before.waiting - before.in_flight
    return max(0.0, came / seconds), out / seconds


def has_gap(queue: Queue) -> bool:
    """Whether an idle consumer has given something up: its floor stays below what it has delivered.
    (nats-server 2.15 leaves a message that has used up its deliveries there until the next one is
    answered.)"""
    return queue.is_idle and queue.floor < queue.last_seq


def as_json(picture: Picture) -> dict[str, Any]:
    """The picture in plain values; times in ISO 8601."""
    return _plain(asdict(picture))  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value


def from_json(said: Mapping[str, Any]) -> Picture:
    """The picture that was kept."""
    return Picture(
        at=datetime.fromisoformat(said["at"]),
        streams=tuple(
            Stream(**s | {"last_at": _time(s["last_at"]), "sources": tuple(tuple(x) for x in s["sources"])})
            for s in said["streams"]
        ),
        queues=tuple(
            Queue(**q | {"filters": tuple(q["filters"])} | {name: _time(q[name]) for name in _TIMES})
            for q in said["queues"]
        ),
        instances=tuple(
            Instance(**i | {"faults": tuple(i["faults"]), "durables": tuple(i["durables"])})
            for i in said["instances"]
        ),
        servers=tuple(
            Server(**s | {"certificate_ends": _time(s["certificate_ends"]), "links": tuple(s["links"])})
            for s in said["servers"]
        ),
        silent=tuple(said["silent"]),
        lost_links=tuple(said["lost_links"]),
        faults=said["faults"],
    )


_TIMES = ("delivered_at", "answered_at", "paused_until")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
