"""Addresses that a webhook may not lead to, and answers that must not stop anything."""

import ipaddress

import httpx
import pytest

from kompetensnav_chassis.outgoing import NotAllowed, checked
from kompetensnav_webhooks.post import LONGEST, body_of, post

SECRET = "whsec_" + "A" * 43 + "="


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "[::1]", "[fe80::1]", "[fc00::1]", "[fec0::1]", "[::ffff:10.0.0.1]", "[::ffff:0:10.0.0.1]",
     "[64:ff9b::a00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:1::1]", "[::127.0.0.1]",
     "192.88.99.1", "[3fff::1]", "[2001:db8::1]",
     "2130706433", "0x7f.1", "localhost"],
)  # fmt: skip
async def test_an_address_inside_is_refused_however_it_is_written(host):
    with pytest.raises(NotAllowed):
        await checked(f"https://{host}/in")


@pytest.mark.parametrize("url", ["ftp://8.8.8.8/in", "https://user:word@8.8.8.8/in", "http://8.8.8.8/in"])
async def test_only_https_without_a_password_leads_outside(url):
    with pytest.raises(NotAllowed):
        await checked(url)


async def test_a_public_address_and_a_network_of_ones_own_are_allowed():
    assert await checked("https://8.8.8.8/in") == "8.8.8.8"
    assert await checked("https://[2606:4700::1111]/in") == "2606:4700::1111"
    assert await checked("http://10.1.2.3/in", [ipaddress.ip_network("10.1.0.0/16")]) == "10.1.2.3"


@pytest.mark.parametrize("url", ["https://8.8.8.8:99999/in", "https://a..b/in", "https://[abc/in",
                                 f"https://{'a' * 70}.example/in", "https://8.8.8.8/\x7f"])  # fmt: skip
async def test_an_address_that_cannot_be_is_an_outcome_and_no_error(url):
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        assert not (await post(client, url, "id", b"{}", [SECRET])).delivered


@pytest.mark.parametrize(("said", "seconds"), [
    ("Fri, 31 Dec 9999 23:59:59 -1200", None), ("99999999999999999999999", LONGEST), ("nan", 0), ("-5", 0),
    ("inf", 0), ("Fri, 31 Dec 2026 99999999999999999999:59:59 GMT", 0), ("12", 12), ("soon", 0),
])  # fmt: skip
async def test_a_wait_that_is_asked_for_is_heeded_within_reason(said, seconds):
    answers = httpx.MockTransport(lambda _: httpx.Response(503, headers={"retry-after": said}))
    async with httpx.AsyncClient(transport=answers) as client:
        outcome = await post(client, "https://8.8.8.8/in", "id", b"{}", [SECRET])
    assert outcome.why == "status 503"
    assert 0 <= outcome.wait <= LONGEST
    if seconds is not None:
        assert outcome.wait == seconds


@pytest.mark.parametrize(("headers", "body"), [
    ({"ce-type": "a.b.c.v1", "ce-revision": "abc"}, b"{}"), ({"ce-type": "a.b.c.v1"}, b"\xff"), ({}, b"{}"),
    ({"ce-type": "a.b.c.v1"}, b'"\\ud800"'),
])  # fmt: skip
def test_what_is_no_event_is_said_to_be_none(headers, body):
    with pytest.raises(ValueError, match=r".+"):
        body_of(headers, body)
