"""The picture: what the broker, the services and the console's own rows tell at one moment. The last one is
kept, and shown with its age when nothing answers."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from kompetensnav_chassis.db import Scope, Sessions, transaction
from kompetensnav_operations.actions import alerts
from kompetensnav_operations.actions.event_reader import Names
from kompetensnav_operations.domain.alerts import Recent
from kompetensnav_operations.domain.dead_letters import State
from kompetensnav_operations.domain.picture import (
    Instance,
    Picture,
    Queue,
    Server,
    Stream,
    as_json,
    flow,
    from_json,
    has_gap,
)
from kompetensnav_operations.edges.broker import (
    AWAY,
    Broker,
    Refused,
    System,
    instance_of,
    queue_of,
    stream_of,
)
from kompetensnav_operations.tables import DeadLetter, GivenUp, Kept

log = structlog.get_logger()
SPAN = 10
"""Looks over which a rate is taken: seconds."""
GRACE = timedelta(seconds=5)
"""How long a message may be between being given up and being a dead letter."""
STALE = 15.0
"""Seconds after which nothing is done by a picture."""
MISSED = timedelta(seconds=10)
"""After which a service or a link that does not answer is missed."""
FORGET = timedelta(days=14)
"""After which a service or a link that does not come back is not missed any more."""


@dataclass
class Board:
    """What the console knows, for all who look at it."""

    stack: str
    picture: Picture
    counts: Mapping[str, int] = field(default_factory=dict)
    """Queue -> dead letters that nobody has dealt with."""
    broker: Broker | None = None
    known: dict[str, datetime] = field(default_factory=dict)
    """Services and links (`link:NAME`) that were seen, and when last."""
    instances: tuple[Instance, ...] = ()
    servers: tuple[Server, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)
    """What did not answer when everybody was asked: `servers`."""
    heard: dict[str, datetime] = field(default_factory=dict)
    """Since when `services` and `servers` are asked without a break: only then is somebody missed."""
    past: deque[tuple[float, dict[str, Queue]]] = field(default_factory=lambda: deque(maxlen=SPAN))
    oldest: dict[str, tuple[int, datetime | None]] = field(default_factory=dict)
    """Queue -> (its floor, when the first message above it was stored)."""
    read: dict[str, Stream] = field(default_factory=dict)
    """Streams as they were when all of them had been read."""
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    slow: dict[str, deque[tuple[float, int]]] = field(default_factory=dict)
    """Server -> its count of slow consumers over the last while."""
    faults: dict[str, str] = field(default_factory=dict)
    """What does not answer: `broker`, `database`, `servers`."""

    @property
    def names(self) -> Names:
        """The streams that tell of others."""
        return Names.of(self.stack)

    @property
    def age(self) -> float:
        """Seconds since the picture was made."""
        return (datetime.now(UTC) - self.picture.at).total_seconds()

    @property
    def ready_broker(self) -> Broker:
        """The broker. Raises ConnectionError when there has never been one."""
        if self.broker is None:
            raise ConnectionError("not connected yet")
        return self.broker

    @property
    def is_live(self) -> bool:
        """Whether the picture is of now, so that something can be done by it."""
        return bool(self.past) and self.age < STALE

    def was(self, seconds: float) -> Mapping[str, Queue]:
        """The queues at a look that is at least so long ago; none when there is no such look."""
        until = time.monotonic() - seconds
        return next((queues for at, queues in reversed(self.past) if at <= until), {})

    async def show(self, picture: Picture) -> None:
        """Has everybody who looks see this."""
        async with self.changed:
            self.picture = picture
            self.changed.notify_all()

    async def follow(self, pause: float = 5.0) -> AsyncIterator[Picture]:
        """The picture, again whenever it changes, and after the pause at the latest."""
        while True:
            yield self.picture
            with suppress(TimeoutError):
                async with asyncio.timeout(pause), self.changed:
                    await self.changed.wait()


async def ask_everybody(board: Board, system: System | None) -> None:
    """Asks services and servers how they are; that takes a moment, for nobody knows how many will answer."""
    now = datetime.now(UTC)
    if board.broker is None or not board.broker.is_there:
        board.heard.pop("services", None)
    else:
        board.heard.setdefault("services", now)
        answers = await board.broker.everybody("$SRV.STATS")
        board.instances = tuple(i for each in answers if (i := instance_of(each, datetime.now(UTC))))
        board.known |= {each.service: now for each in board.instances}
    if system is not None:
        try:
            found = await system.servers()
            board.servers = tuple(sorted(found, key=lambda server: server.name))
            board.known |= {f"link:{link}": now for server in found for link in server.links}
            board.missing = {} if found else {"servers": "no answer"}
        except (*AWAY, Refused) as away:
            board.missing = {"servers": type(away).__name__}
        if board.missing:
            board.heard.pop("servers", None)
        else:
            board.heard.setdefault("servers", now)
    board.known = {name: at for name, at in board.known.items() if at > now - FORGET}


async def look(board: Board, sessions: Sessions) -> None:
    """Makes a new picture and shows it. What does not answer is told in it; the rest of it stays as it
    was."""
    faults: dict[str, str] = dict(board.missing)
    before, now = board.picture, datetime.now(UTC)
    try:
        picture = await _ask(board, now)
    except (*AWAY, Refused) as away:
        faults["broker"] = type(away).__name__
        picture = before
    try:
        counts, limbo = await _dead_letters(sessions, picture, now)
        board.counts = counts
    except Exception as away:  # whatever the database says when it is away
        faults["database"] = type(away).__name__
        counts, limbo = dict(board.counts), {}
    queues = tuple(replace(q, dead=counts.get(q.key, 0), limbo=limbo.get(q.key, 0)) for q in picture.queues)
    board.faults = faults
    missing = [name for name, at in board.known.items() if at < now - MISSED]
    is_heard = "broker" not in faults
    services, servers = (_is_known(board, who, now) for who in ("services", "servers"))
    await board.show(
        replace(
            picture,
            at=now if is_heard else before.at,
            queues=queues,
            instances=board.instances or picture.instances,
            servers=board.servers or picture.servers,
            silent=tuple(sorted(n for n in missing if ":" not in n)) if services else before.silent,
            lost_links=tuple(sorted(n.partition(":")[2] for n in missing if ":" in n))
            if servers
            else before.lost_links,
            faults=faults,
        )
    )


def _is_known(board: Board, who: str, now: datetime) -> bool:
    """Whether they have been asked long enough for those that do not answer to be missed."""
    since = board.heard.get(who)
    return since is not None and now - since > MISSED


async def _ask(board: Board, now: datetime) -> Picture:
    broker = board.broker
    if broker is None:
        raise OSError("not connected yet")
    streams = tuple(stream_of(said) for said in await broker.streams())
    said = await asyncio.gather(*(broker.consumers(s.name) for s in streams if s.consumers))
    queues = [queue_of(each) for some in said for each in some if each["config"].get("durable_name")]
    queues = await _aged(board, broker, queues, now)
    return Picture(at=now, streams=streams, queues=tuple(_flowing(board, queues)))


async def _aged(board: Board, broker: Broker, queues: list[Queue], now: datetime) -> list[Queue]:
    """With how long the first unanswered message has waited. It is asked for only when the floor moved."""

    async def of(queue: Queue) -> Queue:
        if queue.is_idle:
            board.oldest.pop(queue.key, None)
            return queue
        floor, at = board.oldest.get(queue.key, (-1, None))
        if floor != queue.floor:
            with suppress(*AWAY):
                first = await broker.first(queue.stream, queue.floor + 1, queue.filters)
                at = first.at if first else None
                board.oldest[queue.key] = (queue.floor, at)
        return replace(queue, oldest=max(0.0, (now - at).total_seconds()) if at else 0.0)

    return list(await asyncio.gather(*(of(queue) for queue in queues)))


def _flowing(board: Board, queues: list[Queue]) -> list[Queue]:
    now = time.monotonic()
    if board.past:
        then, before = board.past[0]
        queues = [
            replace(q, rate_in=rates[0], rate_out=rates[1])
            for q in queues
            for rates in [flow(before.get(q.key, q), q, now - then)]
        ]
    board.past.append((now, {q.key: q for q in queues}))
    return queues


async def _dead_letters(
    sessions: Sessions, picture: Picture, now: datetime
) -> tuple[dict[str, int], dict[str, int]]:
    """(dead letters that wait, messages that are stuck) by queue."""
    async with transaction(sessions, Scope()) as session:
        dead = await session.execute(
            select(DeadLetter.stream, DeadLetter.consumer, func.count())
            .where(DeadLetter.state == State.WAITING)
            .group_by(DeadLetter.stream, DeadLetter.consumer)
        )
        counts = {f"{stream}/{consumer}": n for stream, consumer, n in dead}
        given_up = await session.execute(
            select(GivenUp.stream, GivenUp.consumer, func.count())
            .where(GivenUp.at < now - GRACE)
            .group_by(GivenUp.stream, GivenUp.consumer)
        )
        limbo = {f"{stream}/{consumer}": n for stream, consumer, n in given_up}
        for queue in (q for q in picture.queues if has_gap(q) and q.key not in limbo):
            known = await session.scalar(
                select(DeadLetter.dead_letter_id)
                .where(
                    DeadLetter.consumer == queue.name,
                    DeadLetter.stream == queue.stream,
                    DeadLetter.origin_seq > queue.floor,
                )
                .limit(1)
            )
            if not known and queue.answered_at and queue.answered_at < now - GRACE * 2:
                limbo[queue.key] = 1
    return counts, limbo


def recent(board: Board, died: Mapping[str, int], repeats: Mapping[str, tuple[int, int]]) -> Recent:
    """What the rules need besides the picture; slow consumers are those of the last ten minutes."""
    now, slow = time.monotonic(), {}
    for server in board.servers:
        counts = board.slow.setdefault(server.name, deque())
        if counts and counts[-1][1] > server.slow_consumers:  # it counts from 0 since a restart
            counts.clear()
        counts.append((now, server.slow_consumers))
        while counts[0][0] < now - alerts.SPAN.total_seconds():
            counts.popleft()
        slow[server.name] = server.slow_consumers - counts[0][1]
    return Recent(died, repeats, slow)


async def keep(board: Board, sessions: Sessions) -> None:
    """Keeps the picture for the next start."""
    content: dict[str, object] = {
        "picture": as_json(board.picture),
        "known": {name: at.isoformat() for name, at in board.known.items()},
    }
    async with transaction(sessions, Scope()) as session:
        row = insert(Kept).values(name="picture", at=board.picture.at, content=content)
        newer = {"at": row.excluded.at, "content": row.excluded.content}
        await session.execute(row.on_conflict_do_update(index_elements=["name"], set_=newer))


async def recall(board: Board, sessions: Sessions) -> None:
    """Shows the picture that was kept, if there is one that can be read."""
    async with transaction(sessions, Scope()) as session:
        kept = await session.get(Kept, "picture")
    if kept is None:
        return
    try:
        board.picture = from_json(kept.content["picture"])
        board.known = {n: datetime.fromisoformat(at) for n, at in kept.content["known"].items()}
    except (KeyError, TypeError, ValueError):
        log.warning("kept_picture_not_read")


def by_stream(queues: Iterable[Queue]) -> dict[str, list[Queue]]:
    """Stream -> its queues, by name."""
    found: dict[str, list[Queue]] = defaultdict(list)
    for queue in sorted(queues, key=lambda q: (q.stream, q.name)):
        found[queue.stream].append(queue)
    return dict(found)
