"""What the console does on a running stack: replay, discard, edit, pause, and the audit of it."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import asyncpg
import pytest
import uuid_utils.compat as uuids

from kompetensnav_chassis.testing import eventually
from support.console import (
    MATCHING,
    STREAM,
    a_consumer,
    died,
    fetched,
    replays_of,
    slot,
)

pytestmark = [pytest.mark.real, pytest.mark.slow]


async def test_a_replay_goes_to_the_failing_consumer_only_as_the_same_event(console):
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


async def test_the_canary_stops_a_replay_whose_cause_is_not_mended(console):
    began = datetime.now(UTC).isoformat()
    mine = {"consumer": MATCHING, "reason": "bad-json", "since": began}
    for _ in range(15):
        await console.tell("1256", b"{still no json")

    async def there():
        return len(await console.dead_letters(**mine, state="waiting")) >= 15

    await eventually(there)
    found = await console.replayed(mine)
    assert (found["state"], found["stopped_why"]) == ("stopped", "canary-returned")
    outcomes = found["outcomes"]
    assert outcomes["left"] >= 5, "the rest was not sent"
    assert outcomes.get("returned", 0) + outcomes.get("sent", 0) == 10
    failed_again = [n for n in await console.dead_letters(**mine, state="waiting") if n["came_of"]]
    assert failed_again, "what came back is marked"
    origin = await console.ask("GET", f"/dead-letters/{failed_again[0]['came_of']}")
    assert origin["dead_letter"]["state"] == "returned", "history is kept"


async def test_f18_two_operators_and_a_kill_leave_one_effect_per_event(console):
    """Two operators replay the same forty dead letters at once, and the console is killed between taking a
    dead letter and sending it, and again between sending it and writing that down."""
    async with console.faulty("4396"):
        ids = {await console.tell("1257", occupation="4396") for _ in range(40)}
        await eventually(lambda: died(console, ids), 60)
    dead_letters = [x for x in await console.dead_letters(consumer=MATCHING) if x["event_id"] in ids]
    chosen = {"ids": [dead_letter["dead_letter_id"] for dead_letter in dead_letters]}
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
    again = {"dead_letters": chosen, "reason": "once more"}
    plan = await console.ask("POST", "/replays", json=again)
    assert (plan["eligible"], plan["hindered"]) == (0, {"already": 40}), "a stale page cannot replay again"
    await console.ask("POST", f"/replays/{plan['replay_id']}/begin", status=409)


async def test_a_discard_needs_a_reason_and_can_be_undone(console):
    id = await console.tell("1256", b"not json to be put away")
    (dead_letter,) = await console.dead_letters(1, text=id, consumer=MATCHING)
    chosen = {"ids": [dead_letter["dead_letter_id"]]}
    await console.ask(
        "POST", "/dead-letters/discard", json={"dead_letters": chosen, "reason": ""}, status=422
    )
    done = await console.ask(
        "POST", "/dead-letters/discard", json={"dead_letters": chosen, "reason": "test data"}
    )
    assert done == {"discarded": 1}
    (shown,) = await console.dead_letters(text=id, state="discarded")
    assert (shown["why"], shown["settled_by"]) == ("test data", "anna")
    again = await console.ask(
        "POST", "/dead-letters/discard", json={"dead_letters": chosen, "reason": "test data"}
    )
    assert again == {"discarded": 0}, "what is dealt with is left alone"
    old = "update dead_letter set settled_at = now() - interval '31 days' where dead_letter_id = $1"
    await console.rig.stack.sql("operations", old, dead_letter["dead_letter_id"], role="owner")
    back = {"dead_letters": chosen | {"state": "discarded"}, "reason": "a mistake"}
    assert await console.ask("POST", "/dead-letters/restore", json=back) == {"restored": 0}, "too late"
    old = "update dead_letter set settled_at = now() - interval '29 days' where dead_letter_id = $1"
    await console.rig.stack.sql("operations", old, dead_letter["dead_letter_id"], role="owner")
    assert await console.ask("POST", "/dead-letters/restore", json=back) == {"restored": 1}
    (shown,) = await console.dead_letters(text=id, consumer=MATCHING)
    assert (shown["state"], shown["why"]) == ("waiting", None)


async def test_an_edit_makes_a_new_event_caused_by_the_original(console):
    payload = slot(seats="three")
    id = await console.tell("1256", json.dumps(payload).encode())
    (dead_letter,) = await console.dead_letters(1, text=id, consumer=MATCHING)
    at = f"/dead-letters/{dead_letter['dead_letter_id']}"
    for body, where in (
        ("{", "line 1"),
        (json.dumps(payload), "seats"),
        (json.dumps(slot(sheets=1)), "sheets"),
    ):
        edited = {"body": body, "reason": "a number"}
        refused = await console.ask("POST", f"{at}/correct", json=edited, status=422)
        assert where in json.dumps(refused["errors"])
    original = await console.ask("POST", f"{at}/reveal")
    mended = {"body": json.dumps(payload | {"seats": 3}), "reason": "seats is a number"}
    await console.ask("POST", f"{at}/correct", json=mended, roles=("operator",), status=403)
    plan = await console.ask("POST", f"{at}/correct", json=mended, roles=("corrector",))
    await console.ask("POST", f"/replays/{plan['replay_id']}/begin")
    assert (await console.ended(plan["replay_id"]))["outcomes"] == {"handled": 1}
    rows = await console.rig.stack.sql(
        "matching", "select seats from open_slot where slot_id = $1", uuids.UUID(payload["slot_id"])
    )
    assert [row["seats"] for row in rows] == [3]
    (entry,) = await console.rig.stack.sql(
        "operations", "select detail from audit where act = 'correct' and target = $1", at[1:].replace(
            "dead-letters/", "dead letter "
        )
    )  # fmt: skip
    detail = json.loads(entry["detail"])
    assert detail["paths"] == ["/seats"]
    assert detail["event"] != id
    sent = await replays_of(console, {detail["event"]})
    assert sent == [detail["event"]]
    assert await console.ask("POST", f"{at}/reveal") == original, "the original stays as it was"


async def test_a_consumer_is_paused_until_a_time_and_goes_on_by_itself(console):
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


async def test_the_audit_is_whole_and_has_what_was_denied(console):
    asked = {"dead_letters": {"consumer": "x"}, "reason": "I may not"}
    denied = await console.ask(
        "POST", "/dead-letters/discard", json=asked, roles=("viewer",), subject="eva", status=403
    )
    assert denied["type"].endswith("forbidden")
    (newest, *_) = await console.ask("GET", "/audit")
    assert (newest["act"], newest["actor"], newest["result"]) == ("denied", "eva", "denied")
    assert newest["target"] == "POST /api/dead-letters/discard"

    async def whole():
        verdict = await console.ask("GET", "/audit/verify")
        assert verdict["breaks"] == []
        return verdict["entries"] == verdict["anchored"] > 0

    await eventually(whole)


TAMPERS = 25


async def test_whoever_tampers_with_the_audit_in_the_database_is_found_out(console):
    """The trigger keeps everybody from it; here its owner takes the trigger away. (Five hundred tamperings
    with the chain itself are tried in the console's own tests.)"""
    urls = json.loads(Path(console.rig.stack.running["databases"]).read_text())["operations"]
    app = await asyncpg.connect(urls["app"])
    for statement in ("update audit set reason = ''", "delete from audit"):
        with pytest.raises(asyncpg.PostgresError, match=r"only added to|permission denied"):
            await app.execute(statement)
    await app.close()
    while len(await console.ask("GET", "/audit")) < 8:
        await console.ask(
            "POST", "/dead-letters/discard", json={"dead_letters": {"text": "nothing"}, "reason": "fill"}
        )
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
