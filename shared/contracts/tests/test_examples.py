"""Frozen examples hold the promise: every one still reads, and none is ever changed or removed."""

import hashlib
import json
from pathlib import Path

import jsonschema
import pytest

import kompetensnav_contracts
from kompetensnav_contracts.catalogue import catalogue, schema

EXAMPLES = Path(kompetensnav_contracts.__file__).parent / "examples"
FROZEN = json.loads((EXAMPLES / "frozen.json").read_text())
CATALOGUE = {n: e for n, e in catalogue().items() if e.__module__.startswith("kompetensnav_contracts.")}
FILES = sorted(EXAMPLES.glob("*/*.json"))


@pytest.mark.parametrize("name", CATALOGUE)
def test_event_has_an_example(name):
    assert list((EXAMPLES / name).glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_example_reads_and_writes_back_the_same(path):
    event = CATALOGUE[path.parent.name]
    body = json.loads(path.read_text())
    jsonschema.validate(body, schema(event))
    read = event.model_validate(body)
    assert event.model_validate_json(read.model_dump_json()) == read
    assert read.model_dump(mode="json", exclude_unset=True) == body, "a fact was lost"
    for language in ("sv", "en"):
        assert read.summary(language)


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_example_of_a_later_minor_version_still_reads(path):
    body = json.loads(path.read_text()) | {"added_later": {"nested": [1, 2]}}
    CATALOGUE[path.parent.name].model_validate(body)


def test_no_frozen_example_was_changed_or_removed():
    now = {f"{p.parent.name}/{p.name}": hashlib.sha256(p.read_bytes()).hexdigest() for p in FILES}
    assert now == FROZEN, "examples may be added (with their hash in frozen.json), never edited or deleted"
