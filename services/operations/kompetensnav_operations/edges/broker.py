"""The broker as the console sees it: what JetStream's own API tells of streams and consumers, messages read
without a consumer (direct get, in batches), services that answer `$SRV`, servers that answer `$SYS`."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nats
import nats.errors
import nats.js.errors

from kompetensnav_chassis import streams
from kompetensnav_chassis.streams import Stored, moment
from kompetensnav_operations.domain.picture import Instance, Queue, Server, Stream

Said = dict[str, Any]
"""What the server answers, as its API documents it (JetStream wire API; `$SYS` and `$SRV` requests)."""

PATIENCE = 2.0
"""Seconds that the broker may take to answer."""
GATHER = 0.6
"""Seconds to wait for everybody who answers a question put to all."""
BATCH = 500
AWAY = (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError)
"""What a broker that does not answer, or refuses, raises."""


class Refused(Exception):
    """The broker does not do it; says why."""


@dataclass(frozen=True)
class Held:
    """Which messages a stream holds: from the first to the last, but those that were taken out."""

    first: int
    last: int
    deleted: frozenset[int]
    keeps: bool = True
    """Whether it holds what is answered, too."""

    def __contains__(self, seq: int) -> bool:
        return self.first <= seq <= self.last and seq not in self.deleted

    def has_after(self, seq: int) -> bool:
        """Whether there is a message after this one."""
        after = max(seq + 1, self.first)
        return self.last - after + 1 > sum(1 for each in self.deleted if each >= after)


class Broker:
    """Asks over one connection, which reconnects by itself. Every method raises one of AWAY."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @property
    def is_there(self) -> bool:
        """Whether the connection stands at this moment."""
        return bool(self._connection.is_connected)

    async def _ask(self, call: str, question: Any = None) -> Said:
        self._must_be_there()
        body = json.dumps(question).encode() if question is not None else b""
        answer = await self._connection.request(f"$JS.API.{call}", body, timeout=PATIENCE)
        said: Said = json.loads(answer.data)
        if "error" in said:
            raise Refused(str(said["error"].get("description", "refused")))
        return said

    async def _pages(self, call: str, name: str) -> list[Said]:
        found: list[Said] = []
        while True:
            page = await self._ask(call, {"offset": len(found)})
            rows = page.get(name) or []
            found += rows
            if not rows or len(found) >= page.get("total", 0):
                return found

    async def streams(self) -> list[Said]:
        """Every stream of the account, as the server tells of it."""
        return await self._pages("STREAM.LIST", "streams")

    async def consumers(self, stream: str) -> list[Said]:
        """Every consumer of a stream, as the server tells of it."""
        return await self._pages(f"CONSUMER.LIST.{stream}", "consumers")

    async def held(self, stream: str) -> Held:
        """Which messages a stream holds."""
        said = await self._ask(f"STREAM.INFO.{stream}", {"deleted_details": True})
        state, keeps = said["state"], said["config"].get("retention", "limits") == "limits"
        return Held(state["first_seq"], state["last_seq"], frozenset(state.get("deleted") or ()), keeps)

    async def read(self, stream: str, seq: int, most: int = BATCH, subject: str = ">") -> list[Stored]:
        """The messages from a sequence on, at most so many, fewer when they are large; empty at the end, or
        when the replica that answers lags behind. The stream must allow direct gets."""
        self._must_be_there()
        return await streams.read(self._connection, stream, seq, most, subject, PATIENCE)

    async def first(self, stream: str, seq: int, subjects: Sequence[str]) -> Stored | None:
        """The first message from a sequence on with one of these subjects; None when there is none."""
        self._must_be_there()
        asked = [
            streams.get(self._connection, stream, {"seq": max(seq, 1), "next_by_subj": s}, PATIENCE)
            for s in subjects or (">",)
        ]
        found = [each for each in await asyncio.gather(*asked) if each]
        return min(found, key=lambda each: each.seq, default=None)

    async def message(self, stream: str, seq: int) -> Stored | None:
        """One message; None when it is not there (any more)."""
        self._must_be_there()
        return await streams.message(self._connection, stream, seq, PATIENCE)

    def _must_be_there(self) -> None:
        if not self.is_there:
            raise nats.errors.ConnectionClosedError

    async def everybody(self, subject: str) -> list[Said]:
        """What everybody answers who does so in a moment."""
        found: list[Said] = []
        with contextlib.suppress(TimeoutError):
            self._must_be_there()
            async with (
                asyncio.timeout(GATHER),
                streams.gathering(self._connection, subject, None, PATIENCE) as answers,
            ):
                async for answer in answers:
                    if answer.data:
                        found.append(json.loads(answer.data))
        return found

    async def pause(self, stream: str, consumer: str, until: datetime | None) -> None:
        """Has the server give out nothing of a consumer until then; None = go on. Raises Refused."""
        question = {"pause_until": until.astimezone(UTC).isoformat().replace("+00:00", "Z")} if until else {}
        await self._ask(f"CONSUMER.PAUSE.{stream}.{consumer}", question)

    async def publish(self, subject: str, data: bytes, headers: dict[str, str]) -> tuple[int, bool]:
        """Stores a message; returns its sequence, and whether it was there already."""
        self._must_be_there()
        size = len(data) + sum(len(f"{name}: {value}\r\n".encode()) for name, value in headers.items())
        if size + 20 > self._connection.max_payload:  # the server would hang up; the client looks at the body
            raise nats.errors.MaxPayloadError
        ack = await self._connection.jetstream().publish(subject, data, headers=headers, timeout=5)
        return int(ack.seq), bool(ack.duplicate)


class System:
    """The broker's servers, asked as their system user over a connection of its own."""

    def __init__(self, url: str, seed: str, ca: Path | None) -> None:
        self._url, self._seed, self._ca = url, seed, ca
        self._connection: Any = None

    async def servers(self) -> list[Server]:
        """Every server that answers. Raises one of AWAY."""
        if self._connection is None:
            async with asyncio.timeout(PATIENCE):
                self._connection = await streams.connect(
                    self._url, self._seed, ca=self._ca, stays=True, name="operations-system"
                )
        ask = Broker(self._connection)
        about, links = await asyncio.gather(
            *(ask.everybody(f"$SYS.REQ.SERVER.PING.{page}") for page in ("VARZ", "LEAFZ"))
        )
        found: dict[str, list[str]] = {}
        for each in links:
            leafs = each.get("data", {}).get("leafs") or []
            found[each["server"]["name"]] = sorted({leaf["account"] for leaf in leafs})
        return [_server(each, found.get(each["server"]["name"], [])) for each in about]

    async def close(self) -> None:
        """Ends the connection."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                await self._connection.close()


def _server(said: Said, links: Sequence[str]) -> Server:
    varz = said.get("data", {})
    config = varz.get("jetstream", {}).get("config", {})
    return Server(
        name=said["server"]["name"],
        version=varz.get("version", ""),
        connections=varz.get("connections", 0),
        slow_consumers=varz.get("slow_consumers", 0),
        store_used=varz.get("jetstream", {}).get("stats", {}).get("storage", 0),
        store_room=config.get("max_storage", 0),
        certificate_ends=moment(varz.get("tls_cert_not_after")),
        links=tuple(links),
    )


def stream_of(said: Said) -> Stream:
    """A stream from what the server tells."""
    state, config = said["state"], said["config"]
    return Stream(
        name=config["name"],
        messages=state["messages"],
        bytes=state["bytes"],
        max_bytes=config.get("max_bytes", -1),
        last_seq=state["last_seq"],
        last_at=moment(state.get("last_ts")),
        consumers=state.get("consumer_count", 0),
        sources=tuple(
            (source.get("name", ""), source["active"] / 1e9 if source.get("active", -1) >= 0 else None)
            for source in said.get("sources") or ()
        ),
        deleted=state.get("num_deleted", 0),
        created=said.get("created", ""),
        first_seq=state.get("first_seq", 0),
    )


def queue_of(said: Said) -> Queue:
    """A durable consumer from what the server tells."""
    config, delivered, floor = said["config"], said["delivered"], said["ack_floor"]
    filters = config.get("filter_subjects") or [f for f in [config.get("filter_subject")] if f]
    return Queue(
        stream=said["stream_name"],
        name=said["name"],
        waiting=said.get("num_pending", 0),
        in_flight=said.get("num_ack_pending", 0),
        redelivered=said.get("num_redelivered", 0),
        pulls=said.get("num_waiting", 0),
        delivered=delivered["consumer_seq"],
        done=floor["consumer_seq"],
        floor=floor["stream_seq"],
        last_seq=delivered["stream_seq"],
        delivered_at=moment(delivered.get("last_active")),
        answered_at=moment(floor.get("last_active")),
        paused=said.get("paused", False),
        filters=tuple(filters),
        metadata=dict(config.get("metadata") or {}),
        ack_wait=config.get("ack_wait", 0) / 1e9,
        max_deliver=config.get("max_deliver", -1),
        max_ack_pending=config.get("max_ack_pending", -1),
        paused_until=moment(config.get("pause_until")),
    )


def instance_of(said: Said, now: datetime) -> Instance | None:
    """A service from its answer to `$SRV.STATS`; one that tells nothing of its health is well."""
    data: Said = next((e["data"] for e in said.get("endpoints") or () if isinstance(e.get("data"), dict)), {})
    outbox = data.get("outbox") or {}
    at = moment(data.get("at"))
    if not said.get("name") or not said.get("id"):
        return None
    return Instance(
        service=str(said["name"]),
        id=str(said["id"]),
        version=str(said.get("version", "")),
        host=str(data.get("host", "")),
        faults=tuple(str(fault) for fault in data.get("faults") or ()),
        outbox=int(outbox.get("waiting", 0)),
        outbox_oldest=float(outbox.get("oldest", 0)),
        parked=int(outbox.get("parked", 0)),
        skew=(at - now).total_seconds() if at else 0.0,
        durables=tuple(str(durable) for durable in data.get("durables") or ()),
    )
