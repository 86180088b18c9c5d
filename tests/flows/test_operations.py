"""The operations console on a running stack: what it finds, what it does, what it keeps, who may."""

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import asyncpg
import httpx
import pytest
import uuid_utils.compat as uuids
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from kompetensnav_chassis.testing import eventually
from kompetensnav_operations.domain.alerts import RULES
from kompetensnav_operations.main import ROUTERS
from support.console import ALL, HOOK_SECRET, SLOT, slot

pytestmark = [pytest.mark.real, pytest.mark.slow]
STREAM = "INT_LOCAL"
MATCHING = "matching-registry"


@contextlib.asynccontextmanager
async def a_consumer(console, name, municipality, *, ack_wait=0.5, max_deliver=2):
    """A durable of somebody else's service, with a door of its own for replay."""
    topology, theirs = await console.rig.stack.nats("topology"), await console.rig.stack.nats("stranger")
    js = topology.jetstream()
    with contextlib.suppress(NotFoundError):
        await js.delete_consumer(STREAM, name)
    config = ConsumerConfig(
        durable_name=name, ack_policy=AckPolicy.EXPLICIT, ack_wait=ack_wait, max_deliver=max_deliver,
        deliver_policy=DeliverPolicy.NEW,
        filter_subjects=[f"nav.{municipality}.int.{SLOT}", f"replay.int.{name}.>"],
    )  # fmt: skip
    await js.add_consumer(STREAM, config)
    try:
        prefix = b"_INBOX_stranger."
        yield await theirs.jetstream().pull_subscribe_bind(name, STREAM, inbox_prefix=prefix)
    finally:
        await js.delete_consumer(STREAM, name)
        await topology.close()
        await theirs.close()


async def fetched(subscription, n):
    """Exactly so many messages."""
    found = []
    while len(found) < n:
        with contextlib.suppress(TimeoutError):
            found += await subscription.fetch(n - len(found), timeout=1)
    return found


async def asked_once_more(subscription):
    """Nothing is given any more; the server says instead that it has given up."""
    with contextlib.suppress(TimeoutError):
        await subscription.fetch(1, timeout=1)


# 1. What it finds


async def test_1_every_queue_outbox_and_server_is_found_by_itself(console):

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


async def test_1_a_partners_queue_is_found_with_its_depth_and_age(console):
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


async def test_1_a_service_that_falls_silent_is_missed_and_seen_again(console):
    with console.rig.stopped("reporting"):

        async def missed():
            return "reporting" in (await console.ask("GET", "/overview"))["silent"]

        await eventually(missed, 30)

    async def back():
        picture = await console.ask("GET", "/overview")
        return not picture["silent"] and "reporting" in {i["service"] for i in picture["instances"]}

    await eventually(back, 30)


async def test_1_history_and_the_last_picture_survive_a_restart_without_nats(console):
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


async def test_1_the_console_is_usable_while_nats_or_its_database_is_away(console):
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
            planned = {"letters": {"consumer": MATCHING}, "reason": "why not"}
            assert (await client.post("/api/replays", json=planned)).status_code == 503
        await console.rig.back()
        with console.rig.stopped("postgres"):

            async def also():
                return "the console&#39;s database" in (await client.get("/")).text

            await eventually(also, 30)
            assert MATCHING in (await client.get("/")).text
            assert (await client.get("/letters")).status_code == 503
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


async def by_exception(console):
    async with console.faulty("4399"):
        for _ in range(RUNS):
            await console.tell("1257", occupation="4399")
        return await seen_in_time(console, MATCHING, "failed")


async def by_bad_json(console):
    for _ in range(RUNS):
        await console.tell("1257", b"{no json")
    return await seen_in_time(console, MATCHING, "bad-json")


async def by_future_version(console):
    for _ in range(RUNS):
        await console.tell("1257", b"{}", {"ce-type": "registry.slot.posted.v9"})
    return await seen_in_time(console, MATCHING, "unknown-version")


async def by_time_out(console):
    async with a_consumer(console, "stranger-slow", "1290") as subscription:
        for _ in range(RUNS):
            await console.tell("1290")
        await fetched(subscription, RUNS)
        await fetched(subscription, RUNS)
        last = time.time()
        await asked_once_more(subscription)
        return await seen_in_time(console, "stranger-slow", "max-deliveries", last)


async def by_term(console):
    async with a_consumer(console, "stranger-quitter", "1290") as subscription:
        for _ in range(RUNS):
            await console.tell("1290")
        for message in await fetched(subscription, RUNS):
            await message.term()
        return await seen_in_time(console, "stranger-quitter", "terminated", time.time())


async def by_kill(console):
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
        return await seen_in_time(console, "stranger-killed", "max-deliveries", last)


async def seen_in_time(console, consumer, reason, last=None):
    """Seconds from the last attempt to when each letter was listed."""
    listed = {}
    while len(listed) < RUNS:
        page = await console.letters(consumer=consumer, reason=reason)
        now = time.time()
        for letter in page:
            if letter["letter_id"] not in listed:
                died = datetime.fromisoformat(letter["died_at"]).timestamp()
                listed[letter["letter_id"]] = now - (died if last is None else last)
        assert last is None or now - last < 20, f"{len(listed)} of {RUNS} seen"
    return list(listed.values())


PATHS = (by_exception, by_bad_json, by_future_version, by_time_out, by_term, by_kill)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
async def test_1_a_message_that_dies_is_listed_within_five_seconds(console, path):
    """Six ways to die, twenty runs each: all seen."""
    seconds = await path(console)
    assert len(seconds) == RUNS
    assert max(seconds) < 5


async def test_1_every_try_is_noted_with_time_host_version_and_where_it_failed(console):
    async with console.faulty("4398"):
        id = await console.tell("1257", occupation="4398")
        (letter,) = await console.letters(1, text=id, consumer=MATCHING)
    about = await console.ask("GET", f"/letters/{letter['letter_id']}")

    async def noted():
        about = await console.ask("GET", f"/letters/{letter['letter_id']}")
        return about if len([a for a in about["attempts"] if a["phase"] == "failed"]) == 3 else None

    about = await eventually(noted)
    failed = [a for a in about["attempts"] if a["phase"] == "failed"]
    assert [a["delivery"] for a in failed] == [1, 2, 3]
    assert [a["again_in"] is None for a in failed] == [False, False, True]
    assert {a["version"] for a in failed} == {"1.0.0"}
    assert all(a["host"] and a["error"] for a in failed)
    assert "projection.py" in about["stack"], "where it failed, whole"
    assert "a fault" not in json.dumps(about), "words of an exception may be personal"


# 3. What it does


async def test_3_a_replay_goes_to_the_failing_consumer_only_as_the_same_event(console):
    async with console.faulty("4397"):
        ids = {await console.tell("1257", occupation="4397") for _ in range(12)}
        await eventually(lambda: died(console, ids))
    counted = "select count(*) n from fact where municipality = '1257'"
    before = await console.rig.stack.sql("reporting", counted)
    found = await console.replayed({"consumer": MATCHING, "reason": "failed", "state": "waiting"})
    assert found["state"] == "done"
    assert found["outcomes"].get("handled", 0) >= 12
    rows = await console.rig.stack.sql(
        "matching", "select count(*) n from open_slot where municipality = '1257' and occupation = '4397'"
    )
    assert rows[0]["n"] == 12
    assert await console.rig.stack.sql("reporting", counted) == before, "nobody else heard it"
    sent = await replays_of(console, ids)
    assert sorted(sent) == sorted(ids), "the same ids, each once"


async def died(console, ids):
    letters = await console.letters(consumer=MATCHING)
    return ids <= {letter["event_id"] for letter in letters}


async def replays_of(console, ids):
    """The event ids of what was published on matching's own door, in order."""
    care = await console.rig.stack.nats()
    try:
        config = ConsumerConfig(
            filter_subjects=[f"replay.int.{MATCHING}.>"], ack_policy=AckPolicy.NONE, inactive_threshold=10
        )
        subscription = await care.jetstream().pull_subscribe("", stream=STREAM, config=config)
        left = (await subscription.consumer_info()).num_pending or 0
        return [m.headers["ce-id"] for m in await fetched(subscription, left) if m.headers["ce-id"] in ids]
    finally:
        await care.close()


async def test_3_the_canary_stops_a_replay_whose_cause_is_not_mended(console):
    for _ in range(15):
        await console.tell("1256", b"{still no json")

    async def there():
        return len(await console.letters(consumer=MATCHING, reason="bad-json", state="waiting")) >= 15

    await eventually(there)
    found = await console.replayed({"consumer": MATCHING, "reason": "bad-json"})
    assert (found["state"], found["stopped_why"]) == ("stopped", "canary-returned")
    outcomes = found["outcomes"]
    assert outcomes["left"] >= 5, "the rest was not sent"
    assert outcomes.get("returned", 0) + outcomes.get("sent", 0) == 10
    boomerangs = [n for n in await console.letters(consumer=MATCHING, state="waiting") if n["came_of"]]
    assert boomerangs, "what came back is marked"
    origin = await console.ask("GET", f"/letters/{boomerangs[0]['came_of']}")
    assert origin["letter"]["state"] == "returned", "history is kept"


async def test_3_f18_two_operators_and_a_kill_leave_one_effect_per_event(console):
    """Two operators replay the same forty letters at once, and the console is killed between taking a letter
    and sending it, and again between sending it and writing that down."""
    async with console.faulty("4396"):
        ids = {await console.tell("1257", occupation="4396") for _ in range(40)}
        await eventually(lambda: died(console, ids), 60)
    letters = [x for x in await console.letters(consumer=MATCHING) if x["event_id"] in ids]
    chosen = {"ids": [letter["letter_id"] for letter in letters]}
    for point in ("operations.replay.taken", "operations.replay.sent"):
        (console.failpoints / point).touch()
    begun = await asyncio.gather(
        *(console.begun(chosen, subject=who) for who in ("anna", "bertil")), return_exceptions=True
    )
    ended = [await console.ended(id) for id in begun if isinstance(id, str)]
    assert ended
    for point in ("operations.replay.taken", "operations.replay.sent"):
        assert (console.failpoints / f"{point}.struck").exists(), "it was killed there"
    handled = sum(found["outcomes"].get("handled", 0) for found in ended)
    assert handled == 40
    assert sorted(await replays_of(console, ids)) == sorted(ids), "each was sent once"
    rows = await console.rig.stack.sql(
        "matching",
        "select count(*) n, count(distinct slot_id) d from open_slot"
        " where municipality = '1257' and occupation = '4396'",
    )
    assert (rows[0]["n"], rows[0]["d"]) == (40, 40)
    again = {"letters": chosen, "reason": "once more"}
    plan = await console.ask("POST", "/replays", json=again)
    assert (plan["eligible"], plan["hindered"]) == (0, {"already": 40}), "a stale page cannot replay again"
    await console.ask("POST", f"/replays/{plan['replay_id']}/begin", status=409)


async def test_3_a_discard_needs_a_reason_and_can_be_undone(console):
    id = await console.tell("1256", b"not json to be put away")
    (letter,) = await console.letters(1, text=id, consumer=MATCHING)
    chosen = {"ids": [letter["letter_id"]]}
    await console.ask("POST", "/letters/discard", json={"letters": chosen, "reason": ""}, status=422)
    done = await console.ask("POST", "/letters/discard", json={"letters": chosen, "reason": "test data"})
    assert done == {"discarded": 1}
    (shown,) = await console.letters(text=id, state="discarded")
    assert (shown["why"], shown["settled_by"]) == ("test data", "anna")
    again = await console.ask("POST", "/letters/discard", json={"letters": chosen, "reason": "test data"})
    assert again == {"discarded": 0}, "what is dealt with is left alone"
    old = "update letter set settled_at = now() - interval '31 days' where letter_id = $1"
    await console.rig.stack.sql("operations", old, letter["letter_id"], role="owner")
    back = {"letters": chosen | {"state": "discarded"}, "reason": "a mistake"}
    assert await console.ask("POST", "/letters/restore", json=back) == {"restored": 0}, "too late"
    old = "update letter set settled_at = now() - interval '29 days' where letter_id = $1"
    await console.rig.stack.sql("operations", old, letter["letter_id"], role="owner")
    assert await console.ask("POST", "/letters/restore", json=back) == {"restored": 1}
    (shown,) = await console.letters(text=id, consumer=MATCHING)
    assert (shown["state"], shown["why"]) == ("waiting", None)


async def test_3_an_edit_makes_a_new_event_caused_by_the_original(console):
    facts = slot(seats="three")
    id = await console.tell("1256", json.dumps(facts).encode())
    (letter,) = await console.letters(1, text=id, consumer=MATCHING)
    at = f"/letters/{letter['letter_id']}"
    for body, where in (
        ("{", "line 1"),
        (json.dumps(facts), "seats"),
        (json.dumps(slot(sheets=1)), "sheets"),
    ):
        edited = {"body": body, "reason": "a number"}
        refused = await console.ask("POST", f"{at}/correct", json=edited, status=422)
        assert where in json.dumps(refused["errors"])
    original = await console.ask("POST", f"{at}/reveal")
    mended = {"body": json.dumps(facts | {"seats": 3}), "reason": "seats is a number"}
    await console.ask("POST", f"{at}/correct", json=mended, roles=("operator",), status=403)
    plan = await console.ask("POST", f"{at}/correct", json=mended, roles=("corrector",))
    await console.ask("POST", f"/replays/{plan['replay_id']}/begin")
    assert (await console.ended(plan["replay_id"]))["outcomes"] == {"handled": 1}
    rows = await console.rig.stack.sql(
        "matching", "select seats from open_slot where slot_id = $1", uuids.UUID(facts["slot_id"])
    )
    assert [row["seats"] for row in rows] == [3]
    (entry,) = await console.rig.stack.sql(
        "operations", "select detail from audit where act = 'correct' and target = $1", at[1:].replace(
            "letters/", "letter "
        )
    )  # fmt: skip
    detail = json.loads(entry["detail"])
    assert detail["paths"] == ["/seats"]
    assert detail["event"] != id
    sent = await replays_of(console, {detail["event"]})
    assert sent == [detail["event"]]
    assert await console.ask("POST", f"{at}/reveal") == original, "the original stays as it was"


async def test_3_a_consumer_is_paused_until_a_time_and_goes_on_by_itself(console):
    async with a_consumer(console, "stranger-napper", "1256", max_deliver=20) as subscription:
        await console.ask("GET", "/overview")

        async def there():
            return await console.queue("stranger-napper")

        await eventually(there, 5)
        until = (datetime.now(UTC) + timedelta(seconds=6)).isoformat()
        at = f"/queues/{STREAM}/stranger-napper"
        late = {"until": (datetime.now(UTC) + timedelta(days=8)).isoformat(), "reason": "for long"}
        await console.ask("POST", f"{at}/pause", json=late, status=422)
        await console.ask("POST", f"{at}/pause", json={"until": until, "reason": "mending"})
        await console.tell("1256")
        with pytest.raises(TimeoutError):
            await subscription.fetch(1, timeout=1)

        async def paused():
            return (await console.queue("stranger-napper"))["paused"]

        await eventually(paused, 5)
        (message,) = await fetched(subscription, 1)
        await message.ack()
        assert datetime.now(UTC) > datetime.fromisoformat(until)

        async def entered():
            entries = await console.ask("GET", "/audit")
            mine = [e for e in entries if e["target"] == f"queue {STREAM}/stranger-napper"]
            return [(e["act"], e["actor"], e["reason"]) for e in mine] == [
                ("resume", "console", "time"),
                ("pause", "anna", "mending"),
            ]

        await eventually(entered, 30)


async def test_3_the_audit_is_whole_and_has_what_was_denied(console):
    asked = {"letters": {"consumer": "x"}, "reason": "I may not"}
    denied = await console.ask(
        "POST", "/letters/discard", json=asked, roles=("viewer",), subject="eva", status=403
    )
    assert denied["type"].endswith("forbidden")
    (newest, *_) = await console.ask("GET", "/audit")
    assert (newest["act"], newest["actor"], newest["result"]) == ("denied", "eva", "denied")
    assert newest["target"] == "POST /api/letters/discard"

    async def whole():
        verdict = await console.ask("GET", "/audit/verify")
        assert verdict["breaks"] == []
        return verdict["entries"] == verdict["anchored"] > 0

    await eventually(whole)


TAMPERS = 25


async def test_3_whoever_tampers_with_the_audit_in_the_database_is_found_out(console):
    """The trigger keeps everybody from it; here its owner takes the trigger away. (Five hundred tamperings
    with the chain itself are tried in the console's own tests.)"""
    urls = json.loads(Path(console.rig.stack.running["databases"]).read_text())["operations"]
    app = await asyncpg.connect(urls["app"])
    for statement in ("update audit set reason = ''", "delete from audit"):
        with pytest.raises(asyncpg.PostgresError, match=r"only added to|permission denied"):
            await app.execute(statement)
    await app.close()
    while len(await console.ask("GET", "/audit")) < 8:
        await console.ask("POST", "/letters/discard", json={"letters": {"text": "nothing"}, "reason": "fill"})
    owner = await asyncpg.connect(urls["owner"])
    random = Random(7)
    try:
        await owner.execute("alter table audit disable trigger audit_kept")
        await owner.execute("create table audit_copy as table audit")
        numbers = [row["number"] for row in await owner.fetch("select number from audit order by number")]
        for _ in range(TAMPERS):
            n = random.choice(numbers)
            await owner.execute(random.choice(SPOILS), n)
            verdict = await console.ask("GET", "/audit/verify")
            assert verdict["breaks"]
            await owner.execute("delete from audit")
            await owner.execute("insert into audit select * from audit_copy")
        assert (await console.ask("GET", "/audit/verify"))["breaks"] == []
    finally:
        await owner.execute("drop table if exists audit_copy")
        await owner.execute("alter table audit enable trigger audit_kept")
        await owner.close()


SPOILS = (
    "update audit set actor = 'somebody else' where number = $1",
    "update audit set reason = reason || 'x' where number = $1",
    "update audit set at = at + interval '1 hour' where number = $1",
    "update audit set detail = '{}'::jsonb || jsonb_build_object('x', 1) where number = $1",
    "update audit set roles = array['admin', 'x'] where number = $1",
    "delete from audit where number = $1",
    "delete from audit where number >= $1",
    "update audit set seal = previous where number = $1",
)


# 4. Command line, alerts, metrics


async def test_4_the_command_line_does_the_same_with_the_same_audit(console):
    code, found = await console.command("ls")
    assert (code, MATCHING in {q["name"] for q in found["queues"]}) == (0, True)
    id = await console.tell("1256", b"by command")
    (letter,) = await console.letters(1, text=id, consumer=MATCHING)
    code, found = await console.command("dead", "--text", id)
    assert letter["letter_id"] in {each["letter_id"] for each in found["items"]}
    code, groups = await console.command("dead", "--groups", "--consumer", MATCHING)
    assert sum(group["letters"] for group in groups) >= 1
    one = str(letter["letter_id"])
    code, plan = await console.command("replay", one, "--reason", "by command", "--plan")
    assert (code, plan["eligible"]) == (0, 1)
    code, done = await console.command("replay", one, "--reason", "by command")
    assert (code, done["stopped_why"]) == (1, "canary-returned")
    (back,) = [x for x in await console.letters(text=id, state="waiting", consumer=MATCHING)]
    code, done = await console.command("discard", str(back["letter_id"]), "--reason", "by command")
    assert (code, done) == (0, {"discarded": 1})
    code, done = await console.command("discard", str(back["letter_id"]), "--reason", "no", "--undo")
    assert (code, done) == (2, done), "a reason has at least three characters"
    code, done = await console.command("discard", str(back["letter_id"]), "--reason", "back", "--undo")
    assert (code, done) == (0, {"restored": 1})
    queue = f"{STREAM}/reporting-erasures"
    code, done = await console.command("pause", queue, "--reason", "by command", "--minutes", "1")
    assert (code, done["paused"]) == (0, queue)
    code, done = await console.command("pause", queue, "--reason", "by command", "--resume")
    assert (code, done["resumed"]) == (0, queue)
    code, verdict = await console.command("verify")
    assert (code, verdict["breaks"]) == (0, [])
    acts = {e["act"] for e in await console.ask("GET", "/audit") if e["reason"] == "by command"}
    assert {"replay", "discard", "pause", "resume"} <= acts


async def test_4_an_alert_is_told_once_by_mail_and_webhook_when_it_begins_and_when_it_ends(console):
    """A message is in limbo: given up by the server, and no letter. A row of the console makes it so."""
    row = "insert into given_up values ($1, $2, 1, now() - interval '1 hour')"
    await console.rig.stack.sql("operations", row, "stranger-napping", STREAM, role="owner")
    async with a_consumer(console, "stranger-napping", "1256"):

        async def begun():
            now = (await console.ask("GET", "/alerts"))["open"]
            return next((a for a in now if a["rule"] == "limbo"), None)

        alert = await eventually(begun)
        assert alert["target"] == f"{STREAM}/stranger-napping"
        await console.ask("POST", f"/alerts/{alert['alert_id']}/seen")
        code, _ = await console.command("ls")
        assert code == 1, "a message in limbo is never well"
        await console.rig.stack.sql(
            "operations", "delete from given_up where consumer = 'stranger-napping'", role="owner"
        )

        async def over():
            ended = (await console.ask("GET", "/alerts"))["ended"]
            return [a for a in ended if a["alert_id"] == alert["alert_id"]]

        (ended,) = await eventually(over)
        assert ended["seen_by"] == "anna"

    async def told():
        posts = [p for p in console.hook.verified(HOOK_SECRET) if p["data"]["rule"] == "limbo"]
        mails = [m for m in console.rig.stack.mails("operations@localhost") if "limbo" in m["Subject"]]
        return (posts, mails) if len(posts) >= 2 and len(mails) >= 2 else None

    posts, mails = await eventually(told, 30)
    assert [p["type"] for p in posts] == ["alert.began", "alert.ended"]
    assert [p["data"]["target"] for p in posts] == [f"{STREAM}/stranger-napping"] * 2
    assert len(mails) == 2
    assert mails[0]["Subject"].startswith("Larm: Meddelanden i limbo / Alert: Messages in limbo")
    runbook = posts[0]["data"]["runbook"]
    headers = {"authorization": f"Bearer {console.token()}"}
    async with httpx.AsyncClient() as client:
        page = await client.get(runbook, headers=headers)
        assert page.status_code == 200
        for rule in RULES:
            assert (await client.get(f"{console.url}/runbooks/{rule}", headers=headers)).status_code == 200


DASHBOARDS = sorted((Path(__file__).parents[2] / "deploy/grafana").glob("*.json"))


async def test_4_every_query_of_the_dashboards_names_a_metric_that_is_there(console):
    """Dashboards are data: each query's metrics are among those that the running services tell."""
    known = set()
    async with httpx.AsyncClient() as client:
        for url in console.rig.stack.running["services"].values():
            text = (await client.get(f"{url}/health/metrics")).text
            known |= set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
            known |= set(re.findall(r"^([a-z_]+)[{ ]", text, re.MULTILINE))
    assert {"jetstream_consumer_num_pending", "jetstream_stream_total_messages"} <= known
    assert DASHBOARDS
    for path in DASHBOARDS:
        board = json.loads(path.read_text())
        queries = [t["expr"] for panel in board["panels"] for t in panel.get("targets", ())]
        assert queries
        for query in queries:
            bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\bby\s*\([^)]*\)", "", query)
            names = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", bare)) - {"histogram_quantile"}
            assert names, query
            assert names <= known, f"{path.name}: {query} names {names - known}"


# 5. Who may


def routes():
    for router in ROUTERS:
        for route in router.routes:
            guards = [d.call for d in route.dependant.dependencies]
            guard = next((g for g in guards if hasattr(g, "roles")), None)
            for method in sorted(route.methods - {"HEAD"}):
                yield method, route.path, guard


FILL = {
    "stream": STREAM, "consumer": "nobody", "letter_id": "999999999", "replay_id": str(uuids.uuid7()),
    "alert_id": str(uuids.uuid7()), "seq": "1", "rule": "age", "name": "nobody", "act": "begin",
}  # fmt: skip


@pytest.mark.parametrize("role", ["", *ALL, "coordinator"])
async def test_5_every_route_by_role(console, role):
    """401 for nobody, 403 for a role that may not, and never a 500."""
    headers = {"authorization": f"Bearer {console.token(role, subject='role')}"} if role else {}
    walked = 0
    async with httpx.AsyncClient(timeout=30) as client:
        for method, path, guard in routes():
            address = console.url + re.sub(r"\{(\w+)\}", lambda m: FILL[m[1]], path)
            if guard is None:
                continue
            async with client.stream(method, address, headers=headers) as answered:
                status = answered.status_code
            where = f"{method} {path} as {role or 'nobody'}"
            if not role:
                is_page = not path.startswith(("/api", "/live"))
                assert status == (303 if is_page else 401), where
            elif role not in guard.roles:
                assert status == 403, where
            else:
                assert status not in (401, 403, 500), where
            walked += 1
    assert walked > 40


async def test_5_a_change_that_another_site_asks_for_is_refused(console):
    """By cookie; a program's token is its own."""
    cookie = await logged_in(console)
    async with httpx.AsyncClient(base_url=console.url) as client:
        for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {}):
            answered = await client.post(
                "/forget", data={"name": "nobody"}, headers=headers | {"cookie": cookie}
            )
            assert answered.status_code == 403, headers
        ours = {"sec-fetch-site": "same-origin", "cookie": cookie}
        assert (await client.post("/forget", data={"name": "nobody"}, headers=ours)).status_code == 303


async def logged_in(console, roles=" ".join(ALL)):
    """The cookie of somebody who has logged in by the issuer's page, code and PKCE."""
    async with httpx.AsyncClient(base_url=console.url) as client:
        sent = await client.get("/login", params={"then": "/letters"})
        page = sent.headers["location"]
        step = sent.headers["set-cookie"].split(";")[0]
        asked = dict(httpx.URL(page).params)
        answered = await client.post(
            page.split("?")[0], data=asked | {"name": "anna", "roles": roles}, headers={}
        )
        back = answered.headers["location"]
        wrong = await client.get(back)
        assert wrong.status_code == 303, "without the cookie it began with, nobody comes in"
        home = await client.get(back, headers={"cookie": step})
        assert home.headers["location"] == "/letters"
        cookies = home.headers.get_list("set-cookie")
        session = next(c for c in cookies if c.startswith("__Host-operations="))
        for word in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
            assert word in session
        return session.split(";")[0]


async def test_5_a_code_is_good_once_and_only_for_who_asked(console):
    async with httpx.AsyncClient(base_url=console.url) as client:
        sent = await client.get("/login")
        step = sent.headers["set-cookie"].split(";")[0]
        page = sent.headers["location"]
        asked = dict(httpx.URL(page).params) | {"name": "anna", "roles": "admin"}
        back = (await client.post(page.split("?")[0], data=asked)).headers["location"]
        first = await client.get(back, headers={"cookie": step})
        assert first.status_code == 303
        assert first.headers["location"] == "/"
        again = await client.get(back, headers={"cookie": step})
        assert again.headers["location"].startswith("/login"), "spent"
        evil = await client.get("/login", params={"then": "//evil.example"})
        assert evil.status_code == 303
        url = f"{console.rig.stack.running['issuer']}/authorize"
        told = await client.post(url, data=asked | {"redirect_uri": "https://evil.example/"})
        assert told.status_code == 403
