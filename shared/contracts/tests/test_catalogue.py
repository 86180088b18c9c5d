"""The catalogue is what partners rely on: every event named, described, private enough and unchanged."""

import json
import re
from pathlib import Path
from uuid import UUID

import jsonschema
import pytest

from kompetensnav_contracts import Event, subject
from kompetensnav_contracts.catalogue import asyncapi, catalogue, files, schema

ROOT = Path(__file__).parents[3]
CATALOGUE = catalogue()
OURS = {n: e for n, e in CATALOGUE.items() if e.__module__.startswith("kompetensnav_contracts.")}
NAME = re.compile(r"[a-z_]+(\.[a-z_]+){2}\.v[1-9]\d*")
IDENTIFYING = re.compile(
    r"(^|_)(name|given|family|email|mail|phone|mobile|address|street|personnummer|ssn|sex|gender|"
    r"birth\w*|age(?!_class)|"
    r"latitude|longitude|lat|lon|school|note|comment|text|diagnosis)($|_)"
)
ASYNCAPI = ROOT.parent / "shared/data/schemas/asyncapi/3.0.0.json"


@pytest.mark.parametrize("name", CATALOGUE)
def test_event_is_named_described_and_tells_itself(name):
    event = CATALOGUE[name]
    assert issubclass(event, Event)
    assert event.name == name
    assert NAME.fullmatch(name)
    assert event.__doc__
    _, thing, happened, version = name.split(".")
    suffix = "" if version == "v1" else version.upper()
    assert event.__name__ == f"{thing}_{happened}".title().replace("_", "") + suffix
    assert event.about in event.model_fields
    assert set(event.summaries) == {"sv", "en"}


def fields(event):
    """Every property of an event's schema with its name, those inside nested values too."""
    tree = schema(event)
    for part in [tree, *tree.get("$defs", {}).values()]:
        yield from part.get("properties", {}).items()


@pytest.mark.parametrize("name", CATALOGUE)
def test_event_holds_no_direct_identifier_and_every_field_says_how_private_it_is(name):
    event = CATALOGUE[name]
    for field, about in fields(event):
        assert not IDENTIFYING.search(field), f"{name}.{field} could identify a person"
        assert about.get("description"), f"{name}.{field} has no description"
        assert about.get("x-privacy") in {"public", "internal", "reference", "pseudonymous"}, field
        if event.visibility == "pub":
            assert about["x-privacy"] in {"public", "reference"}, (
                f"{name}.{field} may not be told to everyone"
            )
        if event.visibility == "fed":
            assert about["x-privacy"] in {"public", "reference"}, f"{name}.{field} may not leave the stack"
            assert not field.startswith(("learner", "request")), f"{name}.{field} leads to a learner"


@pytest.mark.parametrize("name", CATALOGUE)
def test_what_is_pseudonymous_names_its_learner_and_can_be_erased_by_that(name):
    event = CATALOGUE[name]
    private = {field for field, about in fields(event) if about.get("x-privacy") == "pseudonymous"}
    assert not private or "learner_id" in event.model_fields, f"{name}: {private}"


def test_identifying_names_are_caught():
    for bad in (
        "given_name",
        "email",
        "birth_date",
        "sex",
        "home_latitude",
        "school_unit",
        "age",
        "free_text",
    ):
        assert IDENTIFYING.search(bad), bad
    for good in ("age_class", "learner_id", "occupation", "language"):
        assert not IDENTIFYING.search(good), good


@pytest.mark.parametrize("path", files(CATALOGUE))
def test_generated_file_is_as_published(path):
    assert (ROOT / path).read_text() == files(CATALOGUE)[path], "run `make events` and review what changed"


def test_no_schema_is_left_of_an_event_that_is_gone():
    assert {p.stem for p in (ROOT / "shared/contracts/schemas").glob("*.json")} == set(OURS)


@pytest.mark.skipif(not ASYNCAPI.exists(), reason="the AsyncAPI 3.0.0 schema is not beside the checkout")
def test_asyncapi_document_is_valid():
    validator = jsonschema.validators.validator_for(json.loads(ASYNCAPI.read_text()))
    errors = list(validator(json.loads(ASYNCAPI.read_text())).iter_errors(asyncapi(CATALOGUE)))
    assert not errors, errors[:3]


def test_subject_between_stacks_names_both():
    event = OURS["registry.seat.asked.v1"]
    days = {"starts_on": "2027-02-01", "ends_on": "2027-03-26"}
    asked = event(to="2560", reference=UUID(int=1), slot_id=UUID(int=2), **days)
    assert subject(asked, "2581") == "nav.2581.fed.2560.registry.seat.asked.v1"
    assert subject(event) == "nav.*.fed.*.registry.seat.asked.v1"


def test_subject_is_built_of_tokens_only():
    event = OURS["registry.slot.posted.v1"]
    assert subject(event, "2580") == "nav.2580.int.registry.slot.posted.v1"
    assert subject(event) == "nav.*.int.registry.slot.posted.v1"
    for bad in ("2580.>", "", "25 80", "*.*", "Luleå"):
        with pytest.raises(ValueError, match="no municipality code"):
            subject(event, bad)
