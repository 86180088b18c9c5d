"""The chassis: identity, scope, health, delivery under failure, all on real servers."""

import contextlib
import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import import_module
from itertools import product

import asyncpg
import httpx
import pytest
import uuid_utils.compat as uuids
from nats.errors import NoRespondersError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamConfig
from nats.js.errors import NotFoundError

from kompetensnav_chassis import streams
from kompetensnav_chassis.identity import May
from kompetensnav_chassis.retry import dead_letter
from kompetensnav_chassis.testing import eventually, headers_of
from kompetensnav_contracts import subject
from kompetensnav_contracts.events.registry import SlotPosted, SlotWithdrawn
from kompetensnav_embedded.stack import SERVICES

pytestmark = pytest.mark.real

ROLES = (
    "coordinator", "guidance_counsellor", "case_worker", "partner", "funder", "operator", "admin", "",
)  # fmt: skip
REACH = {
    "own": ("2580", ("2580",)),
    "other": ("2580", ("2581",)),
    "none": ("2580", ()),
    "unknown": ("9999", ("2580",)),
}
ADMINISTRATIONS = {"own": ("school",), "other": ("social",), "none": ()}


def routes():
    """(service, method, path, who may) of every guarded route."""
    for service in SERVICES:
        for router in import_module(f"kompetensnav_{service}.main").ROUTERS:
            for route in router.routes:
                calls = [d.call for d in route.dependant.dependencies]
                may = next((c for c in calls if isinstance(c, May)), None)
                if may:
                    for method in route.methods:
                        yield service, method, route.path, may


def address(path, municipality):
    """The path with harmless values in its places."""
    fill = {"kind": "slots", "decision": "pin", "step": "start", "administration": "school"}
    parts = []
    for part in path.split("/"):
        name = part.strip("{}")
        parts.append(
            part
            if name == part
            else municipality
            if name == "municipality"
            else fill.get(name, str(uuids.uuid7()))
        )
    return "/".join(parts)


class Walker:
    """One of those who try every route: each on its own, with a connection of its own to each service."""

    def __init__(self, stack):
        self.urls, self.connections = stack.running["services"], {}
        self.token = stack.token

    def ask(self, service, method, path, token=None):
        """(status, content type, body)."""
        if service not in self.connections:
            netloc = httpx.URL(self.urls[service]).netloc.decode()
            self.connections[service] = http.client.HTTPConnection(netloc, timeout=30)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.connections[service].request(method, path, headers=headers)
        answered = self.connections[service].getresponse()
        return answered.status, answered.headers.get("content-type"), answered.read()

    def walk(self, service, method, path, may):
        """A route by everybody; how many tried."""
        told, _, _ = self.ask(service, method, address(path, "2580"))
        assert told == 401, f"{method} {path} without a token"
        everybody = list(product(ROLES, REACH, ADMINISTRATIONS))
        for role, reach, administration in everybody:
            municipality, reached = REACH[reach]
            token = self.token(role, municipalities=reached, administrations=ADMINISTRATIONS[administration])
            told, kind, body = self.ask(service, method, address(path, municipality), token)
            where = f"{service} {method} {path} as {role or 'nobody'}, {reach} municipality, {administration}"
            if reach == "unknown":
                assert told == 404, where
            elif reach != "own" or (may.roles and role not in may.roles):
                assert told == 403, where
            else:
                assert told not in (401, 500, 503), f"{where}: {body}"
                if told == 403:
                    slug = json.loads(body)["type"].rpartition(":")[2]
                    assert administration != "own" or slug != "forbidden", where
            if told >= 400:
                assert kind == "application/problem+json", where
        return len(everybody)


def test_every_route_by_role_municipality_and_administration(stack):
    """No surprise: 401 without a token, 404 for what does not exist, 403 outside the token's reach or role,
    and never a 500. Eight routes at a time."""
    mine = threading.local()

    def walk(route):
        if not hasattr(mine, "walker"):
            mine.walker = Walker(stack)
        return mine.walker.walk(*route)

    with ThreadPoolExecutor(8) as pool:
        walked = sum(pool.map(walk, routes()))
    assert walked > 2000


@pytest.mark.parametrize(
    "token",
    ["x y", "x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."],
)
async def test_a_bad_token_is_refused(stack, token):
    url = f"{stack.running['services']['registry']}/2580/slots"
    answered = httpx.get(url, headers={"authorization": f"Bearer {token}"})
    assert answered.status_code == 401
    assert answered.json()["type"] == "urn:kompetensnav:problem:unauthorised"


async def test_another_administration_sees_no_learner_and_an_everyone_claim_is_refused(stack, towns):
    town = towns("2313")
    town.employers()
    town.learner("a")
    own = stack.call("GET", "registry", "/2313/learners")
    other = stack.call("GET", "registry", "/2313/learners", administrations=("social",))
    assert (own["total"], other["total"]) == (1, 0)
    everyone = stack.token("coordinator", municipalities=("2313",), administrations=("*",))
    url = f"{stack.running['services']['registry']}/2313/learners"
    assert httpx.get(url, headers={"authorization": f"Bearer {everyone}"}).status_code == 401


async def test_health_says_ready_and_metrics_count(stack):
    for url in stack.running["services"].values():
        assert httpx.get(f"{url}/health/live").json() == {"status": "live"}
        assert httpx.get(f"{url}/health/ready").json()["faults"] == {}
    metrics = httpx.get(f"{stack.running['services']['matching']}/health/metrics").text
    assert "faststream_received_messages_total" in metrics


def a_slot(**more):
    """A slot.posted event as the registry would tell it."""
    return SlotPosted(
        **{
            "slot_id": uuids.uuid7(), "workplace_id": uuids.uuid7(), "employer_id": uuids.uuid7(),
            "placement_type": "apl", "occupation": "5321", "starts_on": "2027-02-01", "ends_on": "2027-03-26",
            "seats": 2, "locality": "lulea",
        }
        | more
    )  # fmt: skip


async def publish(stack, event, municipality="2321", msg_id=None, **envelope):
    """Publishes as the registry's user; returns the headers."""
    connection = await stack.nats("registry")
    headers = headers_of(event, municipality=municipality, source="urn:kompetensnav:registry", **envelope)
    headers["Nats-Msg-Id"] = msg_id or headers["ce-id"]
    await connection.jetstream().publish(
        subject(event, municipality), event.model_dump_json().encode(), headers=headers
    )
    await connection.close()
    return headers


async def slot_row(stack, slot_id):
    rows = await stack.sql("matching", "select * from open_slot where slot_id = $1", slot_id)
    return rows[0] if rows else None


async def test_a_duplicate_has_one_effect_even_beyond_the_servers_own_window(stack):
    event = a_slot()
    headers = await publish(stack, event)
    again = await publish(stack, event, id=headers["ce-id"], msg_id="a-second-delivery")
    assert headers["ce-id"] == again["ce-id"]

    async def both_handled():
        care = await stack.nats()
        infos = await care.jetstream().consumers_info("INT_LOCAL")
        await care.close()
        return all(not i.num_pending and not i.num_ack_pending for i in infos if i.config.durable_name)

    await eventually(lambda: slot_row(stack, event.slot_id))
    await eventually(both_handled)
    (row,) = await stack.sql(
        "reporting", "select count(*), sum(number) from fact where thing_id = $1", event.slot_id
    )
    assert (row["count"], row["sum"]) == (1, 2)


async def test_an_older_revision_that_comes_late_is_ignored(stack):
    event = a_slot(seats=5)
    await publish(stack, event, revision=3)
    await eventually(lambda: slot_row(stack, event.slot_id))
    await publish(stack, event.model_copy(update={"seats": 9}), revision=2)
    marker = a_slot()
    await publish(stack, marker)
    await eventually(lambda: slot_row(stack, marker.slot_id))
    assert (await slot_row(stack, event.slot_id))["seats"] == 5


async def test_a_withdrawal_before_its_posting_still_wins(stack):
    event = a_slot()
    gone = SlotWithdrawn(
        slot_id=event.slot_id, placement_type="apl", occupation="5321", starts_on="2027-02-01", seats=2
    )
    await publish(stack, gone, revision=2)
    await eventually(lambda: slot_row(stack, event.slot_id))
    await publish(stack, event, revision=1)
    marker = a_slot()
    await publish(stack, marker)
    await eventually(lambda: slot_row(stack, marker.slot_id))
    assert (await slot_row(stack, event.slot_id))["withdrawn"] is True


async def dead_letter_of(js, seq, consumer):
    """The dead letter of a message, if there is one."""
    state = (await js.stream_info("DEAD_LOCAL")).state
    for n in range(max(1, state.first_seq), state.last_seq + 1):
        found = await js.get_msg("DEAD_LOCAL", n, direct=True)
        about = found.headers or {}
        if about.get("Kn-Dead-Seq") == str(seq) and about["Kn-Dead-Consumer"] == consumer:
            return found
    return None


async def test_a_death_is_another_when_the_stream_was_made_anew(stack):
    """Told again it is the same; of a message stored at another time, at that place, it is another."""
    connection = await stack.nats("matching")
    about = {"stack": "local", "subject": "nav.2321.int.x", "stream": "INT_LOCAL", "seq": 987_654_321,
             "consumer": "matching-registry", "deliveries": 1, "reason": "made", "error": "made",
             "data": b"{}", "headers": {}}  # fmt: skip
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    care = await stack.nats()

    async def count():
        return (await care.jetstream().stream_info("DEAD_LOCAL")).state.messages

    before = await count()
    about["headers"] = {"app/version": "a name that the client does not send"}
    for stored in (early, early, late):
        await dead_letter(connection, stored=stored, **about)
    assert await count() - before == 2
    await connection.close()
    await care.close()


POISON = {
    "bad-json": (b"{", {}),
    "bad-payload": (b'{"slot_id": 5}', {}),
    "unknown-version": (b"{}", {"ce-type": "registry.slot.posted.v9"}),
    "bad-envelope": (b"{}", {"ce-specversion": "0.3"}),
}


@pytest.mark.parametrize("reason", POISON)
async def test_poison_becomes_a_dead_letter_at_once_and_the_queue_goes_on(stack, reason):
    body, changed = POISON[reason]
    event = a_slot()
    connection = await stack.nats("registry")
    headers = headers_of(event, municipality="2321") | changed | {"Nats-Msg-Id": str(uuids.uuid7())}
    ack = await connection.jetstream().publish(subject(event, "2321"), body, headers=headers)
    await connection.close()
    care = await stack.nats()
    js = care.jetstream()

    found = await eventually(lambda: dead_letter_of(js, ack.seq, "matching-registry"))
    assert found.headers["Kn-Dead-Reason"] == reason
    assert found.headers["Kn-Dead-Deliveries"] == "1"
    assert found.headers["Kn-Dead-In"] == "local"
    assert "InvalidMessage at work.py" in found.headers["Kn-Dead-Stack"]
    assert found.data == body
    marker = a_slot()
    await publish(stack, marker)
    await eventually(lambda: slot_row(stack, marker.slot_id))
    await care.close()


async def test_a_lost_commit_is_told_again_and_nothing_is_told_that_was_not_committed(stack):
    """The database refuses the first commits of a handler: the message comes again, and has one effect."""
    event = a_slot()
    owner = json.loads((stack.folder / "databases.json").read_text())["matching"]["owner"]
    connection = await asyncpg.connect(owner)
    # a deferred trigger fails at the commit itself, after everything else has gone well
    await connection.execute(
        "create sequence if not exists lost_commits;"
        "create or replace function lose_commit() returns trigger language plpgsql as $$ begin"
        " if nextval('lost_commits') <= 2 then raise exception 'lost'; end if; return null; end $$;"
        "grant usage on sequence lost_commits to matching_app;"
        "create constraint trigger lose after insert on open_slot deferrable initially deferred"
        f" for each row when (new.slot_id = '{event.slot_id}') execute function lose_commit()"
    )
    try:
        await publish(stack, event)
        await eventually(lambda: slot_row(stack, event.slot_id), 30)
        tries = await connection.fetchval(
            "select attempts from inbox where consumer = 'matching-registry' and handled_at is not null"
            " order by attempts desc limit 1"
        )
        assert tries >= 1
    finally:
        await connection.execute(
            "drop trigger lose on open_slot; drop function lose_commit; drop sequence lost_commits"
        )
        await connection.close()


async def test_a_message_nobody_ever_answers_is_collected_as_a_dead_letter(stack):
    """A listener that takes a message and never answers, as one does that crashes each time. The server then
    tells no more than an advisory, and the services make the dead letter of it."""
    event = a_slot()
    headers = await publish(stack, event, municipality="2321")
    topology = await stack.nats("topology")
    js = topology.jetstream()
    config = ConsumerConfig(
        durable_name="crashing", filter_subject=subject(event, "2321"), ack_policy=AckPolicy.EXPLICIT,
        ack_wait=0.3, max_deliver=3, deliver_policy=DeliverPolicy.LAST,
    )  # fmt: skip
    await js.add_consumer("INT_LOCAL", config)
    subscription = await js.pull_subscribe_bind("crashing", "INT_LOCAL")
    taken = [await subscription.fetch(1, timeout=5) for _ in range(3)]
    assert {m.headers["ce-id"] for (m,) in taken} == {headers["ce-id"]}
    care = await stack.nats()
    seq = taken[0][0].metadata.sequence.stream
    with contextlib.suppress(TimeoutError):  # the fourth is never delivered: the server gives up and tells
        await subscription.fetch(1, timeout=1)
    found = await eventually(lambda: dead_letter_of(care.jetstream(), seq, "crashing"), 40)
    assert (found.headers["Kn-Dead-Reason"], found.headers["Kn-Dead-Deliveries"]) == ("max-deliveries", "3")
    assert found.headers["ce-id"] == headers["ce-id"]
    await js.delete_consumer("INT_LOCAL", "crashing")
    await care.close()
    await topology.close()


async def test_a_consumer_that_no_service_listens_with_is_removed_and_a_foreign_one_is_not(stack):
    topology = await stack.nats("topology")
    js = topology.jetstream()
    try:
        for name, metadata in (("old-listener", {"kompetensnav.hash": "0"}), ("foreign", None)):
            config = ConsumerConfig(
                durable_name=name, filter_subjects=["nav.*.int.registry.gone.v1"], metadata=metadata,
                ack_policy=AckPolicy.EXPLICIT,
            )  # fmt: skip
            await js.add_consumer("INT_LOCAL", config)
        assert "remove" in stack.topology("apply", "--plan")
        assert "old-listener" in stack.topology("apply")
        left = {c.name for c in await js.consumers_info("INT_LOCAL")}
        assert "foreign" in left
        assert "old-listener" not in left
        assert "nothing to change" in stack.topology("apply", "--plan")
        await js.delete_consumer("INT_LOCAL", "foreign")
    finally:
        await topology.close()


async def test_nats_acknowledges_only_what_is_on_disk_and_durables_are_as_the_topology_says(stack):
    monitor = stack.running["monitor"]
    told = httpx.get(
        f"{monitor}/jsz", params={"config": "true", "consumers": "true", "accounts": "true"}
    ).json()
    assert told["config"]["sync_always"] is True
    streams = {s["name"]: s for a in told["account_details"] for s in a["stream_detail"]}
    for name in ("INT_LOCAL", "PUB_LOCAL", "FED_LOCAL"):
        config = streams[name]["config"]
        assert (config["storage"], config["discard"], config["retention"]) == ("file", "new", "limits")
        assert config["duplicate_window"] == 600 * 10**9
    durables = {c["name"]: c["config"] for c in streams["INT_LOCAL"]["consumer_detail"] if "name" in c}
    assert durables["matching-registry"]["ack_policy"] == "explicit"
    assert durables["matching-registry"]["max_ack_pending"] == 1000
    assert "replay.int.matching-registry.>" in durables["matching-registry"]["filter_subjects"]


async def test_a_trace_goes_from_the_request_through_the_event(stack, towns):
    town = towns("0163")
    town.employers()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    workplace = stack.call("GET", "registry", "/0163/workplaces")["items"][0]["workplace_id"]
    slot = {"workplace_id": workplace, "placement_type": "apl", "occupation": "5321", "seats": 1,
            "starts_on": "2027-02-01", "ends_on": "2027-03-01"}  # fmt: skip
    stack.call("POST", "registry", "/0163/slots", json=slot, headers={"traceparent": trace}, status=201)
    rows = await stack.sql(
        "registry", "select headers from outbox where subject = 'nav.0163.int.registry.slot.posted.v1'"
    )
    assert [json.loads(r["headers"])["traceparent"] for r in rows] == [trace]


async def test_an_event_is_told_only_when_its_transaction_commits(stack, towns):
    town = towns("2326")
    town.employers()
    before = await stack.sql("registry", "select count(*) from outbox where subject like 'nav.2326.%'")
    refused = stack.call(
        "POST", "registry", "/2326/imports/slots", status=422, content=b"ref,workplace\nx,unknown\n",
        headers={"content-type": "text/csv"},
    )  # fmt: skip
    assert refused["type"] == "urn:kompetensnav:problem:bad-rows"
    after = await stack.sql("registry", "select count(*) from outbox where subject like 'nav.2326.%'")
    assert before == after


async def test_a_message_that_calls_itself_the_end_is_read_like_any_other(stack):
    """The server ends an answer with a header `Status`, and anybody may give a message one."""
    topology, care, replay = [await stack.nats(user) for user in ("topology", "care", "replay")]
    js, teller = topology.jetstream(), replay.jetstream()
    await js.add_stream(StreamConfig(name="TRIAL", subjects=["replay.trial.>"], allow_direct=True))
    try:
        for n, status in enumerate(("", "404", "503", "", "204", "")):
            headers = {"Status": status} if status else {}
            await teller.publish(f"replay.trial.{n % 2}", str(n).encode(), headers=headers)
        await js.delete_msg("TRIAL", 4)

        async def read(*filters, most=2):
            batches = streams.batches(care, "TRIAL", filters, most)
            return [(message.seq, message.data) async for batch in batches for message in batch]

        there = [(1, b"0"), (2, b"1"), (3, b"2"), (5, b"4"), (6, b"5")]
        assert (
            await read()
            == await read("replay.trial.1", "replay.trial.0")
            == await read("replay.trial.*", "replay.trial.1")
            == there
        )
        assert await read("replay.trial.1") == [(2, b"1"), (6, b"5")]
        found = [await streams.message(care, "TRIAL", seq) for seq in (1, 2, 3, 4, 5, 6)]
        assert [each and each.seq for each in found] == [1, 2, 3, None, 5, 6]
        await js.purge_stream("TRIAL")
        assert await read() == await read("replay.trial.1") == []
        with pytest.raises(NoRespondersError):
            await streams.message(care, "NOWHERE", 1)
    finally:
        await js.delete_stream("TRIAL")
        for connection in (topology, care, replay):
            await connection.close()


async def test_a_service_cannot_speak_for_another_nor_make_consumers(stack):
    from nats.errors import TimeoutError as NoAnswer

    connection = await stack.nats("reporting")
    js = connection.jetstream()
    with pytest.raises(NoAnswer):
        await js.publish(subject(a_slot(), "2321"), b"{}", timeout=1)
    with pytest.raises(NoAnswer):
        await connection.request("$JS.API.STREAM.PURGE.INT_LOCAL", b"", timeout=1)
    with pytest.raises(NoAnswer):
        await connection.request("ask.2321.registry.contact", b"{}", timeout=1)
    await connection.close()


async def test_a_question_is_answered_by_an_endpoint_that_is_listed_and_a_bad_one_at_once(stack):
    """What is told of a question that fails is its kind, never what it held."""
    operator, asker = await stack.nats("operations"), await stack.nats("notifications")
    answers = await operator.subscribe(inbox := operator.new_inbox())
    await operator.publish("$SRV.STATS", reply=inbox)
    registry: dict = {}
    while registry.get("name") != "registry":
        registry = json.loads((await answers.next_msg(timeout=5)).data)
    listed = {endpoint["name"]: endpoint["subject"] for endpoint in registry["endpoints"]}
    assert listed == {"health": "health.registry", "contact": "ask.*.registry.contact"}
    answered = await asker.request("ask.2326.registry.contact", b'{"questions": "Anna"}', timeout=5)
    assert answered.headers["Nats-Service-Error-Code"] == "500"
    assert "Anna" not in str(answered.headers) + str(answered.data)
    for connection in (operator, asker):
        await connection.close()


SAFE = {
    "strict-transport-security": "max-age=63072000", "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer", "x-frame-options": "DENY", "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}  # fmt: skip


@pytest.mark.parametrize("service", SERVICES)
def test_every_answer_keeps_a_browser_safe(stack, service):
    """Well or refused, for a person or a program, in time or too large."""
    url = stack.running["services"][service]
    for answer in (
        httpx.get(f"{url}/health/live"),
        httpx.get(f"{url}/2580/slots"),
        httpx.get(f"{url}/nowhere"),
        httpx.get(f"{url}/login"),
        httpx.post(f"{url}/answer/x", content=b"x" * 70_000),
    ):
        found = {name: answer.headers.get(name) for name in SAFE}
        assert found == SAFE, answer
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


async def test_no_answer_goes_where_events_are(stack, towns):
    """The registry may tell in its own name, so that nobody but itself can keep an answer, which may hold an
    address, from being stored as an event of its own: it answers into inboxes only."""
    town = towns("2326")
    town.employers()
    workplace = stack.call("GET", "registry", "/2326/workplaces")["items"][0]["workplace_id"]
    asker, topology = await stack.nats("notifications"), await stack.nats("topology")
    js, reply = topology.jetstream(), "nav.2326.pub.registry.contact.answered.v1"
    wanted = {"party": "employer", "workplace_id": workplace, "round_id": str(uuids.uuid7())}
    question = json.dumps({"questions": [wanted]}).encode()
    await asker.publish("ask.2326.registry.contact", question, reply=reply)
    answered = await asker.request("ask.2326.registry.contact", question, timeout=5)  # asked after it
    assert b"@firma.example.com" in answered.data
    with pytest.raises(NotFoundError):
        await js.get_last_msg("PUB_LOCAL", reply)
    for connection in (asker, topology):
        await connection.close()


async def test_the_log_holds_json_and_no_address(stack):
    for path in (stack.folder / "logs").glob("*.log"):
        text = path.read_text()
        assert "@elev.example.com" not in text
        assert "@firma.example.com" not in text
