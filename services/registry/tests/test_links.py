"""Signed links: how long each kind is good for."""

from datetime import UTC, date, datetime, timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from kompetensnav_chassis.errors import NotFound
from kompetensnav_registry.ground.edges.links import GRACE, Links, Purpose

LINKS = Links("x" * 40, "https://example.com")
DAY = date(2027, 3, 12)
ENDS = datetime(2027, 3, 13, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def token(kind):
    return LINKS.make(Purpose("employer", kind=kind), DAY).rpartition("/")[2]


@pytest.mark.parametrize("kind", ["finishing", "again", "sign", "presence"])
def test_a_link_that_does_something_ends_with_its_last_day(kind):
    assert LINKS.read(token(kind), kind, at=ENDS - SECOND).kind == kind
    with pytest.raises(NotFound, match="expired"):
        LINKS.read(token(kind), kind, at=ENDS)


def test_the_page_of_an_offer_that_is_settled_can_be_read_for_a_while():
    assert LINKS.read(token("answer"), at=ENDS + GRACE - SECOND).party == "employer"
    with pytest.raises(NotFound, match="expired"):
        LINKS.read(token("answer"), at=ENDS + GRACE)


def test_a_new_key_ends_the_links_of_the_one_before_unless_that_is_kept():
    sign, new, url = Purpose("employer", kind="sign"), "y" * 40, "https://example.com"
    old = LINKS.make(sign, DAY).rpartition("/")[2]
    kept, ended = Links(new, url, "x" * 40), Links(new, url)
    assert kept.read(old, "sign", at=ENDS - SECOND) == sign
    with pytest.raises(NotFound, match="not valid"):
        ended.read(old, "sign", at=ENDS - SECOND)
    fresh = kept.make(sign, DAY).rpartition("/")[2]
    assert kept.read(fresh, "sign", at=ENDS - SECOND) == ended.read(fresh, "sign", at=ENDS - SECOND) == sign
    with pytest.raises(NotFound, match="not valid"):
        LINKS.read(fresh, "sign", at=ENDS - SECOND)


def test_a_link_that_was_made_before_links_said_their_key_still_holds():
    claims = {"exp": int(ENDS.timestamp()), "aud": "sign", "p": "employer"}
    old = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key("x" * 40))
    assert LINKS.read(old, "sign", at=ENDS - SECOND) == Purpose("employer", kind="sign")


def test_a_link_is_read_by_the_clock_when_no_moment_is_given():
    long_ago, far = date(2020, 1, 1), Purpose.far()
    sign = Purpose("employer", kind="sign")
    assert LINKS.read(LINKS.make(sign, far).rpartition("/")[2], "sign") == sign
    with pytest.raises(NotFound, match="expired"):
        LINKS.read(LINKS.make(sign, long_ago).rpartition("/")[2], "sign")
