"""Verify: a healthy system is as promised, what is broken is named, half a system is no verdict."""

import asyncio
import json

import pytest

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
async def placed(own_stack):
    """A stack where learners of two municipalities are placed, some have said no, and all is at rest."""
    stack, towns = own_stack
    for code in ("2580", "2581"):
        town = towns(code)
        town.employers(2)
        town.slot("a", seats=2)
        town.slot("b", workplace="w1", shared_with="public")
        for ref in ("x", "y", "z"):
            town.learner(ref)
        await town.known(2, 3)
        town.approve(town.draft()["round_id"])
        offers = await town.offers(3)
        for offer in offers[:2]:
            for party in ("employer", "learner"):
                path = f"/{code}/offers/{offer['offer_id']}/accept"
                stack.call("POST", "registry", path, json={"party": party})
        path = f"/{code}/offers/{offers[2]['offer_id']}/decline"
        stack.call("POST", "registry", path, json={"party": "learner"})
    await stack.at_rest()
    return stack


def verified(stack, *options):
    """(exit code, what was printed as JSON)."""
    done = stack.run("verify", "--json", "--mail", str(stack.mail), *options)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def broken(published):
    return {(line["invariant"], line["outcome"]) for line in published["lines"]} - {
        (f"I{n}", how) for n in range(1, 11) for how in ("ok", "unknown")
    }


async def test_a_healthy_system_is_as_promised_and_a_table_says_so(placed):
    code, published = verified(placed, "--canary", "Namnx", "--canary", "x.2580@elev.example.com")
    assert (code, published["violations"]) == (0, 0), published
    assert {line["invariant"] for line in published["lines"]} == {f"I{n}" for n in range(1, 11)}
    assert published["events"] > 40
    printed = placed.run("verify")
    assert printed.returncode == 0
    assert "All as promised" in printed.stdout


async def test_i11_a_rebuild_from_the_log_gives_the_same(placed):
    """Every projection is made again from the whole log and has the same hash; a row changed behind the
    log's back is found, with its id."""

    def rebuilt():
        done = placed.run("verify", "--json", "--rebuild")
        assert done.returncode in (0, 1), done.stderr
        lines = json.loads(done.stdout)["lines"]
        return done.returncode, [line for line in lines if line["invariant"] == "I11"]

    code, lines = await asyncio.to_thread(rebuilt)
    assert code == 0
    assert {line["what"].split(":")[0] for line in lines} == {"matching", "reporting"}
    assert all("hash" in line["what"] for line in lines)
    one = "(select min(slot_id::text) from open_slot)::uuid"
    change = f"update open_slot set seats = seats {{}} 1 where slot_id = {one}"
    await placed.sql("matching", change.format("+"), role="owner")
    try:
        code, lines = await asyncio.to_thread(rebuilt)
        assert code == 1
        (wrong,) = [line for line in lines if line["outcome"] == "unexpected"]
        assert wrong["ids"][0] == "projected_slot"
        assert len(wrong["ids"]) == 2
    finally:
        await placed.sql("matching", change.format("-"), role="owner")
    databases = await placed.sql("registry", "select datname from pg_database where datname like '%rebuilt%'")
    assert databases == []


async def test_what_is_broken_is_named_with_its_ids(placed):
    rows = await placed.sql(
        "reporting",
        "delete from fact where event_id = (select event_id from fact where name like '%confirmed%' limit 1)"
        " returning *",
        role="owner",
    )
    (gone,) = rows
    try:
        code, published = verified(placed)
        assert code == 1
        assert broken(published) == {("I4", "lost"), ("I7", "unexpected")}
        (line,) = [line for line in published["lines"] if line["invariant"] == "I4"]
        assert line["ids"] == [str(gone["event_id"])]
    finally:
        columns = ", ".join(gone.keys())
        places = ", ".join(f"${n}" for n in range(1, len(gone) + 1))
        insert = f"insert into fact ({columns}) values ({places})"
        await placed.sql("reporting", insert, *gone.values(), role="owner")
    assert verified(placed)[0] == 0


async def test_a_seat_given_twice_behind_the_ledgers_back_is_found(placed):
    columns = await placed.sql("registry", "select * from seat limit 1", role="owner")
    columns = list(columns[0].keys())
    values = ", ".join("gen_random_uuid()" if c == "seat_id" else c for c in columns)
    copy = f"insert into seat ({', '.join(columns)}) select {values} from seat where released_at is null"
    ((seat_id,),) = await placed.sql("registry", f"{copy} limit 1 returning seat_id", role="owner")
    try:
        code, published = verified(placed)
        assert code == 1
        assert ("I3", "unexpected") in broken(published)
    finally:
        await placed.sql("registry", "delete from seat where seat_id = $1", seat_id, role="owner")


async def test_a_client_holds_the_system_to_what_was_acknowledged(placed, tmp_path):
    asked = tmp_path / "asked.jsonl"
    lines = [("a", "acked"), ("never", "acked"), ("perhaps", "unknown"), ("b", "refused")]
    asked.write_text(
        "\n".join(json.dumps({"municipality": "2580", "ref": ref, "outcome": how}) for ref, how in lines)
    )
    code, published = verified(placed, "--asked", str(asked))
    assert code == 1
    found = {
        (line["outcome"], tuple(line["ids"])) for line in published["lines"] if line["invariant"] == "I1"
    }
    assert ("lost", ("('2580', 'never')",)) in found
    assert ("unexpected", ("('2580', 'b')",)) in found


async def test_a_running_system_can_be_verified_while_it_works(placed):
    """Events on their way prove nothing; nothing is called lost that is only late."""
    workplace = placed.call("GET", "registry", "/2580/workplaces")["items"][0]["workplace_id"]
    slot = {
        "workplace_id": workplace,
        "placement_type": "prao",
        "occupation": "5321",
        "starts_on": "2027-03-01",
        "ends_on": "2027-03-12",
        "seats": 1,
    }

    async def work():
        for _ in range(60):
            await asyncio.to_thread(placed.call, "POST", "registry", "/2580/slots", json=slot, status=201)

    working = asyncio.create_task(work())
    verdicts = []
    while not working.done():
        verdicts.append(await asyncio.to_thread(verified, placed))
    await working
    assert verdicts
    assert {code for code, _ in verdicts} == {0}, [broken(published) for _, published in verdicts]
    await placed.at_rest()


async def test_an_empty_table_whose_stream_is_not_is_no_verdict(placed):
    await placed.sql("matching", "alter table open_slot rename to open_slot_away", role="owner")
    await placed.sql("matching", "create table open_slot (like open_slot_away)", role="owner")
    view = "create or replace view facts.slot with (security_invoker) as select slot_id, municipality,"
    columns = " placement_type, seats, withdrawn, revision from {}"
    try:
        await placed.sql("matching", view + columns.format("open_slot"), role="owner")
        await placed.sql("matching", "grant select on open_slot to matching_care", role="owner")
        done = placed.run("verify", "--json")
        assert done.returncode == 2, done.stdout
        assert "facts.slot of matching is empty" in done.stderr
    finally:
        await placed.sql("matching", view + columns.format("open_slot_away"), role="owner")
        await placed.sql("matching", "drop table open_slot", role="owner")
        await placed.sql("matching", "alter table open_slot_away rename to open_slot", role="owner")
    assert verified(placed)[0] == 0


@pytest.mark.parametrize("missing", ["nats", "databases"])
async def test_half_a_system_is_no_verdict(placed, missing, tmp_path):
    running = json.loads((placed.folder / "run.json").read_text())
    if missing == "nats":
        running["nats"] = "nats://127.0.0.1:9"
    else:
        urls = json.loads((placed.folder / "databases.json").read_text())
        urls["reporting"]["care"] = urls["reporting"]["care"].rpartition("@")[0] + "@127.0.0.1:9/reporting"
        running["databases"] = str(tmp_path / "databases.json")
        (tmp_path / "databases.json").write_text(json.dumps(urls))
    (tmp_path / "run.json").write_text(json.dumps(running))
    done = placed.run("verify", "--run", str(tmp_path / "run.json"))
    assert done.returncode == 2
    assert done.stderr.startswith("Not verified. ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert "All as promised" not in done.stdout


def test_nothing_running_is_said_and_is_no_verdict(tmp_path, placed):
    done = placed.run("verify", "--run", str(tmp_path / "nowhere.json"))
    assert (done.returncode, done.stdout) == (2, "")
