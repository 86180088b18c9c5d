"""Contracts: what is told on a real server is what the catalogue publishes."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from kompetensnav_chassis.testing import eventually

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "shared/contracts/schemas"


def test_the_catalogue_is_printed_from_the_installed_packages():
    done = subprocess.run(
        [sys.executable, "-m", "kompetensnav_contracts.catalogue"], capture_output=True, text=True, check=True
    )
    names = {line.split()[0] for line in done.stdout.splitlines()}
    assert names == {path.stem for path in SCHEMAS.glob("*.json")}


async def test_an_event_on_the_wire_is_a_cloudevent_and_fits_its_schema(stack, towns):
    town = towns("2305")
    town.employers()
    town.slot("open", shared_with="public")
    care = await stack.nats()
    js = care.jetstream()

    async def last(subject, stream):
        try:
            return await js.get_last_msg(stream, subject, direct=True)
        except Exception:
            return None

    for name, stream in (("registry.slot.posted.v1", "INT_LOCAL"), ("registry.slot.offered.v1", "PUB_LOCAL")):
        visibility = stream[:3].lower()
        message = await eventually(lambda n=name, v=visibility, s=stream: last(f"nav.2305.{v}.{n}", s))
        headers = message.headers
        assert headers["ce-specversion"] == "1.0"
        assert headers["ce-type"] == name
        assert headers["ce-municipality"] == "2305"
        assert headers["ce-revision"] == "1"
        assert headers["ce-id"] == headers["Nats-Msg-Id"]
        body = json.loads(message.data)
        assert headers["ce-subject"] == body["slot_id"]
        jsonschema.validate(body, json.loads((SCHEMAS / f"{name}.json").read_text()))
    await care.close()


async def test_no_direct_identifier_of_a_learner_reaches_the_bus(stack, towns):
    town = towns("2309")
    town.employers()
    town.slot("s")
    town.learner("kanarie")
    await town.known(1, 1)
    care = await stack.nats()
    js = care.jetstream()
    for stream in ("INT_LOCAL", "PUB_LOCAL"):
        state = (await js.stream_info(stream)).state
        for seq in range(max(1, state.first_seq), state.last_seq + 1):
            message = await js.get_msg(stream, seq, direct=True)
            text = (message.data or b"").decode() + json.dumps(dict(message.headers or {}))
            for personal in ("Namnkanarie", "Efternamn", "kanarie.2309", "2009-05-05", "gy1"):
                assert personal not in text, message.subject
    await care.close()
