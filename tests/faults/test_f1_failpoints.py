"""F1, kill -9 at every failpoint. The points are found from what the services listen to and do."""

from importlib import import_module, util
from pathlib import Path

import pytest

from kompetensnav_chassis.failpoints import names
from kompetensnav_chassis.testing import eventually
from support.people import people_at_work
from support.rig import SERVICES

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(400)]


def listens(service):
    return import_module(f"kompetensnav_{service}.main").LISTENER


def points():
    for service in SERVICES:
        jobs = f"kompetensnav_{service}.jobs"
        found = import_module(jobs).JOBS if util.find_spec(jobs) else ()
        for name in names(service, [d.durable for d in listens(service).doors], [j.name for j in found]):
            # reporting tells an event only when a person publishes a report; its points are the chassis' own
            if not name.startswith(("reporting.tell", "reporting.relay")):
                yield name


POINTS = sorted(points())


@pytest.fixture(scope="module")
async def struck_at_every_point(struck):
    """People work while every point is armed, until each has struck; returns the names of those that did."""
    folder = Path(struck.stack.folder.parent / "failpoints")
    async with people_at_work(struck):
        for name in POINTS:
            (folder / name).touch()
        for service in SERVICES:
            for door in listens(service).doors:
                await poison(struck, door.events[0])

        async def all_struck():
            return not [name for name in POINTS if (folder / name).exists()]

        try:
            await eventually(all_struck, 240)
        except AssertionError:
            for name in POINTS:
                (folder / name).unlink(missing_ok=True)
        await struck.back()
    return {path.stem for path in folder.glob("*.struck")}


async def poison(struck, event):
    """A message for a door that is no event."""
    speaker = event.name.split(".")[0]
    connection = await struck.stack.nats(speaker)
    await connection.jetstream().publish(f"nav.2580.int.{event.name}", b"{")
    await connection.close()


@pytest.mark.parametrize("point", POINTS)
async def test_f1_a_kill_at_a_failpoint_loses_nothing(struck_at_every_point, point):
    """A process is killed by `kill -9` exactly there, while people work; verify finds nothing wrong."""
    assert point in struck_at_every_point, "no test reaches this failpoint"
