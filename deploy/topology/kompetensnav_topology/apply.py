"""Streams and consumers: what is wished for, what is there, and the way from one to the other."""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StoreCompression,
    StreamConfig,
    StreamSource,
)

from kompetensnav_topology import exchange
from kompetensnav_topology.stack import Service
from kompetensnav_topology.stackfile import Partner, StackFile

DAY = 86_400.0
HASH = "kompetensnav.hash"
MAX_ACK_PENDING = 1_000
"""Delayed naks count: a queue with a low limit stops while its messages wait."""
MARGIN = timedelta(hours=1)
"""How much earlier than its backup a restored service hears again: what waited then is not in it."""
BETWEEN = 2 << 30
"""Most bytes of a stream between stacks: what is public, and what is meant for another stack."""
NOTES = 256 << 20
"""Most bytes of notes about tries that did not succeed; the oldest go first."""
MAX_DELIVER = 20
"""The retry schedule ends long before; what reaches this was never answered (crash loops) and is collected.
"""


@dataclass(frozen=True)
class Account:
    """An account with the user that makes its streams and consumers. `link`: the account whose leaf
    connection some of the streams live of."""

    user: str
    streams: list[StreamConfig]
    consumers: list[tuple[str, ConsumerConfig]]
    link: str = ""

    @property
    def linked(self) -> dict[str, list[StreamSource]]:
        """The streams that live of it, and their sources."""
        return {s.name or "": s.sources for s in self.streams if self.link and s.sources}


def accounts(made: StackFile, *, ack_wait: float = 30.0, max_bytes: int = 8 << 30) -> list[Account]:
    """What each account of a stack, or of a region's hub, holds."""
    name, code = made.name, made.name.upper()
    partners = partner_consumers(name, made.partners, ack_wait=ack_wait)
    if made.hub:
        found = [Account("topology", [kept(f"PUB_{code}", exchange.gathered(name, made.members), max_bytes)],
                         partners)]  # fmt: skip
        for member in made.members:
            theirs = [
                kept(f"{kind.upper()}_{member.name.upper()}", exchange.carried(member, kind), max_bytes)
                for kind in ("pub", "fed")
            ]
            found.append(Account(f"topology-{member.name}", theirs, [], member.name.upper()))
        return found
    heard = exchange.heard(name, made.municipalities, made.region) if made.region else []
    own = consumers(name, made.services, ack_wait=ack_wait)
    made_of = streams(name, max_bytes=max_bytes, replicas=made.replicas, heard=heard)
    found = [Account("topology", made_of, [*own, *partners], "GATE" if made.region else "")]
    if made.region:
        edge = kept(f"EDGE_{code}", exchange.leaving(name, made.municipalities), max_bytes)
        found.append(Account("topology-edge", [edge], []))
    return found


@dataclass(frozen=True)
class Change:
    """One step of a plan."""

    verb: str
    kind: str
    name: str


def streams(
    stack: str, *, max_bytes: int = 8 << 30, replicas: int = 1, heard: Sequence[StreamSource] = ()
) -> list[StreamConfig]:
    """The streams of a stack's own account; `heard` is where other stacks tell it something."""
    code = stack.upper()
    # A compressed block that a killed node must cut back cannot be read again (nats-server 2.15.1: "s2:
    # unsupported input"), and its replica is lost until it is wiped: decision 0022.
    compression = StoreCompression.S2 if replicas == 1 else StoreCompression.NONE
    shared: dict[str, Any] = {"storage": StorageType.FILE, "num_replicas": replicas, "allow_direct": True}
    events = [
        StreamConfig(
            name=f"{visibility.upper()}_{code}",
            subjects=[f"nav.*.{visibility}.>", *([f"replay.{visibility}.>"] if visibility != "fed" else [])],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.NEW,  # the server refuses message schedules together with it
            max_bytes=max_bytes,
            duplicate_window=600.0,
            compression=compression,
            **shared,
        )
        for visibility in ("int", "pub", "fed")
    ]
    dead = StreamConfig(
        name=f"DEAD_{code}", subjects=["dead.>"], max_age=400 * DAY, duplicate_window=DAY, **shared
    )
    fedin = StreamConfig(
        name=f"FEDIN_{code}",
        subjects=["replay.fed.>"],
        sources=list(heard) or None,
        max_bytes=min(max_bytes, BETWEEN),
        duplicate_window=600.0,
        compression=compression,
        **shared,
    )
    advisories = [
        f"$JS.EVENT.ADVISORY.CONSUMER.{kind}.{stream}_{code}.*"
        for kind in ("MAX_DELIVERIES", "MSG_TERMINATED")
        for stream in ("INT", "FEDIN")
    ]
    advisory = StreamConfig(name=f"ADVISORY_{code}", subjects=advisories, max_age=14 * DAY, **shared)
    attempts = StreamConfig(
        name=f"ATTEMPT_{code}",
        subjects=["attempt.>"],
        max_age=14 * DAY,
        max_bytes=min(max_bytes, NOTES),
        **shared,
    )
    return _marked([*events, fedin, dead, advisory, attempts])


def kept(name: str, sources: Sequence[StreamSource], max_bytes: int) -> StreamConfig:
    """A stream that holds what others tell, and is told nothing itself."""
    config = StreamConfig(
        name=name,
        sources=list(sources),
        max_bytes=min(max_bytes, BETWEEN),
        duplicate_window=600.0,
        storage=StorageType.FILE,
        compression=StoreCompression.S2,
        allow_direct=True,
    )
    return _marked([config])[0]


def _marked(configs: list[StreamConfig]) -> list[StreamConfig]:
    for config in configs:
        config.metadata = {HASH: _hash(config)}
    return configs


def consumers(
    stack: str, services: Iterable[Service], *, ack_wait: float = 30.0
) -> list[tuple[str, ConsumerConfig]]:
    """(stream, consumer) of every durable."""
    code = stack.upper()
    made = []
    for service in services:
        for durable, events in service.durables.items():
            filters = [f"nav.*.int.{event}" for event in events] + [f"replay.int.{durable}.>"]
            made.append((f"INT_{code}", _consumer(durable, filters, ack_wait)))
        for durable, events in service.exchanges.items():
            filters = [f"nav.*.fed.*.{event}" for event in events] + [f"replay.fed.{durable}.>"]
            made.append((f"FEDIN_{code}", _consumer(durable, filters, ack_wait)))
    made.append((f"ADVISORY_{code}", collector(ack_wait)))
    return made


def collector(ack_wait: float) -> ConsumerConfig:
    """The consumer by which services make dead letters of what the server gives up; itself it gives up
    nothing."""
    return _consumer("collector", ["$JS.EVENT.ADVISORY.CONSUMER.>"], ack_wait, max_deliver=-1)


def partner_consumers(
    stack: str, partners: Iterable[Partner], *, ack_wait: float = 30.0
) -> list[tuple[str, ConsumerConfig]]:
    """(stream, consumer) of every partner. What a partner does not acknowledge comes again until it does."""
    code = stack.upper()
    return [
        (f"PUB_{code}", _consumer(partner.durable, partner.filters, ack_wait, max_deliver=-1))
        for partner in partners
    ]


def _consumer(
    durable: str, filters: list[str], ack_wait: float, max_deliver: int = MAX_DELIVER
) -> ConsumerConfig:
    config = ConsumerConfig(
        name=durable,
        durable_name=durable,
        filter_subjects=filters,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ack_wait,
        max_deliver=max_deliver,
        max_ack_pending=MAX_ACK_PENDING,
        metadata={
            "io.nats.monitor.enabled": "1",
            "io.nats.monitor.outstanding-ack-critical": str(MAX_ACK_PENDING - 10),
            "io.nats.monitor.waiting-critical": "500",
            "io.nats.monitor.unprocessed-critical": "10000",
            "io.nats.monitor.last-delivery-critical": "1h",
        },
    )
    assert config.metadata is not None
    config.metadata[HASH] = _hash(config)
    return config


def _hash(config: StreamConfig | ConsumerConfig) -> str:
    """Identifies the wished-for configuration; the server adds defaults, so configurations are not
    compared."""
    return hashlib.sha256(repr(sorted(asdict(config).items(), key=lambda i: i[0])).encode()).hexdigest()[:16]


async def plan(
    js: JetStreamContext, wanted: Iterable[StreamConfig], durables: Iterable[tuple[str, ConsumerConfig]]
) -> list[Change]:
    """What would be made, changed or removed; empty when all is as wished."""
    wanted, durables = list(wanted), list(durables)
    changes = []
    for stream in wanted:
        assert stream.name is not None
        verb = await _difference(js.stream_info(stream.name), stream)
        changes += [Change(verb, "stream", stream.name)] if verb else []
    for on, consumer in durables:
        assert consumer.durable_name is not None
        verb = await _difference(js.consumer_info(on, consumer.durable_name), consumer)
        changes += [Change(verb, "consumer", consumer.durable_name)] if verb else []
    return changes + [
        Change("remove", "consumer", name) for _, name in await _left_over(js, wanted, durables)
    ]


async def _left_over(
    js: JetStreamContext, wanted: Iterable[StreamConfig], durables: Iterable[tuple[str, ConsumerConfig]]
) -> list[tuple[str, str]]:
    """(stream, durable) of what was made here and nobody listens with any more; another's is left alone."""
    ours = {(on, consumer.durable_name) for on, consumer in durables}
    found = []
    for stream in wanted:
        with suppress(nats.js.errors.NotFoundError):
            for there in await js.consumers_info(stream.name or ""):
                name = there.config.durable_name
                if name and HASH in (there.config.metadata or {}) and (stream.name, name) not in ours:
                    found.append((stream.name or "", name))
    return found


async def _difference(asked: Any, wanted: StreamConfig | ConsumerConfig) -> str:
    try:
        there = (await asked).config
    except nats.js.errors.NotFoundError:
        return "make"
    same = (there.metadata or {}).get(HASH) == (wanted.metadata or {}).get(HASH)
    if isinstance(wanted, StreamConfig):  # they are taken away for a moment while a stream asks again
        same = same and len(there.sources or []) == len(wanted.sources or [])
    return "" if same else "change"


async def carry_out(
    js: JetStreamContext, wanted: Iterable[StreamConfig], durables: Iterable[tuple[str, ConsumerConfig]]
) -> list[Change]:
    """Makes what is missing, changes what differs and removes what is left over; returns what was done."""
    wanted, durables = list(wanted), list(durables)
    changes = await plan(js, wanted, durables)
    todo = {(c.kind, c.name): c.verb for c in changes}
    for stream in wanted:
        verb = todo.get(("stream", stream.name or ""))
        if verb == "make":
            await js.add_stream(stream)
        elif verb == "change":
            await js.update_stream(stream)
    for on, consumer in durables:
        verb = todo.get(("consumer", consumer.durable_name or ""))
        if verb == "change":  # where it began cannot be changed, and need not
            there = (await js.consumer_info(on, consumer.durable_name or "")).config
            consumer.deliver_policy, consumer.opt_start_time = there.deliver_policy, there.opt_start_time
            consumer.opt_start_seq = there.opt_start_seq
        if verb:
            await js.add_consumer(on, consumer)
    for on, name in await _left_over(js, wanted, durables):
        await js.delete_consumer(on, name)
    return changes


async def begin_again(
    js: JetStreamContext, durables: Iterable[tuple[str, ConsumerConfig]], since: datetime
) -> list[Change]:
    """Makes consumers anew, from what was told since then."""
    changes = []
    for on, consumer in durables:
        name = consumer.durable_name or ""
        with suppress(nats.js.errors.NotFoundError):
            await js.delete_consumer(on, name)
        consumer.deliver_policy, consumer.opt_start_time = DeliverPolicy.BY_START_TIME, since
        await js.add_consumer(on, consumer)
        changes.append(Change("make", "consumer", name))
    return changes
