"""The consumer's side of the contract: every service handles each published example of what it listens to."""

from importlib import import_module
from pathlib import Path

import pytest

import kompetensnav_contracts
from kompetensnav_chassis import testing
from kompetensnav_chassis.db import Scope, transaction
from kompetensnav_chassis.wire import read
from support.rig import SERVICES

pytestmark = pytest.mark.real
EXAMPLES = Path(kompetensnav_contracts.__file__).parent / "examples"
CASES = [
    (service, consumer, event, path)
    for service in SERVICES
    for consumer in import_module(f"kompetensnav_{service}.handlers").listener.consumers
    for event in consumer.events
    for path in sorted((EXAMPLES / event.name).glob("*.json"))
]


def called(value):
    """What a part of a case is called in its id."""
    return getattr(value, "durable", None) or getattr(value, "stem", None) or getattr(value, "name", value)


@pytest.mark.parametrize(("service", "consumer", "event", "path"), CASES, ids=called)
async def test_a_published_example_is_handled_and_handled_again(admin_url, service, consumer, event, path):
    outbox = import_module(f"kompetensnav_{service}.tables").Outbox
    body = path.read_bytes()
    headers = testing.headers_of(event.model_validate_json(body), administration="school")
    received = read(event, headers, body)
    scope = Scope.of([received.envelope])
    async with testing.database(admin_url, service, outbox) as database:
        for _ in range(2):
            async with transaction(database.sessions, scope, cause=received.envelope) as session:
                await consumer.handler([received] if consumer.many else received, session)
