"""How events travel, what is never logged, and what settings refuse."""

import json
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kompetensnav_contracts
from kompetensnav_chassis import testing, wire
from kompetensnav_chassis.broker import Consumer
from kompetensnav_chassis.broker.work import read
from kompetensnav_chassis.errors import InvalidMessage
from kompetensnav_contracts.catalogue import catalogue

EXAMPLES = sorted((Path(kompetensnav_contracts.__file__).parent / "examples").glob("*/*.json"))
EVENTS = catalogue()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_an_event_travels_there_and_back(path):
    event = EVENTS[path.parent.name]
    payload = event.model_validate_json(path.read_bytes())
    headers = testing.headers_of(payload, administration="skola", revision=7)
    back = wire.read(event, headers, payload.model_dump_json().encode())
    assert back.model_dump() == payload.model_dump()
    assert (back.envelope.administration, back.envelope.revision) == ("skola", 7)
    assert all(value.isascii() for value in headers.values())


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=30), max_size=6), st.binary(max_size=60))
def test_anything_else_is_an_invalid_message_and_nothing_worse(headers, body):
    with pytest.raises(InvalidMessage):
        wire.read(EVENTS["registry.slot.posted.v1"], headers, body)


@pytest.mark.parametrize(
    "missing", ["ce-id", "ce-type", "ce-source", "ce-subject", "ce-time", "ce-municipality", "ce-revision"]
)
def test_a_missing_header_is_an_invalid_message(missing):
    path = next(p for p in EXAMPLES if p.parent.name == "registry.slot.posted.v1")
    event = EVENTS["registry.slot.posted.v1"]
    headers = testing.headers_of(event.model_validate_json(path.read_bytes()))
    del headers[missing]
    with pytest.raises(InvalidMessage, match=missing.removeprefix("ce-")):
        wire.read(event, headers, path.read_bytes())


def test_a_fault_never_quotes_the_value():
    event = EVENTS["registry.slot.posted.v1"]
    path = next(p for p in EXAMPLES if p.parent.name == event.name)
    headers = testing.headers_of(event.model_validate_json(path.read_bytes()))
    body = json.dumps(json.loads(path.read_text()) | {"seats": "Anna Andersson"}).encode()
    with pytest.raises(InvalidMessage) as told:
        wire.read(event, headers, body)
    assert "Anna" not in str(told.value)


def test_another_stack_speaks_for_its_own_municipality_alone():
    event = EVENTS["registry.seat.returned.v1"]
    payload = event(to="2560", reference=UUID(int=1), slot_id=UUID(int=2), reason="expired")
    headers, body = testing.headers_of(payload, municipality="2581"), payload.model_dump_json().encode()
    consumer = Consumer("registry-exchange", (event,), lambda *_: None, many=True)
    told = SimpleNamespace(headers=headers, data=body, subject=f"nav.2581.fed.2560.{event.name}")
    assert read(consumer, told).model_dump() == payload.model_dump()
    for forged in (f"nav.2584.fed.2560.{event.name}", f"nav.2581.fed.2505.{event.name}"):
        told.subject = forged
        with pytest.raises(InvalidMessage, match="says otherwise"):
            read(consumer, told)
