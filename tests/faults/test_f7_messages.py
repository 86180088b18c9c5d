"""F7, F8, F9, F13, F18: messages twice, out of order, poisoned, from the future, replayed by two at once."""

import asyncio
import random
from contextlib import asynccontextmanager

import pytest
import uuid_utils.compat as uuids

from kompetensnav_care.log import read_log
from kompetensnav_chassis.testing import eventually, headers_of
from kompetensnav_contracts.events.registry import SlotPosted
from support.people import at_rest, broken, people_at_work, verdict
from support.rig import SERVICES
from support.stack import Town

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(240)]


async def log_of(struck):
    """(subject, headers, data) of every event in the stream."""
    care = await struck.stack.nats()
    js = care.jetstream()
    last = (await js.stream_info("INT_LOCAL")).state.last_seq
    found = []
    for seq in range(1, last + 1):
        message = await js.get_msg("INT_LOCAL", seq, direct=True)
        if message.subject.startswith("nav.") and "ce-specversion" in (message.headers or {}):
            found.append((message.subject, message.headers, message.data))
    await care.close()
    return found


async def publish_all(struck, messages):
    """Publishes as the services that own them, in the order given."""
    users = {service: await struck.stack.nats(service) for service in SERVICES}
    for number, (where, headers, data) in enumerate(messages):
        about = {k: v for k, v in headers.items() if not k.startswith("Nats-")}
        id = f"again:{number}:{uuids.uuid7()}"
        await users[where.split(".")[3]].jetstream().publish(where, data, headers=about | {"Nats-Msg-Id": id})
    for user in users.values():
        await user.close()


async def test_f7_everything_comes_twice_beyond_the_brokers_own_window(struck):
    """The whole log again, with message ids the broker does not know: every effect stays one."""
    async with people_at_work(struck) as people:
        await people.go_on(40)
    messages = await log_of(struck)
    await publish_all(struck, messages)
    await at_rest(struck)
    assert len(messages) > 50
    assert broken(await verdict(struck)) == []


async def test_f8_everything_comes_again_in_another_order(struck):
    """The whole log shuffled, and heard by listeners that have forgotten: older revisions change nothing."""
    messages = await log_of(struck)
    random.Random(8).shuffle(messages)
    await publish_all(struck, messages)
    since = "2026-01-01T00:00:00"
    for service in ("matching", "reporting"):
        await asyncio.to_thread(struck.stack.topology, "redeliver", service, "--since", since)
    await struck.back()
    await at_rest(struck)
    assert broken(await verdict(struck)) == []


def a_slot(**more):
    """A slot.posted event as the registry would tell it."""
    values = {
        "slot_id": uuids.uuid7(), "workplace_id": uuids.uuid7(), "employer_id": uuids.uuid7(),
        "placement_type": "apl", "occupation": "5321", "starts_on": "2027-02-01", "ends_on": "2027-03-26",
        "seats": 1, "locality": "lulea",
    }  # fmt: skip
    return SlotPosted(**values | more)


async def tell(struck, data, headers, municipality="2580"):
    """Publishes as the registry; returns the stream sequence."""
    connection = await struck.stack.nats("registry")
    where = f"nav.{municipality}.int.registry.slot.posted.v1"
    ack = await connection.jetstream().publish(where, data, headers=headers)
    await connection.close()
    return ack.seq


async def dead_letters(struck, consumer, seq):
    """The reasons of the dead letters of a message."""
    care = await struck.stack.nats()
    js = care.jetstream()
    state = (await js.stream_info("DEAD_LOCAL")).state
    found = []
    for number in range(max(1, state.first_seq), state.last_seq + 1):
        about = (await js.get_msg("DEAD_LOCAL", number, direct=True)).headers or {}
        if about.get("Kn-Dead-Consumer") == consumer and about.get("Kn-Dead-Seq") == str(seq):
            found.append(about["Kn-Dead-Reason"])
    await care.close()
    return found


POISON = {
    "bad-json": (b"{", {}),
    "bad-payload": (b'{"slot_id": 5}', {}),
    "bad-envelope": (b"{}", {"ce-specversion": "0.3"}),
    "not-utf8": (b"\xff\xfe", {}),
}


@pytest.mark.parametrize("kind", POISON)
async def test_f9_poison_is_put_aside_and_nobody_waits_behind_it(struck, kind):
    """What can never be handled is a dead letter at once, of each listener; the rest goes on."""
    body, changed = POISON[kind]
    async with people_at_work(struck) as people:
        headers = headers_of(a_slot(), municipality="2580") | changed
        seq = await tell(struck, body, headers | {"Nats-Msg-Id": str(uuids.uuid7())})

        async def dead():
            return await dead_letters(struck, "matching-registry", seq)

        (reason,) = await eventually(dead)
        assert reason == {"not-utf8": "bad-json"}.get(kind, kind)
        await people.go_on(5)


@asynccontextmanager
async def faulty(struck, occupation):
    """Matching's database refuses the slots of an occupation."""
    function = "create or replace function refuse() returns trigger language plpgsql as $$ begin"
    await struck.stack.sql("matching", f"{function} raise exception 'a fault'; end $$", role="owner")
    await struck.stack.sql(
        "matching",
        "create trigger faulty before insert on open_slot for each row"
        f" when (new.occupation = '{occupation}') execute function refuse()",
        role="owner",
    )
    try:
        yield
    finally:
        await struck.stack.sql("matching", "drop trigger if exists faulty on open_slot", role="owner")


async def failed(struck, slots):
    """Waits until so many of matching's messages have been given up."""

    async def look():
        care = await struck.stack.nats()
        dead_letters = await read_log(care, "DEAD_LOCAL")
        await care.close()
        about = [m.headers for m in dead_letters if m.headers["Kn-Dead-Reason"] == "failed"]
        return len([a for a in about if a["Kn-Dead-Consumer"] == "matching-registry"]) >= slots

    await eventually(look, 60)


async def known(struck, municipality):
    """How many slots of a municipality matching knows."""
    rows = await struck.stack.sql(
        "matching", "select count(*) n from open_slot where municipality = $1", municipality
    )
    return rows[0]["n"]


async def test_f9_a_handler_with_a_fault_gives_up_that_message_only(struck):
    """The database refuses one slot each time; after its tries it is a dead letter, and nobody waits."""
    town = Town(struck.stack, "2313")
    await asyncio.to_thread(town.employers)
    async with people_at_work(struck) as people:
        async with faulty(struck, "4321"):
            await asyncio.to_thread(town.slot, "refused", occupation="4321")
            await people.go_on(5)
            await failed(struck, 1)
        await asyncio.to_thread(town.slot, "taken", occupation="4321")
        await people.go_on(5)
    assert await known(struck, "2313") == 1


async def test_f9_an_event_larger_than_the_broker_takes_is_parked_and_the_relay_goes_on(struck):
    """A row that no broker will ever take is parked with an alarm; what was written after it is published."""
    await struck.stack.sql(
        "registry",
        "insert into outbox (told_at, event_id, subject, headers, body) values (now(), gen_random_uuid(),"
        " 'nav.2580.int.registry.slot.posted.v1', '{}', convert_to(repeat('x', 2000000), 'UTF8'))",
        role="owner",
    )
    async with people_at_work(struck) as people:
        await people.go_on(10)

        async def parked():
            rows = await struck.stack.sql("registry", "select parked from outbox where parked is not null")
            return [row["parked"] for row in rows]

        assert await eventually(parked) == ["larger than the server takes"]
        await struck.stack.sql("registry", "delete from outbox where parked is not null", role="owner")


async def test_f13_an_event_from_the_future_is_parked_and_replayed_after_the_upgrade(struck):
    """A version that a service does not know yet is dead-lettered with its own reason. After the upgrade
    (here: of the teller, which tells it in the version known) it is replayed to the listener that failed."""
    async with people_at_work(struck) as people:
        await people.go_on(3)
        event = a_slot()
        headers = headers_of(event, municipality="2580") | {"ce-type": "registry.slot.posted.v9"}
        seq = await tell(struck, b"{}", headers | {"Nats-Msg-Id": str(uuids.uuid7())})

        async def dead():
            return await dead_letters(struck, "matching-registry", seq)

        assert await eventually(dead) == ["unknown-version"]
        told = await asyncio.to_thread(
            struck.stack.care, "replay", "matching-registry", "--reason", "unknown-version", "--without-audit"
        )
        assert "replayed" in told

        async def again():
            care = await struck.stack.nats()
            state = (await care.jetstream().stream_info("DEAD_LOCAL", subjects_filter="dead.>")).state
            await care.close()
            return state.subjects["dead.matching-registry"] >= 2

        await eventually(again)  # it still does not know it, and says so once more
        known = headers | {"ce-type": "registry.slot.posted.v1"}
        theirs = "replay.int.reporting-registry.nav.2580.int.registry.slot.posted.v1"
        for forged in (
            {},
            {"Kn-Dead-Seq": str(10**12), "Kn-Dead-Subject": theirs},
            {"KN-DEAD-SUBJECT": "nav.2580.int.registry.slot.posted.v1", "Kn-Dead-Subject": theirs},
            {"Kn-Dead-Stream": "no such stream"},
            {"Kn-Dead-Seq": "first"},
        ):
            await forge(struck, seq, known, event, forged)
        told = await asyncio.to_thread(
            struck.stack.care, "replay", "matching-registry", "--reason", "forged", "--without-audit"
        )
        assert told.count("is not what the stream holds") == 5
        assert " replayed " not in told
        await forge(struck, seq, headers, event, {"kn-dead-body": "no", "Kn-Dead-Reason": "bodiless"})
        told = await asyncio.to_thread(
            struck.stack.care, "replay", "matching-registry", "--reason", "bodiless", "--without-audit"
        )
        assert "has no body" in told
        there = "select 1 from open_slot where slot_id = $1"
        assert await struck.stack.sql("matching", there, event.slot_id) == []


async def forge(struck, seq, headers, event, about):
    """Writes, as matching, a dead letter that says it is of a message of the stream and is another."""
    matching = await struck.stack.nats("matching")
    said = {"Consumer": "matching-registry", "Stream": "INT_LOCAL", "Seq": str(seq), "Reason": "forged",
            "Subject": "nav.2580.int.registry.slot.posted.v1"}  # fmt: skip
    about = headers | {f"Kn-Dead-{name}": value for name, value in said.items()} | about
    body = event.model_dump_json().encode()
    await matching.jetstream().publish("dead.matching-registry", body, headers=about)
    await matching.close()


async def test_f18_two_operators_replay_the_same_dead_letters_at_once(struck):
    """Each dead letter is replayed once, to the listener that failed and to no other, and has one effect."""
    town = Town(struck.stack, "2326")
    await asyncio.to_thread(town.employers)
    async with faulty(struck, "4322"):
        for number in range(8):
            await asyncio.to_thread(town.slot, f"s{number}", occupation="4322")
        await failed(struck, 9)
    count = "select count(*) n from fact where municipality = '2326'"
    before = await struck.stack.sql("reporting", count)
    replay = ("replay", "matching-registry", "--reason", "failed", "--without-audit")
    both = await asyncio.gather(*(asyncio.to_thread(struck.stack.care, *replay) for _ in range(2)))
    outcomes = " ".join(both).split()
    assert outcomes.count("replayed") == outcomes.count("already") == 9

    async def all_there():
        return await known(struck, "2326") == 8

    await eventually(all_there)
    await at_rest(struck)
    assert await struck.stack.sql("reporting", count) == before
    assert broken(await verdict(struck)) == []
