"""A region: two stacks are leafs of a hub. What is public and what is meant for the other arrives
once and in order, internal events never leave, and the hub's administrator can neither read nor spoil
them."""

import contextlib
import json

import httpx
import nats.errors
import pytest
import pytest_asyncio

from kompetensnav_chassis.testing import eventually
from support.certificates import certificates
from support.region import (
    CODES,
    HUB,
    OFFERED,
    OPENED,
    Broker,
    arrived,
    leaf_text,
    made,
    running,
    stored,
    tell,
)  # fmt: skip

pytestmark = pytest.mark.real


@pytest_asyncio.fixture(loop_scope="session")
async def region(tmp_path):
    async with running(made(tmp_path)) as built:
        yield built


async def test_what_may_leave_arrives_once_and_in_order_and_a_hub_that_was_away_loses_nothing(region):
    await tell(region.alvsbyn, "2560", "2581", range(20))
    await tell(region.pitea, "2581", "2560", range(20))
    await arrived(region, 20, 60)
    for name in CODES:
        held = await stored(region.hub, f"PUB_{name.upper()}", f"topology-{name}")
        held += await stored(region.hub, f"FED_{name.upper()}", f"topology-{name}")
        assert {subject.split(".")[2] for subject, _ in held} == {"pub", "fed"}
        assert "nothing to change" in getattr(region, name).apply()
    assert "nothing to change" in region.hub.apply()
    for broker in (region.hub, region.alvsbyn, region.pitea):
        assert "✗" not in broker.doctor()
    watching = [getattr(region, name).watch() for name in (*CODES, "hub")]
    region.stop()
    assert "there is no connection" in region.alvsbyn.doctor(status=1)
    assert "does not answer" in region.hub.doctor(status=1)
    await tell(region.alvsbyn, "2560", "2581", range(20, 60))
    await tell(region.pitea, "2581", "2560", range(20, 60))
    assert len(await stored(region.alvsbyn, "INT_ALVSBYN")) == 60, (
        "a municipality works on while the hub is away"
    )
    await region.start()
    await arrived(region, 60, 30)
    for process in watching:
        process.terminate()
        process.wait(10)


async def test_the_hubs_administrator_neither_reads_nor_spoils_what_is_internal(tmp_path):
    """Somebody with every right in the member's account on the hub tries whatever there is to try."""
    built = made(tmp_path)
    key, text = built.hub.key("topology-alvsbyn"), built.hub.conf.read_text()
    start = text.index(f"{{ nkey: {key}, permissions:")
    end = text.index("} } }", start) + len("} } }")
    built.hub.conf.write_text(text[:start] + f"{{ nkey: {key} }}" + text[end:])
    async with running(built) as region:
        await attempt(region)


async def attempt(region):
    await tell(region.alvsbyn, "2560", "2581", range(5))

    async def linked():
        return len(await stored(region.hub, "PUB_ALVSBYN", "topology-alvsbyn")) == 5

    await eventually(linked, 90)
    spy = await region.hub.connect("topology-alvsbyn")
    heard = []

    async def listen(message):
        heard.append(message)

    for subject in (">", "nav.>", "int.deliver.>", "edge.deliver.>"):
        await spy.subscribe(subject, cb=listen)
    tried = [
        (f"{api}.{call}", body)
        for api in ("$JS.alvsbyn.API", "$JS.API", "edge.js.alvsbyn", "int.js", "fed.js.pitea", "js.alvsbyn")
        for stream in ("INT_ALVSBYN", "PUB_ALVSBYN", "FEDIN_ALVSBYN", "EDGE_ALVSBYN")
        for call, body in (
            ("STREAM.NAMES", b""),
            ("STREAM.LIST", b""),
            (f"STREAM.INFO.{stream}", b""),
            (f"STREAM.MSG.GET.{stream}", b'{"seq":1}'),
            (f"DIRECT.GET.{stream}", b'{"seq":1}'),
            (f"CONSUMER.CREATE.{stream}", spying(stream)),
            (f"CONSUMER.CREATE.{stream}.spy", spying(stream)),
            (f"CONSUMER.CREATE.{stream}.spy.nav.2560.int.>", spying(stream, "nav.2560.int.>")),
            (f"CONSUMER.CREATE.{stream}.spy.nav.2560.pub.>", spying(stream, "nav.2560.int.>")),
            (f"CONSUMER.MSG.NEXT.{stream}.registry-exchange", b"1"),
        )
    ]
    for subject, body in tried:
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            heard.append(await spy.request(subject, body, timeout=0.1))
    before = {
        name: await told_of(region.alvsbyn, name) for name in ("INT_ALVSBYN", "PUB_ALVSBYN", "FED_ALVSBYN")
    }
    spoilt = {
        f"{api}.STREAM.{call}.{stream}"
        for api in ("$JS.alvsbyn.API", "edge.js.alvsbyn")
        for stream in ("EDGE_ALVSBYN", "PUB_ALVSBYN", "INT_ALVSBYN")
        for call in ("PURGE", "DELETE", "UPDATE")
    }
    for subject in spoilt:
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            await spy.request(subject, b"", timeout=0.1)
    forged = (f"nav.2560.int.{OPENED}", f"nav.2560.pub.{OFFERED}", "replay.int.registry-lending.x")
    for subject in forged:
        await spy.publish(subject, b"forged")
    spoilt |= set(forged)
    await spy.flush()
    await tell(region.alvsbyn, "2560", "2581", range(5, 7))

    async def goes_on():
        return len(await stored(region.hub, "PUB_ALVSBYN", "topology-alvsbyn")) == 7

    await eventually(goes_on, 60)
    own = {subject for subject, _ in tried} | spoilt
    for message in (m for m in heard if m.subject not in own):  # of one's own requests one hears nothing new
        said = f"{message.subject} {message.data.decode(errors='replace')}"
        assert ".int." not in message.subject, said
        assert OPENED not in said
        assert "INT_ALVSBYN" not in said or "error" in said, said
    now = {name: await told_of(region.alvsbyn, name) for name in before}
    assert {name: n + 2 for name, n in before.items()} == now, "nothing was deleted, and nothing slipped in"
    await spy.close()


def spying(stream, *filters):
    config = {"name": "spy", "deliver_subject": "spy.heard", "ack_policy": "none", "filter_subjects": filters}
    return json.dumps({"stream_name": stream, "config": config, "action": "create"}).encode()


async def told_of(broker, stream):
    connection = await broker.connect("topology")
    try:
        return (await connection.jetstream().stream_info(stream)).state.messages
    finally:
        await connection.close()


async def test_a_partner_of_the_region_hears_what_is_public_in_all_of_it(region):
    region.hub.topology(
        "add", "partner", "handel", "--event", OFFERED, "--municipality", "2581", "--file", region.hub.file
    )
    region.hub.render("--reload")
    region.hub.apply()
    await tell(region.alvsbyn, "2560", "2581", range(3))
    await tell(region.pitea, "2581", "2560", range(3))
    partner = await region.hub.connect("handel")
    js = partner.jetstream(prefix=f"js.{HUB}.API")
    subscription = await js.pull_subscribe_bind("partner-handel", f"PUB_{HUB.upper()}")
    heard = []

    async def three():
        with contextlib.suppress(TimeoutError, nats.errors.TimeoutError):
            for message in await subscription.fetch(10, timeout=1):
                heard.append((message.subject, message.data))
                await message.ack()
        return len(heard) >= 3

    await eventually(three, 60)
    assert heard == [(f"nav.2581.pub.{OFFERED}", str(i).encode()) for i in range(3)]
    await partner.close()


async def test_a_third_stack_joins_and_others_stay_linked(region, tmp_path):
    codes = {"lulea": ["2580"], "pitea": ["2581"]}
    third = Broker(tmp_path / "lulea", "lulea", leaf_text("lulea", region.port, codes))
    third.render()
    region.hub.topology(
        "add", "member", "lulea", "--key", third.key(), "--municipality", "2580", "--file", region.hub.file
    )
    before = await links(region.hub)
    region.hub.render("--reload")
    region.hub.apply()
    with third.server():
        await third.healthy()
        third.apply()
        await tell(third, "2580", "2581", range(3))

        async def public():
            subjects = [s for s, _ in await stored(region.hub, f"PUB_{HUB.upper()}")]
            return subjects.count(f"nav.2580.pub.{OFFERED}") == 3

        await eventually(public, 60)
        now = await links(region.hub)
    assert before <= now, "the links of the others are the same connections"
    assert len(now) == len(before) + 1


async def links(broker):
    """The hub's leaf connections: (account, id)."""
    async with httpx.AsyncClient() as client:
        answer = (await client.get(f"http://127.0.0.1:{broker.monitor}/leafz")).json()
    return {(leaf["account"], leaf["id"]) for leaf in answer.get("leafs") or []}


async def test_a_revoked_member_is_cut_off(region):
    async def two():
        return len(await links(region.hub)) == 2

    await eventually(two, 30)
    region.hub.topology("revoke", "pitea", "--file", region.hub.file, "--out", region.hub.folder)
    region.hub.render("--reload")

    async def one():
        return {account for account, _ in await links(region.hub)} == {"ALVSBYN"}

    await eventually(one, 10)


async def test_a_link_with_certificates(tmp_path):
    certificates(tmp_path, "hub")
    more = f'cert = "{tmp_path}/hub.pem"\nkey = "{tmp_path}/hub.key"\nca = "{tmp_path}/ca.pem"\n'
    built = made(tmp_path, hub_more=more, leaf_more=f'ca = "{tmp_path}/ca.pem"\n', scheme="tls")
    async with running(built) as region:
        await tell(region.alvsbyn, "2560", "2581", range(3))

        async def there():
            return len(await stored(region.pitea, "FEDIN_PITEA")) == 3

        await eventually(there, 60)
        assert "hub.pem" in region.hub.doctor(status=1), "it runs out within the hour"
