"""F1, kill -9 at every failpoint. The points are found from what the services listen to and do."""

import contextlib
from datetime import UTC, date, datetime
from importlib import import_module, util
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from kompetensnav_chassis import wire
from kompetensnav_chassis.failpoints import names
from kompetensnav_chassis.testing import eventually
from kompetensnav_contracts import Envelope, subject
from kompetensnav_contracts.events.registry import SeatAsked
from support.console import AUDIENCE
from support.people import people_at_work
from support.rig import SERVICES

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(400)]


def listens(service):
    return import_module(f"kompetensnav_{service}.main").LISTENER


def points():
    for service in SERVICES:
        jobs = f"kompetensnav_{service}.jobs"
        found = import_module(jobs).JOBS if util.find_spec(jobs) else ()
        for name in names(service, [d.durable for d in listens(service).consumers], [j.name for j in found]):
            # reporting tells an event only when a person publishes a report; its points are the chassis' own
            if not name.startswith(("reporting.tell", "reporting.relay")):
                yield name


POINTS = sorted(points())
FROM_OUTSIDE = "replay.fed.registry-exchange"
"""Where the consumer of other stacks' events receives something without a hub."""


@pytest.fixture(scope="module")
async def struck_at_every_point(struck):
    """People work while every point is armed, until each has struck; returns the names of those that did."""
    folder = Path(struck.stack.folder.parent / "failpoints")
    async with people_at_work(struck):
        for name in POINTS:
            (folder / name).touch()
        for service in SERVICES:
            for consumer in listens(service).consumers:
                await poison(struck, consumer)

        async def all_struck():
            await asked_by_a_neighbour(struck)
            await put_away_by_an_operator(struck)
            return not [name for name in POINTS if (folder / name).exists()]

        try:
            await eventually(all_struck, 240)
        except AssertionError:
            for name in POINTS:
                (folder / name).unlink(missing_ok=True)
        await struck.back()
    return {path.stem for path in folder.glob("*.struck")}


async def poison(struck, consumer):
    """A message for a consumer that is no event."""
    event = consumer.events[0]
    federated = event.visibility == "fed"
    connection = await struck.stack.nats("replay" if federated else event.name.split(".")[0])
    at = f"{FROM_OUTSIDE}.nav.2584.fed.2580.{event.name}" if federated else f"nav.2580.int.{event.name}"
    await connection.jetstream().publish(at, b"{")
    await connection.close()


async def put_away_by_an_operator(struck):
    """An operator discards dead letters that there are none of; that is an entry in the audit all the
    same."""
    token = struck.stack.token("operator", municipalities=(), audience=AUDIENCE)
    headers = {"authorization": f"Bearer {token}"}
    url = f"{struck.stack.running['services']['operations']}/api/dead-letters/discard"
    wanted = {"dead_letters": {"text": "there are none of these"}, "reason": "nothing to do"}
    async with httpx.AsyncClient(timeout=10) as client:
        with contextlib.suppress(httpx.HTTPError):  # it may be down just now
            await client.post(url, json=wanted, headers=headers)


def asked_for():
    days = {"starts_on": date(2027, 2, 1), "ends_on": date(2027, 3, 26)}
    return SeatAsked(to="2580", reference=uuid4(), slot_id=uuid4(), **days)


async def asked_by_a_neighbour(struck):
    """Another stack asks for a seat, which it has no agreement on: it is refused, and told so."""
    event, now = asked_for(), datetime.now(UTC)
    envelope = Envelope(
        id=uuid4(), type=event.name, source="urn:kompetensnav:registry", subject=event.aggregate_id,
        time=now, municipality="2584", revision=1, correlationid=uuid4(),
    )  # fmt: skip
    connection = await struck.stack.nats("replay")
    await connection.jetstream().publish(
        f"{FROM_OUTSIDE}.{subject(event, '2584')}", event.model_dump_json().encode(),
        headers=wire.headers(envelope),
    )  # fmt: skip
    await connection.close()


@pytest.mark.parametrize("point", POINTS)
async def test_f1_a_kill_at_a_failpoint_loses_nothing(struck_at_every_point, point):
    """A process is killed by `kill -9` exactly there, while people work; verify finds nothing wrong."""
    assert point in struck_at_every_point, "no test reaches this failpoint"
