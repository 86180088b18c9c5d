"""Signed links: how long each kind is good for."""

from datetime import UTC, datetime, timedelta

import pytest

from kompetensnav_chassis.errors import NotFound
from kompetensnav_registry.ground.edges.links import GRACE, Links, Purpose

LINKS = Links("x" * 40, "https://example.com")
TODAY = datetime.now(UTC).date()


def token(kind, answer_by):
    return LINKS.make(Purpose("employer", kind=kind), answer_by).rpartition("/")[2]


@pytest.mark.parametrize("kind", ["finishing", "again", "sign", "presence"])
def test_a_link_that_does_something_ends_with_its_last_day(kind):
    assert LINKS.read(token(kind, TODAY), kind).kind == kind
    with pytest.raises(NotFound, match="expired"):
        LINKS.read(token(kind, TODAY - timedelta(days=1)), kind)


def test_the_page_of_an_offer_that_is_settled_can_be_read_for_a_while():
    assert LINKS.read(token("answer", TODAY - GRACE)).party == "employer"
    with pytest.raises(NotFound, match="expired"):
        LINKS.read(token("answer", TODAY - GRACE - timedelta(days=1)))
