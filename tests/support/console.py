"""The operations console of a stack, as its users see it, and the means to make dead letters."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uuid_utils.compat as uuids
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from kompetensnav_chassis import streams
from kompetensnav_chassis.testing import eventually, headers_of
from kompetensnav_contracts.catalogue import catalogue
from support.receiver import Receiver
from support.rig import Rig

STREAM = "INT_LOCAL"
MATCHING = "matching-registry"
ALL = ("viewer", "operator", "corrector", "admin")
AUDIENCE = "kompetensnav-operations"
SLOT = "registry.slot.posted.v1"
STRANGERS = ("slow", "quitter", "killed", "napper", "napping", "stranger")
STACK_FILE = f"""
name = "local"
municipalities = ["1256", "1257", "1290"]

[[service]]
name = "stranger"
listens = {{ {", ".join(f'stranger-{name} = ["{SLOT}"]' for name in STRANGERS)} }}
"""
"""A stack with a service of somebody else's, whose consumers do as a test says."""
HOOK_SECRET = "whsec_" + base64.b64encode(b"n" * 32).decode()


@dataclass
class Console:
    """The console, and the stack it looks at."""

    rig: Rig
    hook: Receiver
    """What alerts are posted to."""
    failpoints: Path
    http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=30))

    @property
    def url(self) -> str:
        """Its address."""
        return str(self.rig.stack.running["services"]["operations"])

    def token(self, *roles: str, subject: str = "anna") -> str:
        """Of somebody with roles."""
        return self.rig.stack.token(*(roles or ALL), municipalities=(), subject=subject, audience=AUDIENCE)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        roles: tuple[str, ...] = ALL,
        status: int = 200,
        subject: str = "anna",
        **how: Any,
    ) -> Any:
        """What `/api` answers; checks the status."""
        headers = {"authorization": f"Bearer {self.token(*roles, subject=subject)}"}
        answered = await self.http.request(method, f"{self.url}/api{path}", headers=headers, **how)
        assert answered.status_code == status, answered.text
        return answered.json()

    async def queue(self, name: str) -> Any:
        """A queue of the picture; None when there is none of that name."""
        queues = (await self.ask("GET", "/overview"))["queues"]
        return next((q for q in queues if q["name"] == name), None)

    async def dead_letters(self, wanted: int = 0, **chosen: Any) -> list[dict[str, Any]]:
        """The dead letters that fit, once there are so many."""

        async def look() -> Any:
            page = await self.ask("GET", "/dead-letters", params={"state": "all", "limit": 1000} | chosen)
            return page["items"] if page["total"] >= wanted else None

        found: list[dict[str, Any]] = await eventually(look, 30) if wanted else await look()
        return found

    async def tell(
        self, municipality: str, body: bytes | None = None, headers: Mapping[str, str] = {}, **values: Any
    ) -> str:
        """Publishes a slot's posting as the registry does; returns the event's id."""
        event = catalogue()[SLOT].model_validate(slot(**values))
        made = headers_of(event, municipality=municipality) | dict(headers)
        connection = await self.rig.stack.nats("registry")
        try:
            await connection.jetstream().publish(
                f"nav.{municipality}.int.{SLOT}",
                event.model_dump_json().encode() if body is None else body,
                headers=made | {"Nats-Msg-Id": str(uuids.uuid7())},
            )
        finally:
            await connection.close()
        return str(made["ce-id"])

    @asynccontextmanager
    async def faulty(self, occupation: str) -> AsyncIterator[None]:
        """Matching's database refuses the slots of an occupation meanwhile."""
        sql = self.rig.stack.sql
        function = "create or replace function refuse_console() returns trigger language plpgsql as $$ begin"
        await sql("matching", f"{function} raise exception 'a fault'; end $$", role="owner")
        await sql(
            "matching",
            "create trigger faulty_console before insert on open_slot for each row"
            f" when (new.occupation = '{occupation}') execute function refuse_console()",
            role="owner",
        )
        try:
            yield
        finally:
            await sql("matching", "drop trigger if exists faulty_console on open_slot", role="owner")

    async def replayed(self, dead_letters: Mapping[str, Any], *, subject: str = "anna") -> Any:
        """A replay from plan to end."""
        id = await self.begun(dead_letters, subject=subject)
        return await self.ended(id)

    async def begun(self, dead_letters: Mapping[str, Any], *, subject: str = "anna", rate: int = 500) -> str:
        """Plans a replay and begins it; its id."""
        wanted = {"dead_letters": dict(dead_letters), "reason": "the cause is mended", "rate": rate}
        plan = await self.ask("POST", "/replays", json=wanted, subject=subject)
        await self.ask("POST", f"/replays/{plan['replay_id']}/begin", subject=subject)
        return str(plan["replay_id"])

    async def ended(self, id: str) -> Any:
        """A replay, once it has ended."""

        async def look() -> Any:
            try:
                found = await self.ask("GET", f"/replays/{id}")
            except httpx.HTTPError:  # it was killed, and is not back yet
                return None
            return found if found["state"] in ("done", "stopped") else None

        return await eventually(look, 90)

    async def command(self, *arguments: str) -> tuple[int, Any]:
        """`kompetensnav ops ... --json`: its exit code, and what it printed."""
        done = await asyncio.to_thread(self.rig.stack.run, "ops", *arguments, "--json")
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def slot(**other: Any) -> dict[str, Any]:
    """A slot's posting, with some values of the caller's."""
    values: dict[str, Any] = {
        "slot_id": str(uuids.uuid7()), "workplace_id": str(uuids.uuid7()), "employer_id": str(uuids.uuid7()),
        "placement_type": "apl", "occupation": "4323", "locality": "lulea", "starts_on": "2027-02-01",
        "ends_on": "2027-03-26", "seats": 1,
    }  # fmt: skip
    return values | other


@asynccontextmanager
async def a_consumer(console, name, municipality, *, ack_wait=0.5, max_deliver=2):
    """A durable of somebody else's service, with a subject of its own for replays."""
    topology, theirs = await console.rig.stack.nats("topology"), await console.rig.stack.nats("stranger")
    js = topology.jetstream()
    with contextlib.suppress(NotFoundError):
        await js.delete_consumer(STREAM, name)
    config = ConsumerConfig(
        durable_name=name, ack_policy=AckPolicy.EXPLICIT, ack_wait=ack_wait, max_deliver=max_deliver,
        deliver_policy=DeliverPolicy.NEW,
        filter_subjects=[f"nav.{municipality}.int.{SLOT}", f"replay.int.{name}.>"],
    )  # fmt: skip
    await js.add_consumer(STREAM, config)
    try:
        prefix = b"_INBOX_stranger."
        yield await theirs.jetstream().pull_subscribe_bind(name, STREAM, inbox_prefix=prefix)
    finally:
        await js.delete_consumer(STREAM, name)
        await topology.close()
        await theirs.close()


async def fetched(subscription, n):
    """Exactly so many messages."""
    found = []
    while len(found) < n:
        with contextlib.suppress(TimeoutError):
            found += await subscription.fetch(n - len(found), timeout=1)
    return found


async def asked_once_more(subscription):
    """Nothing is given any more; the server says instead that it has given up."""
    with contextlib.suppress(TimeoutError):
        await subscription.fetch(1, timeout=1)


async def died(console, ids):
    dead_letters = await console.dead_letters(consumer=MATCHING)
    return ids <= {dead_letter["event_id"] for dead_letter in dead_letters}


async def replays_of(console, ids):
    """The event ids of what was published on matching's own subject for replays, in order."""
    care = await console.rig.stack.nats()
    try:
        found = [
            m async for some in streams.batches(care, STREAM, [f"replay.int.{MATCHING}.>"]) for m in some
        ]
        return [m.headers["ce-id"] for m in found if m.headers["ce-id"] in ids]
    finally:
        await care.close()


NOWHERE = 10**12
"""A place that no stream of a test gets to."""


async def dead_letter_of(console, consumer, body=b"{}", *, stream=STREAM, seq=1, **about):
    """Puts a dead letter where the dead letters of a consumer are, as a service does; returns its event's
    id. `seq` counts from where no stream of a test gets to: there is no original to compare with."""
    id = str(uuids.uuid7())
    said = {
        "ce-id": id, "Kn-Dead-Consumer": consumer, "Kn-Dead-Stream": stream,
        "Kn-Dead-Seq": str(NOWHERE + seq), "Kn-Dead-Subject": f"nav.1256.int.{SLOT}",
        "Kn-Dead-Reason": "made", "Kn-Dead-Error": "made", "Kn-Dead-Deliveries": "1",
        "Kn-Dead-At": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    said |= {name.replace("_", "-"): value for name, value in about.items()}
    connection = await console.rig.stack.nats("operations")
    try:
        await connection.jetstream().publish(f"dead.{consumer}", body, headers=said)
    finally:
        await connection.close()
    return id
