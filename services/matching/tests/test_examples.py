"""Every event matching listens to: each published example can be handled (the consumer's side of the
contract)."""

from pathlib import Path

import pytest

import kompetensnav_contracts
from kompetensnav_chassis import testing
from kompetensnav_chassis.db import Scope, transaction
from kompetensnav_chassis.wire import read
from kompetensnav_matching.handlers import listener
from kompetensnav_matching.tables import Outbox

pytestmark = pytest.mark.real
EXAMPLES = Path(kompetensnav_contracts.__file__).parent / "examples"
CASES = [
    (door, event, path)
    for door in listener.doors
    for event in door.events
    for path in sorted((EXAMPLES / event.name).glob("*.json"))
]


@pytest.fixture
async def database(admin_url):
    async with testing.database(admin_url, "matching", Outbox) as made:
        yield made


@pytest.mark.parametrize(("door", "event", "path"), CASES, ids=lambda v: getattr(v, "stem", ""))
async def test_a_published_example_is_handled(database, door, event, path):
    body = path.read_bytes()
    headers = testing.headers_of(event.model_validate_json(body), administration="school")
    told = read(event, headers, body)
    async with transaction(database.sessions, Scope.of([told.envelope]), cause=told.envelope) as session:
        await door.handler([told] if door.many else told, session)
    async with transaction(database.sessions, Scope.of([told.envelope]), cause=told.envelope) as session:
        await door.handler([told] if door.many else told, session)
