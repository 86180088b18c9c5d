"""The service on its database: what it books and tells, and that every published example can be handled."""

from importlib.metadata import entry_points
from pathlib import Path
from uuid import uuid4

import pytest
from pitea_introduktion.domain import PLACES
from pitea_introduktion.events import DayAnnounced, PlaceBooked
from pitea_introduktion.handlers import listener, on_placement_confirmed

import kompetensnav_contracts
from kompetensnav_chassis import testing
from kompetensnav_chassis.db import Scope, transaction
from kompetensnav_chassis.testing import tells
from kompetensnav_chassis.wire import read
from kompetensnav_contracts.catalogue import catalogue
from kompetensnav_contracts.events.registry import PlacementConfirmed

EXAMPLES = sorted(
    (Path(kompetensnav_contracts.__file__).parent / "examples").glob(f"{PlacementConfirmed.name}/*.json")
)


def confirmed(**values):
    """A placement that is confirmed."""
    body = PlacementConfirmed.model_validate_json(EXAMPLES[0].read_bytes()).model_copy(update=values)
    return read(
        PlacementConfirmed, testing.headers_of(body, administration="school"), body.model_dump_json().encode()
    )


async def handle(database, event):
    """As the chassis does: one transaction, in the scope of the event."""
    async with transaction(database.sessions, Scope.of([event.envelope]), cause=event.envelope) as session:
        await on_placement_confirmed(event, session)


async def test_the_first_placement_of_a_week_has_a_day_announced_and_the_others_share_it(database):
    async with tells(database, DayAnnounced, PlaceBooked):
        await handle(database, confirmed(placement_id=uuid4()))
    async with tells(database, *[PlaceBooked] * (PLACES - 1)):
        for _ in range(PLACES - 1):
            await handle(database, confirmed(placement_id=uuid4()))
    async with tells(database, DayAnnounced, PlaceBooked):
        await handle(database, confirmed(placement_id=uuid4()))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
async def test_every_published_example_can_be_handled(database, path):
    body = path.read_bytes()
    headers = testing.headers_of(PlacementConfirmed.model_validate_json(body), administration="school")
    await handle(database, read(PlacementConfirmed, headers, body))


def test_its_events_are_in_the_catalogue_beside_the_others():
    mine = {
        point.name
        for point in entry_points(group="kompetensnav.events")
        if point.dist.name == "pitea-introduktion"
    }
    assert mine == {DayAnnounced.name, PlaceBooked.name} <= set(catalogue())
    assert {consumer.durable for consumer in listener.consumers} == {
        "introduktion-registry-placement-confirmed-v1"
    }
