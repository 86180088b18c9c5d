"""What the console finds on a running stack: queues, deaths, tries, what is away."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from kompetensnav_chassis.patience import Patience
from kompetensnav_chassis.testing import eventually
from support.console import (
    MATCHING,
    STREAM,
    a_consumer,
    asked_once_more,
    fetched,
)

pytestmark = [pytest.mark.real, pytest.mark.slow]


async def test_every_queue_outbox_and_server_is_found_by_itself(console):

    async def found():
        picture = await console.ask("GET", "/overview")
        return picture if picture["queues"] and len(picture["instances"]) >= 5 else None

    picture = await eventually(found)
    names = {q["name"] for q in picture["queues"]}
    assert {MATCHING, "reporting-placements", "notifications-offers", "registry-exchange"} <= names
    services = {i["service"] for i in picture["instances"]}
    assert services == {"registry", "matching", "notifications", "reporting", "operations"}
    assert [s["name"] for s in picture["servers"]] == ["local"]
    assert picture["servers"][0]["version"]
    assert {"INT_LOCAL", "PUB_LOCAL", "DEAD_LOCAL", "ATTEMPT_LOCAL"} <= {
        s["name"] for s in picture["streams"]
    }


async def test_a_partners_queue_is_found_with_its_depth_and_age(console):
    async with a_consumer(console, "stranger-stranger", "1256") as subscription:
        for _ in range(3):
            await console.tell("1256")

        async def seen():
            queue = await console.queue("stranger-stranger")
            return queue if queue and queue["waiting"] == 3 and queue["oldest"] > 0.5 else None

        queue = await eventually(seen)
        assert queue["oldest"] < 20
        (message, *rest) = await fetched(subscription, 3)

        async def in_flight():
            return (await console.queue("stranger-stranger"))["in_flight"] == 3

        await eventually(in_flight, 5)
        for each in (message, *rest):
            await each.ack()

        async def idle():
            queue = await console.queue("stranger-stranger")
            return (queue["waiting"], queue["in_flight"], queue["oldest"]) == (0, 0, 0)

        await eventually(idle, 5)

    async def gone():
        return await console.queue("stranger-stranger") is None

    await eventually(gone, 5)


async def test_a_service_that_falls_silent_is_missed_and_seen_again(console):
    with console.rig.stopped("reporting"):

        async def missed():
            return "reporting" in (await console.ask("GET", "/overview"))["silent"]

        await eventually(missed, 30)

    async def back():
        picture = await console.ask("GET", "/overview")
        return not picture["silent"] and "reporting" in {i["service"] for i in picture["instances"]}

    await eventually(back, 30)


async def test_history_and_the_last_picture_survive_a_restart_without_nats(console):
    async def sampled():
        found = await console.ask("GET", f"/queues/{STREAM}/{MATCHING}?hours=336")
        return found["samples"]

    before = await eventually(sampled, 90)
    with console.rig.stopped("nats"):
        await console.rig.kill_and_back_alive("operations", console.url)

        async def shown():
            async with httpx.AsyncClient(timeout=30) as client:
                headers = {"authorization": f"Bearer {console.token()}"}
                answered = await client.get(f"{console.url}/api/overview", headers=headers)
            picture = answered.json()
            return picture if picture["queues"] and "broker" in picture["faults"] else None

        picture = await eventually(shown, 30)
        assert MATCHING in {q["name"] for q in picture["queues"]}
        assert picture["age"] > 0
    await console.rig.back()
    after = await eventually(sampled, 30)
    assert [s["at"] for s in before] == [s["at"] for s in after][: len(before)]


async def test_the_console_is_usable_while_nats_or_its_database_is_away(console):
    """It shows the last known state and its age, and refuses what it cannot do with a reason."""
    headers = {"authorization": f"Bearer {console.token()}", "accept-language": "en"}
    until = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    async with httpx.AsyncClient(timeout=30, headers=headers, base_url=console.url) as client:
        with console.rig.stopped("nats"):

            async def said():
                return "Does not answer: NATS" in (await client.get("/")).text

            await eventually(said, 30)
            assert MATCHING in (await client.get("/")).text
            asked = {"until": until, "reason": "night work"}
            refused = await client.post(f"/api/queues/{STREAM}/{MATCHING}/pause", json=asked)
            assert (refused.status_code, "NATS does not answer" in refused.json()["detail"]) == (503, True)
            planned = {"dead_letters": {"consumer": MATCHING}, "reason": "why not"}
            assert (await client.post("/api/replays", json=planned)).status_code == 503
        await console.rig.back()
        with console.rig.stopped("postgres"):

            async def also():
                return "the console&#39;s database" in (await client.get("/")).text

            await eventually(also, 30)
            assert MATCHING in (await client.get("/")).text
            assert (await client.get("/dead-letters")).status_code == 503
        await console.rig.back()

    async def well():
        return (await console.ask("GET", "/overview"))["faults"] == {}

    await eventually(well, 30)


DYING = """
import asyncio, os, signal, sys
import nats
async def main():
    seed = open(sys.argv[2]).read()
    connection = await nats.connect(sys.argv[1], nkeys_seed_str=seed, inbox_prefix=b"_INBOX_stranger")
    subscription = await connection.jetstream().pull_subscribe_bind(
        sys.argv[3], "INT_LOCAL", inbox_prefix=b"_INBOX_stranger."
    )
    taken = []
    while len(taken) < int(sys.argv[4]):
        try:
            taken += await subscription.fetch(int(sys.argv[4]) - len(taken), timeout=1)
        except TimeoutError:
            pass
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
RUNS = 20


async def by_exception(console, began):
    async with console.faulty("4399"):
        for _ in range(RUNS):
            await console.tell("1257", occupation="4399")
        return await seen_in_time(console, began, MATCHING, "failed")


async def by_bad_json(console, began):
    for _ in range(RUNS):
        await console.tell("1257", b"{no json")
    return await seen_in_time(console, began, MATCHING, "bad-json")


async def by_future_version(console, began):
    for _ in range(RUNS):
        await console.tell("1257", b"{}", {"ce-type": "registry.slot.posted.v9"})
    return await seen_in_time(console, began, MATCHING, "unknown-version")


async def by_time_out(console, began):
    async with a_consumer(console, "stranger-slow", "1290") as subscription:
        for _ in range(RUNS):
            await console.tell("1290")
        await fetched(subscription, RUNS)
        await fetched(subscription, RUNS)
        last = time.time()
        await asked_once_more(subscription)
        return await seen_in_time(console, began, "stranger-slow", "max-deliveries", last)


async def by_term(console, began):
    async with a_consumer(console, "stranger-quitter", "1290") as subscription:
        for _ in range(RUNS):
            await console.tell("1290")
        for message in await fetched(subscription, RUNS):
            await message.term()
        return await seen_in_time(console, began, "stranger-quitter", "terminated", time.time())


async def by_kill(console, began):
    stack = console.rig.stack
    async with a_consumer(console, "stranger-killed", "1290") as subscription:
        for _ in range(RUNS):
            await console.tell("1290")
        seed = Path(stack.running["care_seed"]).with_name("stranger.nk")
        where = (stack.running["nats"], str(seed), "stranger-killed", str(RUNS))
        command = [sys.executable, "-c", DYING, *where]
        for _ in range(2):
            died = await asyncio.to_thread(subprocess.run, command, check=False)
            assert died.returncode == -signal.SIGKILL
        last = time.time()
        await asked_once_more(subscription)
        return await seen_in_time(console, began, "stranger-killed", "max-deliveries", last)


async def seen_in_time(console, began, consumer, reason, last=None):
    """Seconds from the last attempt to when each dead letter was listed, as an idle machine would count
    them."""
    listed, patience, started = {}, Patience(20), time.time()
    while len(listed) < RUNS:
        page = await console.dead_letters(consumer=consumer, reason=reason, since=began)
        now = time.time()
        for dead_letter in page:
            if dead_letter["dead_letter_id"] not in listed:
                died = datetime.fromisoformat(dead_letter["died_at"]).timestamp()
                listed[dead_letter["dead_letter_id"]] = now - (died if last is None else last)
        assert last is None or not patience.is_over, f"{len(listed)} of {RUNS} seen"
    share = min(1.0, patience.used / (time.time() - started))
    return [seconds * share for seconds in listed.values()]


PATHS = (by_exception, by_bad_json, by_future_version, by_time_out, by_term, by_kill)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
async def test_a_message_that_dies_is_listed_within_five_seconds(console, path):
    """Six ways to die, twenty runs each: all seen."""
    seconds = await path(console, datetime.now(UTC).isoformat())
    assert len(seconds) == RUNS
    assert max(seconds) < 5


async def test_every_try_is_noted_with_time_host_version_and_where_it_failed(console):
    async with console.faulty("4398"):
        id = await console.tell("1257", occupation="4398")
        (dead_letter,) = await console.dead_letters(1, text=id, consumer=MATCHING)
    about = await console.ask("GET", f"/dead-letters/{dead_letter['dead_letter_id']}")

    async def noted():
        about = await console.ask("GET", f"/dead-letters/{dead_letter['dead_letter_id']}")
        return about if len([a for a in about["attempts"] if a["phase"] == "failed"]) == 3 else None

    about = await eventually(noted)
    failed = [a for a in about["attempts"] if a["phase"] == "failed"]
    assert [a["delivery"] for a in failed] == [1, 2, 3]
    assert [a["again_in"] is None for a in failed] == [False, False, True]
    assert {a["version"] for a in failed} == {"1.0.0"}
    assert all(a["host"] and a["error"] for a in failed)
    assert "projection.py" in about["stack"], "where it failed, whole"
    assert "a fault" not in json.dumps(about), "words of an exception may be personal"
