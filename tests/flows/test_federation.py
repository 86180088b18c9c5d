"""Federation: under a signed agreement a slot of Älvsbyn is matched to a learner of Piteå, whose
stack is another one. Älvsbyn's registry alone gives the seat, and hears nothing of the learner."""

import contextlib
import re
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import httpx
import nkeys
import pytest
import pytest_asyncio

from kompetensnav_chassis import testing
from kompetensnav_chassis.testing import eventually
from kompetensnav_contracts import subject
from kompetensnav_contracts.events.registry import SeatAsked, SeatReturned
from kompetensnav_embedded import servers
from support.region import CODES, HUB, Broker, hub_text, leaf_text
from support.stack import Stack, Town, finish, start, started

pytestmark = pytest.mark.real
HERE, THERE = "2560", "2581"
CANARY = "Kanariefagel"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(tmp_path_factory):
    """Two stacks as their people start them, and the hub between."""
    folder = tmp_path_factory.mktemp("region")
    port = servers.free_port()
    with contextlib.ExitStack() as closing:
        processes, files = {}, {}
        for name in CODES:
            (folder / name).mkdir()
            files[name] = folder / f"{name}.toml"
            files[name].write_text(leaf_text(name, port))
            processes[name] = start(folder / name / ".kompetensnav", "--file", str(files[name]))
            closing.callback(finish, processes[name])
        stacks = {}
        for name, process in processes.items():
            home = folder / name / ".kompetensnav"
            stacks[name] = Stack(home, await started(process, home), process)
        keys = {name: public(folder / name / ".kompetensnav/keys/leaf.nk") for name in CODES}
        hub = Broker(folder / HUB, HUB, hub_text(port, keys))
        hub.render()
        hubs = contextlib.ExitStack()
        closing.callback(lambda: hubs.close())

        async def up():
            hubs.enter_context(hub.server())
            await hub.healthy()

        await up()
        hub.apply()
        watching = hub.watch()
        closing.callback(watching.wait)
        closing.callback(watching.terminate)
        owner = Town(stacks["alvsbyn"], HERE)
        other = Town(stacks["pitea"], THERE)
        yield SimpleNamespace(owner=owner, other=other, hub=hub, cut=hubs.close, heal=up)


def public(seed: Path) -> str:
    return nkeys.from_seed(bytearray(seed.read_bytes().strip())).public_key.decode()


def agree(town, **more):
    """Each municipality records the agreement that both have signed, in its own stack."""
    body = {"municipalities": [HERE, THERE], "placement_types": ["apl"], "valid_from": "2026-01-01"} | more
    return town.stack.call("POST", "registry", f"/{town.code}/agreements", json=body, status=201)


async def lent(two, ref, seats=1, **more):
    """A slot of the owner that the other may use, once the other's matching knows of it."""
    two.owner.slot(ref, seats=seats, shared_with="named", named_municipalities=THERE, **more)
    (slot,) = await two.owner.stack.sql("registry", "select slot_id from slot where ref = $1", ref)

    async def known():
        return await two.other.stack.sql(
            "matching",
            "select 1 from open_slot where slot_id = $1 and named_municipalities <> '{}'",
            slot["slot_id"],
        )

    await eventually(known, 60)
    return slot["slot_id"]


async def matched(town, agreement, requests):
    """A joint round that the town leads, approved."""

    async def known():
        found = await town.stack.sql(
            "matching",
            "select count(*) n from open_request where municipality = $1 and state = 'open'",
            town.code,
        )
        return found[0]["n"] == requests

    await eventually(known)
    drafted = town.draft(agreement_id=agreement["agreement_id"])
    town.approve(drafted["round_id"])
    return drafted


async def asked(town, state, n=1, seconds=60):
    async def look():
        page = town.stack.call("GET", "registry", f"/{town.code}/asks")
        rows = [row for row in page["items"] if row["state"] == state]
        return rows if len(rows) == n else None

    return await eventually(look, seconds)


async def guest(two, reference, state):
    async def look():
        page = two.owner.stack.call("GET", "registry", f"/{HERE}/guests")
        rows = [row for row in page["items"] if row["reference"] == reference]
        return rows[0] if rows and rows[0]["state"] == state else None

    return await eventually(look, 60)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def agreed(two):
    """The agreement in both stacks, and a workplace of the owner."""
    two.owner.employers(3)
    agree(two.owner)
    return agree(two.other)


async def test_a_slot_of_one_stack_is_matched_to_a_learner_of_another(two, agreed):
    """The whole story: lent, matched, asked, held, the employer says yes in its own stack, confirmed."""
    owner, other = two.owner, two.other
    slot_id = await lent(two, "s1", occupation="5321")
    other.learner("l1", born="2000-05-05")
    await matched(other, agreed, 1)
    (ask,) = await asked(other, "held")
    assert ask["slot_id"] == str(slot_id)
    seen = await guest(two, ask["reference"], "held")
    assert seen["sent_by"] == THERE
    (offer,) = await other.offers(1)
    assert "employer" in offer["must_answer"]
    yes = f"/{THERE}/offers/{offer['offer_id']}/accept"
    other.stack.call("POST", "registry", yes, json={"party": "employer"}, status=409)
    link = await owner.stack.link(f"w0.{HERE}@firma.example.com", "från Piteå")
    page = httpx.get(link).text
    assert "Piteå" in page
    assert page.count('type="radio"') == 2
    assert httpx.post(link, data={"answer": "yes"}).status_code == 200
    await guest(two, ask["reference"], "accepted")
    for party in offer["must_answer"]:
        if party != "employer":
            path = f"/{THERE}/offers/{offer['offer_id']}/accept"
            other.stack.call("POST", "registry", path, json={"party": party})
    await other.offers(1, "confirmed")
    assert not other.stack.mails(f"w0.{HERE}@firma.example.com"), (
        "the employer hears from its own stack alone"
    )
    (left,) = await owner.stack.sql(
        "registry", "select seats_left, taken from slot where slot_id = $1", slot_id
    )
    assert (left["seats_left"], left["taken"]) == (0, 1)

    async def told():
        (row,) = await other.stack.sql("registry", "select seats_left from slot where slot_id = $1", slot_id)
        return row["seats_left"] == 0

    await eventually(told, 60)
    (placement,) = other.stack.call("GET", "registry", f"/{THERE}/placements")["items"]
    body = {"reason": "illness"}
    other.stack.call(
        "POST", "registry", f"/{THERE}/placements/{placement['placement_id']}/interrupt", json=body
    )
    await guest(two, ask["reference"], "returned")
    (left,) = await owner.stack.sql(
        "registry", "select seats_left, taken from slot where slot_id = $1", slot_id
    )
    assert (left["seats_left"], left["taken"]) == (1, 0)
    await owner.stack.link(f"w0.{HERE}@firma.example.com", "behöver inte platsen")
    adds_up(owner, other)


async def test_the_employers_no_ends_the_offer_and_the_seat_is_free(two, agreed):
    owner, other = two.owner, two.other
    slot_id = await lent(two, "s2", workplace="w1", occupation="5343")
    other.learner("l2", wishes="5343", born="2000-05-05")
    await matched(other, agreed, 1)
    await other.offers(1)
    link = await owner.stack.link(f"w1.{HERE}@firma.example.com", "från Piteå")
    httpx.post(link, data={"answer": "no"})
    (ask,) = [row for row in await asked(other, "held", 2) if row["slot_id"] == str(slot_id)]
    await guest(two, ask["reference"], "declined")
    await other.offers(1, "declined")
    (left,) = await owner.stack.sql("registry", "select seats_left from slot where slot_id = $1", slot_id)
    assert left["seats_left"] == 1
    other.stack.call("POST", "registry", f"/{THERE}/slots/{slot_id}/withdraw", status=404)
    close_requests(other)


def adds_up(*towns):
    """Nothing is amiss in any of the stacks."""
    for town in towns:
        done = town.stack.run("verify")
        assert done.returncode == 0, done.stdout + done.stderr


def close_requests(town):
    for row in town.stack.call("GET", "registry", f"/{town.code}/requests?state=open")["items"]:
        town.stack.call("POST", "registry", f"/{town.code}/requests/{row['request_id']}/close")


async def test_a_withdrawn_slot_ends_the_other_stacks_offer_and_narrowed_sharing_takes_it_away(two, agreed):
    owner, other = two.owner, two.other
    slot_id = await lent(two, "s3", workplace="w2", occupation="9412")
    other.learner("l3", wishes="9412", born="2000-05-05")
    await matched(other, agreed, 1)
    await other.offers(1)
    owner.stack.call("POST", "registry", f"/{HERE}/slots/{slot_id}/withdraw", json={})

    async def gone():
        found = await other.stack.sql(
            "matching", "select named_municipalities from open_slot where slot_id = $1", slot_id
        )
        offers = other.stack.call("GET", "registry", f"/{THERE}/offers?state=open")["items"]
        return not found[0]["named_municipalities"] and not offers

    await eventually(gone, 60)
    close_requests(other)


async def test_the_last_seat_is_wanted_by_both_while_the_link_is_cut(two, agreed):
    """One gets it, the other's learner is matched anew; nothing of the learner is in the owner's stack."""
    owner, other = two.owner, two.other
    wanted = await lent(two, "s4", workplace="w1", occupation="2654")
    owner.learner("own", wishes="2654", born="2000-05-05")
    other.learner("l4", wishes="2654", born="2000-05-05")
    await mark(other, "l4")
    two.cut()
    await matched(other, agreed, 1)
    (ask,) = await asked(other, "asked")
    await matched_at_home(owner)
    await two.heal()
    refused = await asked(other, "refused")
    assert [row["refusal"] for row in refused if row["reference"] == ask["reference"]] == ["slot_is_full"]
    (taken,) = await owner.stack.sql("registry", "select taken, seats from slot where slot_id = $1", wanted)
    assert (taken["taken"], taken["seats"]) == (1, 1)

    async def again():
        rows = await other.stack.sql(
            "matching", "select state from open_request where municipality = $1 and state = 'open'", THERE
        )
        return len(rows) == 1

    await eventually(again)
    assert await anywhere(other.stack, CANARY), "it would be found"
    assert not await anywhere(owner.stack, CANARY)
    assert not await anywhere(owner.stack, f"l4.{THERE}")
    learner = await other.stack.sql(
        "registry", "select learner_id, request_id from request where ref = 'rl4'"
    )
    for row in learner:
        for id in row.values():
            assert await anywhere(other.stack, str(id)), "it would be found"
            assert not await anywhere(owner.stack, str(id))
    adds_up(owner, other)


async def test_a_slot_that_is_lent_is_neither_offered_nor_changed_by_hand(two, agreed):
    slot_id = await lent(two, "s5", workplace="w2", occupation="8322")
    two.other.learner("l5", wishes="8322", born="2000-05-05")
    (row,) = await two.other.stack.sql("registry", "select request_id from request where ref = 'rl5'")
    body = {"request_id": str(row["request_id"]), "slot_id": str(slot_id), "slot_municipality": HERE}
    refused = two.other.stack.call("POST", "registry", f"/{THERE}/offers", json=body, status=409)
    assert "lånad" in refused["detail_sv"]
    close_requests(two.other)


async def test_an_ask_that_nobody_answers_is_given_up(two, agreed):
    other = two.other
    await lent(two, "s6", workplace="w2", occupation="7126")
    other.learner("l6", wishes="7126", born="2000-05-05")
    two.cut()
    await matched(other, agreed, 1)
    (ask,) = await asked(other, "asked")
    late = "update ask set asked_at = asked_at - interval '4 days' where reference = $1"
    await other.stack.sql("registry", late, ask["reference"], role="owner")
    (given_up,) = await asked(other, "given_up", seconds=90)
    assert (given_up["reference"], given_up["refusal"]) == (ask["reference"], "no_answer")
    await two.heal()
    await guest(two, ask["reference"], "returned")
    close_requests(other)
    adds_up(two.owner, other)


async def heard(town, event, sender, revision):
    """An event of another stack, heard out of its order: as one that is tried again later."""
    headers = testing.headers_of(event, municipality=sender, revision=revision)
    connection = await town.stack.nats("replay")
    at = f"replay.fed.registry-exchange.{subject(event, sender)}"
    await connection.jetstream().publish(at, event.model_dump_json().encode(), headers=headers)
    await connection.close()


async def test_what_is_returned_before_its_asking_is_heard_is_never_given(two, agreed):
    slot_id = await lent(two, "s7", workplace="w2", occupation="5223")
    about = {"to": HERE, "reference": uuid4(), "slot_id": slot_id}
    await heard(two.owner, SeatReturned(reason="expired", **about), THERE, 2)
    reference = str(about["reference"])
    await guest(two, reference, "returned")
    days = {"starts_on": date(2027, 2, 1), "ends_on": date(2027, 3, 26)}
    await heard(two.owner, SeatAsked(**about, **days), THERE, 1)
    late = {"to": HERE, "reference": uuid4(), "slot_id": slot_id} | days | {"ends_on": date(2027, 3, 19)}
    await heard(two.owner, SeatAsked(**late), THERE, 1)
    refused = await guest(two, str(late["reference"]), "refused")
    assert refused["refusal"] == "slot_is_full", "they know other days than the slot has now"
    await guest(two, reference, "returned")
    (left,) = await two.owner.stack.sql("registry", "select seats_left from slot where slot_id = $1", slot_id)
    assert left["seats_left"] == 1


async def test_an_agreement_with_a_stranger_needs_a_token_for_both(two):
    body = {"municipalities": [HERE, "2580"], "placement_types": ["apl"], "valid_from": "2026-01-01"}
    two.owner.stack.call("POST", "registry", f"/{HERE}/agreements", json=body, status=403)


async def test_an_agreement_that_ends_early_has_its_slots_recalled(two, agreed):
    """Today is its last day: the other's matching may not use the slot any more. Whoever has not signed it
    may not end it, and it ends once."""
    slot_id = await lent(two, "s8", workplace="w2", occupation="9622")
    (mine,) = two.owner.stack.call("GET", "registry", f"/{HERE}/agreements")["items"]
    end = f"agreements/{mine['agreement_id']}/end"
    two.owner.stack.call("POST", "registry", f"/2580/{end}", status=404)
    ended = two.owner.stack.call("POST", "registry", f"/{HERE}/{end}", status=200)
    assert ended["valid_to"] == f"{datetime.now(UTC):%Y-%m-%d}"
    two.owner.stack.call("POST", "registry", f"/{HERE}/{end}", status=409)

    async def recalled():
        found = await two.other.stack.sql(
            "matching", "select named_municipalities from open_slot where slot_id = $1", slot_id
        )
        return not found[0]["named_municipalities"]

    await eventually(recalled, 60)
    adds_up(two.owner, two.other)


async def mark(town, ref):
    """Gives the learner a name that is found wherever it goes."""
    found = await town.stack.sql(
        "registry", "select learner_id, revision from vault.learner where ref = $1", ref, role="owner"
    )
    change = {"family_name": CANARY, "revision": found[0]["revision"]}
    town.stack.call("PATCH", "registry", f"/{town.code}/learners/{found[0]['learner_id']}", json=change)


async def matched_at_home(town):
    async def known():
        found = await town.stack.sql(
            "matching",
            "select count(*) n from open_request where municipality = $1 and state = 'open'",
            town.code,
        )
        return found[0]["n"] == 1

    await eventually(known)
    town.approve(town.draft()["round_id"])
    await town.offers(1)


async def anywhere(stack, text):
    """Where a text stands in the stack: in any table of any service, in any message, or in a log."""
    found = []
    for service in ("registry", "matching", "notifications", "reporting"):
        tables = await stack.sql(
            service,
            "select table_schema || '.' || table_name t from information_schema.tables"
            " where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')",
            role="owner",
        )
        for row in tables:
            query = f"select count(*) n from {row['t']} x where x::text ilike '%' || $1 || '%'"
            if (await stack.sql(service, query, text, role="owner"))[0]["n"]:
                found.append(f"{service} {row['t']}")
    connection = await stack.nats("care")
    js = connection.jetstream()
    for stream in await js.streams_info():
        state = stream.state
        for seq in range(max(1, state.first_seq), state.last_seq + 1):
            with contextlib.suppress(Exception):
                message = await js.get_msg(stream.config.name, seq, direct=True)
                if re.search(text, f"{message.subject} {message.headers} {message.data!r}"):
                    found.append(f"{stream.config.name}:{seq}")
    await connection.close()
    logs = stack.folder / "logs"
    return found + [str(p) for p in logs.glob("*.log") if text in p.read_text(errors="replace")]
