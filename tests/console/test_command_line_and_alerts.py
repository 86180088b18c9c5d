"""The console by command line, alert and metric."""

import asyncio
import json
import re
from pathlib import Path

import httpx
import pytest

from kompetensnav_chassis.testing import eventually
from kompetensnav_operations.domain.alerts import RULES
from support.console import (
    HOOK_SECRET,
    MATCHING,
    STREAM,
    a_consumer,
)

pytestmark = [pytest.mark.real, pytest.mark.slow]


async def test_a_replay_beside_the_console_is_refused_while_it_runs(console):
    done = await asyncio.to_thread(console.rig.stack.run, "care", "replay", MATCHING)
    assert done.returncode == 2
    assert "kompetensnav ops replay" in done.stderr
    assert "audit log" in done.stderr


async def test_the_command_line_does_the_same_with_the_same_audit(console):
    code, found = await console.command("ls")
    assert (code, MATCHING in {q["name"] for q in found["queues"]}) == (0, True)
    id = await console.tell("1256", b"by command")
    (dead_letter,) = await console.dead_letters(1, text=id, consumer=MATCHING)
    code, found = await console.command("dead", "--text", id)
    assert dead_letter["dead_letter_id"] in {each["dead_letter_id"] for each in found["items"]}
    code, groups = await console.command("dead", "--groups", "--consumer", MATCHING)
    assert sum(group["dead_letters"] for group in groups) >= 1
    one = str(dead_letter["dead_letter_id"])
    code, plan = await console.command("replay", one, "--reason", "by command", "--plan")
    assert (code, plan["eligible"]) == (0, 1)
    code, done = await console.command("replay", one, "--reason", "by command")
    assert (code, done["stopped_why"]) == (1, "canary-returned")
    (back,) = [x for x in await console.dead_letters(text=id, state="waiting", consumer=MATCHING)]
    code, done = await console.command("discard", str(back["dead_letter_id"]), "--reason", "by command")
    assert (code, done) == (0, {"discarded": 1})
    code, done = await console.command("discard", str(back["dead_letter_id"]), "--reason", "no", "--undo")
    assert (code, done) == (2, done), "a reason has at least three characters"
    code, done = await console.command("discard", str(back["dead_letter_id"]), "--reason", "back", "--undo")
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


async def test_an_alert_is_told_once_by_mail_and_webhook_when_it_begins_and_when_it_ends(console):
    """A message is in limbo: given up by the server, and no dead letter. A row of the console makes it so."""
    console.hook.got.clear()
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
        mails = [m for m in console.rig.stack.mails("operations@localhost") if "fastnat" in m["Subject"]]
        return (posts, mails) if len(posts) >= 2 and len(mails) >= 2 else None

    posts, mails = await eventually(told, 30)
    assert [p["type"] for p in posts] == ["alert.began", "alert.ended"]
    assert [p["data"]["target"] for p in posts] == [f"{STREAM}/stranger-napping"] * 2
    assert len(mails) == 2
    assert mails[0]["Subject"].startswith("Larm: Meddelanden har fastnat / Alert: Stuck messages")
    runbook = posts[0]["data"]["runbook"]
    headers = {"authorization": f"Bearer {console.token()}"}
    async with httpx.AsyncClient() as client:
        page = await client.get(runbook, headers=headers)
        assert page.status_code == 200
        for rule in RULES:
            assert (await client.get(f"{console.url}/runbooks/{rule}", headers=headers)).status_code == 200


DASHBOARDS = sorted((Path(__file__).parents[2] / "deploy/grafana").glob("*.json"))


async def test_every_query_of_the_dashboards_names_a_metric_that_is_there(console):
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
