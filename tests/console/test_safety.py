"""What must not go wrong at the console, whoever does what in whichever order: real servers."""

import contextlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest
import uuid_utils.compat as uuids
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig, StreamSource
from nats.js.errors import NotFoundError

from kompetensnav_chassis.testing import eventually, headers_of
from kompetensnav_contracts.catalogue import catalogue
from kompetensnav_operations.actions import sending
from support.console import (
    MATCHING,
    NOWHERE,
    SLOT,
    STREAM,
    a_consumer,
    dead_letter_of,
    fetched,
    replays_of,
    slot,
)

pytestmark = [pytest.mark.real, pytest.mark.slow]
NOBODY = "stranger-nobody"
"""A consumer that there is not."""


@contextlib.asynccontextmanager
async def a_stream(console, name, **how):
    """A stream of somebody else's in the stack's account, with a subject for replays."""
    topology = await console.rig.stack.nats("topology")
    js = topology.jetstream()
    subjects = [f"{name.lower()}.x", f"replay.{name.lower()}.>"]
    with contextlib.suppress(NotFoundError):
        await js.delete_stream(name)
    await js.add_stream(StreamConfig(name=name, subjects=subjects, allow_direct=True, **how))
    try:
        yield js
    finally:
        await js.delete_stream(name)
        await topology.close()


async def settled(console, id, outcomes, seconds=40):
    """Waits until a replay's outcomes are these."""

    async def look():
        found = await console.ask("GET", f"/replays/{id}")
        return found if found["outcomes"] == outcomes else None

    return await eventually(look, seconds)


def now():
    """As the server reads it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


async def one(console, id, **chosen):
    """The dead letter of an event."""
    (found,) = await console.dead_letters(1, text=id, **chosen)
    return found


async def test_an_edit_that_nobody_sent_is_not_sent_by_a_plain_replay(console):
    """What a corrector left lying is sent by its own replay only, and only by whoever may edit."""
    payload = slot(seats="three")
    id = await console.tell("1256", json.dumps(payload).encode())
    dead_letter = await one(console, id, consumer=MATCHING)
    mended = {"body": json.dumps(payload | {"seats": 3}), "reason": "seats is a number"}
    at = f"/dead-letters/{dead_letter['dead_letter_id']}/correct"
    left = await console.ask("POST", at, json=mended, roles=("corrector",), subject="cecilia")
    denied = await console.ask(
        "POST", f"/replays/{left['replay_id']}/begin", roles=("operator",), subject="oskar", status=403
    )
    assert "redigera" in denied["detail"]
    (newest, *_) = await console.ask("GET", "/audit")
    assert (newest["act"], newest["actor"]) == ("denied", "oskar")
    headers = {"authorization": f"Bearer {console.token('operator', subject='oskar')}"}
    async with httpx.AsyncClient(headers=headers) as client:
        page = await client.post(f"{console.url}/replays/{left['replay_id']}/begin")
    assert page.status_code == 403
    (newest, *_) = await console.ask("GET", "/audit")
    assert newest["target"] == f"POST /replays/{left['replay_id']}/begin", "by the page, too"
    found = await console.replayed({"ids": [dead_letter["dead_letter_id"]]})
    assert found["outcomes"] == {"returned": 1}, "the original went, and it is as wrong as before"
    rows = await console.rig.stack.sql(
        "matching", "select 1 from open_slot where slot_id = $1", uuids.UUID(payload["slot_id"])
    )
    assert rows == []
    await console.ask("POST", f"/replays/{left['replay_id']}/begin")
    await settled(console, left["replay_id"], {"already": 1})


async def test_a_dead_letter_that_is_not_what_the_stream_holds_is_shown_as_that_and_never_replayed(console):
    """A service can write what it likes where its dead letters are. One that says it is of a message of the
    stream, and says something else than that, is neither replayed nor edited; nor is one whose envelope is
    another. The true one, beside it, is replayed."""
    payload = slot(seats="three")
    id = await console.tell("1256", json.dumps(payload).encode())
    true = await one(console, id, consumer=MATCHING)
    place = {"seq": true["origin_seq"] - NOWHERE}
    about = await console.ask("POST", f"/dead-letters/{true['dead_letter_id']}/reveal")
    envelope = {name: value for name, value in about["headers"].items() if name.startswith("ce-")}
    other = json.dumps(slot(seats=9)).encode()
    forged = {"body": id, "envelope": str(uuids.uuid7())}
    for kind, event_id in forged.items():
        body = other if kind == "body" else about["body"].encode()
        said = envelope | {"ce-id": event_id, "Kn_Dead_Reason": f"forged-{kind}"}
        await dead_letter_of(console, MATCHING, body, **place, **said)
    for kind, event_id in forged.items():
        (dead_letter,) = await console.dead_letters(1, text=event_id, reason=f"forged-{kind}")
        path = f"/dead-letters/{dead_letter['dead_letter_id']}"
        assert (await console.ask("GET", path, roles=("viewer",)))["comparison"] == "differs"
        headers = {"authorization": f"Bearer {console.token('operator')}", "accept-language": "sv"}
        async with httpx.AsyncClient(headers=headers) as client:
            page = await client.get(f"{console.url}{path}")
        assert "stämmer inte med det som strömmen har" in page.text
        assert ('value="discard"' in page.text, 'value="replay"' in page.text) == (True, False)
        found = await console.replayed({"ids": [dead_letter["dead_letter_id"]]})
        assert found["outcomes"] == {"differs": 1}
        edit = {"body": json.dumps(slot(seats=4)), "reason": "four seats"}
        await console.ask("POST", f"{path}/correct", json=edit, status=409)
    assert (await console.ask("GET", f"/dead-letters/{true['dead_letter_id']}"))["comparison"] == "same"
    found = await console.replayed({"ids": [true["dead_letter_id"]]})
    assert found["outcomes"] == {"returned": 1}, "it is as wrong as before, and it was sent"
    rows = await console.rig.stack.sql("matching", "select 1 from open_slot where seats = 9")
    assert rows == []


async def test_a_second_edit_withdraws_the_first(console):
    payload = slot(seats="four")
    id = await console.tell("1256", json.dumps(payload).encode())
    dead_letter = await one(console, id, consumer=MATCHING)
    at = f"/dead-letters/{dead_letter['dead_letter_id']}/correct"
    plans = [
        await console.ask("POST", at, json={"body": json.dumps(payload | {"seats": n}), "reason": "a number"})
        for n in (4, 5)
    ]
    await console.ask("POST", f"/replays/{plans[0]['replay_id']}/begin")
    await settled(console, plans[0]["replay_id"], {"withdrawn": 1})
    await console.ask("POST", f"/replays/{plans[1]['replay_id']}/begin")
    await settled(console, plans[1]["replay_id"], {"handled": 1})
    half = {"body": '{"seats": "\\ud800"}', "reason": "half a character"}
    other = await console.tell("1256", b"{}")
    dead_letter = await one(console, other, consumer=MATCHING)
    await console.ask("POST", f"/dead-letters/{dead_letter['dead_letter_id']}/correct", json=half, status=422)


async def test_what_is_malformed_keeps_no_dead_letter_back(console):
    """Numbers that are none or too large, times that are none, characters that no database takes; and one
    that somebody put where another's dead letters are."""
    for about in (
        {"Kn_Dead_Seq": "²"}, {"Kn_Dead_Seq": "9" * 40}, {"Kn_Dead_Deliveries": "-1"}, {"Kn_Replay": "²"},
        {"Kn_Dead_At": "yesterday"}, {"Kn_Dead_At": "9999-12-31T23:59:59-23:00"}, {"Kn_Dead_Error": "a\0b"},
        {"Kn_Replay": "1"},
    ):  # fmt: skip
        await dead_letter_of(console, NOBODY, **about)
    forged = await dead_letter_of(console, NOBODY, Kn_Dead_Consumer=MATCHING)
    last = await dead_letter_of(console, NOBODY)
    assert await one(console, last)
    assert await console.dead_letters(text=forged) == []
    there = await console.dead_letters(consumer=NOBODY)
    assert len([each for each in there if each["reason"] == "made"]) >= 8
    assert {each["came_of"] for each in there} == {None}, "nobody else's word is taken for a replay's"


async def test_a_stream_made_anew_counts_from_one_and_its_deaths_are_new(console):
    first = await dead_letter_of(console, NOBODY, seq=77, Kn_Dead_At="2026-11-01T08:00:00+00:00")
    one_dead_letter = await one(console, first)
    wanted = {"dead_letters": {"ids": [one_dead_letter["dead_letter_id"]]}, "reason": "of the old stream"}
    await console.ask("POST", "/dead-letters/discard", json=wanted)
    second = await dead_letter_of(console, NOBODY, seq=77, Kn_Dead_At="2026-11-02T08:00:00+00:00")
    assert (await one(console, second))["state"] == "waiting"
    place = "update dead_letter set seq = seq + 1000000 where dead_letter_id = $1"
    await console.rig.stack.sql("operations", place, one_dead_letter["dead_letter_id"], role="owner")
    again = await dead_letter_of(console, NOBODY, seq=77, Kn_Dead_At="2026-11-01T08:00:00+00:00")
    assert await console.dead_letters(text=again) == [], "the same death, in a stream that was put back"

    async def found_again():
        about = await console.ask("GET", f"/dead-letters/{one_dead_letter['dead_letter_id']}")
        return about["body"] is not None

    await eventually(found_again)


async def test_a_strangers_message_is_not_shown_or_sent_as_the_dead_letter(console):
    mine, theirs = [
        await dead_letter_of(console, MATCHING, f'{{"n": {n}}}'.encode(), seq=n) for n in (901, 902)
    ]
    mine, theirs = await one(console, mine), await one(console, theirs)
    swap = (
        "update dead_letter set seq = (select seq from dead_letter where dead_letter_id = $2)"
        " where dead_letter_id = $1"
    )
    await console.rig.stack.sql(
        "operations", swap, mine["dead_letter_id"], theirs["dead_letter_id"], role="owner"
    )
    about = await console.ask("GET", f"/dead-letters/{mine['dead_letter_id']}")
    assert about["body"] is None
    await console.ask("POST", f"/dead-letters/{mine['dead_letter_id']}/reveal", status=404)
    plan = {"dead_letters": {"ids": [mine["dead_letter_id"]]}, "reason": "does not fit"}
    id = (await console.ask("POST", "/replays", json=plan))["replay_id"]
    await console.ask("POST", f"/replays/{id}/begin")
    await settled(console, id, {"gone": 1})
    assert (await console.ask("GET", f"/dead-letters/{mine['dead_letter_id']}"))["dead_letter"][
        "state"
    ] == "waiting"


async def test_one_console_sends_at_a_time(console):
    """Another one, which holds the lock, is at it: this one waits."""
    dead_letter = await one(console, await dead_letter_of(console, MATCHING, b"{", Kn_Dead_Reason="other"))
    urls = json.loads(Path(console.rig.stack.running["databases"]).read_text())["operations"]
    other = await asyncpg.connect(urls["app"])
    await other.execute(f"select pg_advisory_lock({sending.LOCK})")
    id = await console.begun({"ids": [dead_letter["dead_letter_id"]]})
    with pytest.raises(AssertionError):
        await settled(console, id, {"returned": 1}, seconds=3)
    assert (await console.ask("GET", f"/replays/{id}"))["outcomes"] == {"left": 1}
    await other.close()
    await settled(console, id, {"returned": 1})


async def test_events_are_found_by_their_time(console):
    ids = [await console.tell("1256", b"{}") for _ in range(2)]
    found = await eventually(lambda: events_of(console, text=ids[1]))
    at = datetime.fromisoformat(found[0]["at"])
    span = {"since": at.isoformat(), "until": (at + timedelta(milliseconds=1)).isoformat()}
    assert found[0] in await events_of(console, **span)
    before = {"until": at.isoformat(), "since": (at - timedelta(days=900)).isoformat()}
    assert found[0] not in await events_of(console, **before)
    assert await events_of(console, text=ids[1], **before) == []
    headers = {"authorization": f"Bearer {console.token('viewer')}"}
    async with httpx.AsyncClient(base_url=console.url, headers=headers) as client:
        page = await client.get("/search", params={"text": "", "until": "", "since": f"{at:%Y-%m-%dT%H:%M}"})
        assert f"/events/{STREAM}/{found[0]['seq']}" in page.text
        wrong = await client.get("/search", params={"since": "yesterday"})
        assert (wrong.status_code, "yesterday" in wrong.text) == (422, True)


async def events_of(console, **asked):
    """The events that a search finds."""
    return (await console.ask("GET", "/search", params=asked))["events"]


MANY = 40_000


async def test_more_dead_letters_than_a_statement_has_parameters_are_settled(console):
    """Forty thousand that are sent, of a replay that is stopped, and have come back."""
    id = uuids.uuid7()
    sql = console.rig.stack.sql
    replay = "insert into replay (replay_id, by, reason, selection, rate, state)"
    await sql("operations", f"{replay} values ($1, 'anna', 'many', '{{}}', 50, 'stopped')", id, role="owner")
    made = """
        with made as (
            insert into dead_letter (seq, consumer, stream, origin_seq, subject, type, refs, reason, error,
                fingerprint, died_at, deliveries, size, state)
            select 0, 'many', 'X', n, 'x', 'x', '{}', 'x', 'x', 'x', now(), 1, 1, 'returned'
            from generate_series(1, $2::int) n returning dead_letter_id)
        insert into replay_dead_letter select $1, dead_letter_id, 'sent' from made"""
    await sql("operations", made, id, MANY, role="owner")
    await settled(console, str(id), {"returned": MANY})
    chosen = {"dead_letters": {"consumer": "many", "state": "returned"}, "reason": "many"}
    plan = await console.ask("POST", "/replays", json=chosen)
    assert plan["hindered"] == {"already": MANY}
    await sql("operations", "delete from dead_letter where consumer = 'many'", role="owner")


async def test_a_dead_letter_that_nats_refuses_stops_its_replay_and_no_other(console):
    """A stream that takes no message of that size."""
    async with a_stream(console, "TRIAL", max_msg_size=300) as js:
        name = "stranger-stranger"
        await js.add_consumer(
            "TRIAL",
            ConsumerConfig(
                durable_name=name, ack_policy=AckPolicy.EXPLICIT,
                filter_subjects=["trial.x", f"replay.trial.{name}.>"],
            ),
        )  # fmt: skip

        async def known():
            return await console.queue(name)

        await eventually(known)
        large = json.dumps({"words": "x" * 300}).encode()
        for n in (1, 2):
            await dead_letter_of(console, name, large, stream="TRIAL", seq=n, Kn_Dead_Subject="trial.x")
        await console.dead_letters(2, consumer=name, reason="made", state="waiting")
        refused = await console.begun({"consumer": name, "state": "waiting"})
        payload = slot(seats="five")
        id = await console.tell("1256", json.dumps(payload).encode())
        other = await one(console, id, consumer=MATCHING)
        found = await console.replayed({"ids": [other["dead_letter_id"]]})
        assert found["outcomes"] == {"returned": 1}, "another replay goes on meanwhile"
        found = await console.ended(refused)
        assert (found["state"], found["stopped_why"]) == ("stopped", "refused")
        assert found["outcomes"] == {"refused": 1, "left": 1}
        states = {each["state"] for each in await console.dead_letters(consumer=name, reason="made")}
        assert states == {"waiting"}, "none is lost"
        config = (await js.stream_info("TRIAL")).config
        config.max_msg_size = -1
        await js.update_stream(config)
        await console.ask("POST", f"/replays/{refused}/go-on")
        await settled(console, refused, {"sent": 2})
    await settled(console, refused, {"lost": 2})
    states = {each["state"] for each in await console.dead_letters(consumer=name, reason="made")}
    assert states == {"waiting"}, "where they were sent is no more"


async def test_what_a_stopped_replay_has_sent_is_settled_and_what_it_took_is_finished(console):
    """Stopped while its consumer works; and the console killed in between for another of its dead letters."""
    name = "stranger-stranger"
    async with a_consumer(console, name, "1256", ack_wait=60) as subscription:
        for n in (1, 2):
            await dead_letter_of(console, name, seq=n, Kn_Dead_Reason="halted")
        dead_letters = await console.dead_letters(2, consumer=name, reason="halted", state="waiting")
        ids = sorted(each["dead_letter_id"] for each in dead_letters)[:1]

        async def known():
            return await console.queue(name)

        await eventually(known)
        id = await console.begun({"ids": ids})
        await settled(console, id, {"sent": 1})
        (message,) = await fetched(subscription, 1)
        await console.ask("POST", f"/replays/{id}/stop")
        await message.ack()
        await settled(console, id, {"handled": 1})
        taken = max(each["dead_letter_id"] for each in dead_letters)
        sql = console.rig.stack.sql
        add = "insert into replay_dead_letter (replay_id, dead_letter_id) values ($1, $2)"
        await sql("operations", add, uuids.UUID(id), taken, role="owner")
        take = "update dead_letter set state = 'taken', replay_id = $1, replays = 1 where dead_letter_id = $2"
        await sql("operations", take, uuids.UUID(id), taken, role="owner")
        await settled(console, id, {"handled": 1, "sent": 1})
        (message,) = await fetched(subscription, 1)
        await message.ack()
        await settled(console, id, {"handled": 2})
    nobody = await one(console, await dead_letter_of(console, NOBODY, seq=5))
    await sql("operations", add, uuids.UUID(id), nobody["dead_letter_id"], role="owner")
    await sql("operations", take, uuids.UUID(id), nobody["dead_letter_id"], role="owner")
    await settled(console, id, {"handled": 2, "no-consumer": 1})
    about = await console.ask("GET", f"/dead-letters/{nobody['dead_letter_id']}")
    assert (about["dead_letter"]["state"], about["dead_letter"]["replays"]) == ("waiting", 0), (
        "it is given back"
    )


async def test_all_is_only_what_was_seen_and_only_when_it_is_said(console):
    for dead_letters in ({}, {"ids": []}, {"state": "waiting"}, {"consumer": ""}):
        for act in ("dead-letters/discard", "dead-letters/restore", "replays"):
            await console.ask(
                "POST", f"/{act}", json={"dead_letters": dead_letters, "reason": "all?"}, status=422
            )
    seen = await one(console, await dead_letter_of(console, NOBODY, Kn_Dead_Reason="upto"))
    late = await one(console, await dead_letter_of(console, NOBODY, Kn_Dead_Reason="upto"))
    chosen = {"reason": "upto", "upto": seen["dead_letter_id"]}
    done = await console.ask(
        "POST", "/dead-letters/discard", json={"dead_letters": chosen, "reason": "seen ones"}
    )
    assert done == {"discarded": 1}
    states = {x["dead_letter_id"]: x["state"] for x in await console.dead_letters(reason="upto")}
    assert states == {seen["dead_letter_id"]: "discarded", late["dead_letter_id"]: "waiting"}
    headers = {"authorization": f"Bearer {console.token()}"}
    async with httpx.AsyncClient(base_url=console.url, headers=headers) as client:
        page = await client.get("/dead-letters", params={"reason": "upto"})
        assert 'name="upto"' in page.text
        form = {"what": "discard", "why": "all of it", "scope": "all", "query": "reason=upto"}
        await client.post("/dead-letters/act", data=form | {"upto": str(seen["dead_letter_id"])})
        assert (await one(console, late["event_id"]))["state"] == "waiting", "it came after the page"
        await client.post("/dead-letters/act", data=form | {"upto": str(late["dead_letter_id"])})
        assert (await one(console, late["event_id"]))["state"] == "discarded"


async def test_what_is_taken_out_of_a_stream_is_not_found_any_more(console):
    """What falls out at its beginning, too: refs of what is erased do not stay here."""
    source = StreamSource(name=STREAM, filter_subject=f"nav.1256.int.{SLOT}", opt_start_time=now())
    async with a_stream(console, "TRIAL", sources=[source]) as js:
        ids = [await console.tell("1256", b"{}") for _ in range(3)]

        async def found(id):
            events = (await console.ask("GET", "/search", params={"text": id}))["events"]
            return [event for event in events if event["stream"] == "TRIAL"]

        await eventually(lambda: found(ids[2]))
        assert await found(ids[0])
        config = (await js.stream_info("TRIAL")).config
        config.max_msgs = 1
        await js.update_stream(config)

        async def forgotten():
            return not await found(ids[0]) and not await found(ids[1])

        await eventually(forgotten)
        assert await found(ids[2])


async def test_a_dry_run_tells_what_is_gone_and_who_is_paused(console):
    gone = await one(console, await dead_letter_of(console, MATCHING, Kn_Dead_Reason="gone"))
    place = "update dead_letter set seq = 900000000 where dead_letter_id = $1"
    await console.rig.stack.sql("operations", place, gone["dead_letter_id"], role="owner")
    wanted = {"dead_letters": {"ids": [gone["dead_letter_id"]]}, "reason": "is it there"}
    plan = await console.ask("POST", "/replays", json=wanted)
    assert (plan["eligible"], plan["hindered"]) == (0, {"gone": 1})
    name = "stranger-stranger"
    async with a_consumer(console, name, "1256"):

        async def known():
            return await console.queue(name)

        await eventually(known)
        until = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        at = f"/queues/{STREAM}/{name}"
        await console.ask("POST", f"{at}/pause", json={"until": until, "reason": "mending"})

        async def paused():
            return (await console.queue(name))["paused"]

        await eventually(paused)
        dead_letter = await one(console, await dead_letter_of(console, name, Kn_Dead_Reason="paused"))
        wanted = {"dead_letters": {"ids": [dead_letter["dead_letter_id"]]}, "reason": "while it is paused"}
        plan = await console.ask("POST", "/replays", json=wanted)
        assert (plan["eligible"], plan["paused"]) == (1, [name])
        headers = {"authorization": f"Bearer {console.token()}", "accept-language": "en"}
        async with httpx.AsyncClient(headers=headers) as client:
            page = await client.get(f"{console.url}/replays/{plan['replay_id']}")
        assert f"Paused: {name}" in page.text


async def test_a_canary_that_somebody_stopped_goes_on_as_a_canary(console):
    name = "stranger-stranger"
    async with a_consumer(console, name, "1256", ack_wait=60) as subscription:
        for n in range(12):
            await dead_letter_of(console, name, seq=n + 1, Kn_Dead_Reason="canary")
        dead_letters = await console.dead_letters(12, consumer=name, reason="canary", state="waiting")

        async def known():
            return await console.queue(name)

        await eventually(known)
        id = await console.begun({"ids": [each["dead_letter_id"] for each in dead_letters]})
        await settled(console, id, {"sent": 10, "left": 2})
        await console.ask("POST", f"/replays/{id}/stop")
        went_on = await console.ask("POST", f"/replays/{id}/go-on")
        assert went_on["state"] == "canary"
        for message in await fetched(subscription, 10):
            await message.ack()
        for message in await fetched(subscription, 2):
            await message.ack()
        await settled(console, id, {"handled": 12})


async def test_a_message_without_room_for_a_dead_letters_headers_is_a_dead_letter_all_the_same(console):
    """The body stays where it is, and is shown and replayed from there."""
    id = await console.tell("1256", b"x" * 1_047_500)
    dead_letter = await one(console, id, consumer=MATCHING, reason="bad-json")
    shown = await console.ask("POST", f"/dead-letters/{dead_letter['dead_letter_id']}/reveal")
    assert shown["body"].startswith("xxx")
    found = await console.replayed({"ids": [dead_letter["dead_letter_id"]]})
    assert found["outcomes"] == {"returned": 1}
    assert await replays_of(console, {id}) == [id]


async def test_a_message_as_large_as_it_may_be_is_refused_and_the_console_goes_on(console):
    """To be replayed it would need a header more than there is room for."""
    pid = console.rig.pid("operations")
    event = catalogue()[SLOT].model_validate(slot())
    headers = headers_of(event, municipality="1256") | {"Nats-Msg-Id": str(uuids.uuid7())}
    head = "NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
    connection = await console.rig.stack.nats("registry")
    body = b"y" * (connection.max_payload - len(head))
    await connection.jetstream().publish(f"nav.1256.int.{SLOT}", body, headers=headers)
    await connection.close()
    id = headers["ce-id"]
    dead_letter = await one(console, id, consumer=MATCHING, reason="bad-json")
    found = await console.replayed({"ids": [dead_letter["dead_letter_id"]]})
    assert found["outcomes"] == {"refused": 1}
    assert (await one(console, id, consumer=MATCHING))["state"] == "waiting"
    assert console.rig.pid("operations") == pid


async def test_a_replay_that_its_listener_terminates_has_come_back(console):
    name = "stranger-stranger"
    async with a_consumer(console, name, "1256", ack_wait=60) as subscription:
        dead_letter = await one(console, await dead_letter_of(console, name, Kn_Dead_Reason="ended"))

        async def known():
            return await console.queue(name)

        await eventually(known)
        id = await console.begun({"ids": [dead_letter["dead_letter_id"]]})
        (message,) = await fetched(subscription, 1)
        await message.term()
        await settled(console, id, {"returned": 1})
        again = await one(console, dead_letter["event_id"], state="waiting")
        assert again["came_of"] == dead_letter["dead_letter_id"]


async def test_an_id_however_long_keeps_no_dead_letter_back(console):
    await dead_letter_of(console, NOBODY, **{"ce-correlationid": "".join(map(str, range(3000)))},
                    Kn_Dead_Reason="long")  # fmt: skip
    assert await console.dead_letters(1, reason="long")


async def test_an_event_shows_a_viewer_its_envelope_and_no_other_header(console):
    id = await dead_letter_of(console, NOBODY, **{"x-personal": "hemligt"}, Kn_Dead_Reason="header")
    await one(console, id)
    (row,) = await console.rig.stack.sql("operations", "select seq from dead_letter where event_id = $1", id)
    shown = await console.ask("GET", f"/events/DEAD_LOCAL/{row['seq']}", roles=("viewer",))
    assert (shown["headers"]["x-personal"], shown["headers"]["ce-id"]) == ("…", id)
    headers = {"authorization": f"Bearer {console.token('viewer')}"}
    async with httpx.AsyncClient(headers=headers) as client:
        page = await client.get(f"{console.url}/events/DEAD_LOCAL/{row['seq']}")
    assert page.status_code == 200
    assert "hemligt" not in page.text


async def test_a_try_that_nobody_noted_is_told_of(console):
    name = "stranger-stranger"
    async with a_consumer(console, name, "1290") as subscription:
        id = await console.tell("1290")
        for _ in range(2):
            await fetched(subscription, 1)
        with contextlib.suppress(TimeoutError):
            await subscription.fetch(1, timeout=1)
        dead_letter = await one(console, id, consumer=name)
    about = await console.ask("GET", f"/dead-letters/{dead_letter['dead_letter_id']}")
    tries = [(each["delivery"], each["phase"]) for each in about["attempts"]]
    assert tries == [(1, "unanswered"), (2, "unanswered")]
