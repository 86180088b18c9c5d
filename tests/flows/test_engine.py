"""The matching engine in the service: terms, proof, questions and answers, bottlenecks, and the page."""

import io
import json
import re
from contextlib import suppress

import httpx
import nats
import polars as pl
import pytest

from kompetensnav_chassis.testing import eventually

pytestmark = pytest.mark.real


def why(stack, code, round_id, row, *question):
    path = f"/{code}/rounds/{round_id}/proposals/{row['proposal_id']}"
    return stack.call("GET", "matching", "/".join([path, *question]))


async def last_told(stack, stream, subject):
    """The last event on a subject, once there is one."""
    connection = await stack.nats()

    async def look():
        with suppress(nats.js.errors.NotFoundError):
            return await connection.jetstream().get_last_msg(stream, subject, direct=True)

    try:
        return json.loads((await eventually(look)).data)
    finally:
        await connection.close()


async def request_of(stack, code, wishes):
    """The request (by its first wish) that a learner of the story has made."""
    (row,) = await stack.sql(
        "matching",
        "select request_id::text id from open_request"
        " where municipality = $1 and wishes -> 0 ->> 'occupation' = $2",
        code, wishes,
    )  # fmt: skip
    return row["id"]


async def test_a_draft_solved_again_keeps_its_terms_and_moves_nobody_for_little(stack, towns):
    town = towns("1760")
    town.employers(2)
    town.slot("s0")
    town.slot("s1", workplace="w1")
    town.learner("l", wishes="slot:s0=0.9;slot:s1=0.9")
    await town.known(2, 1)
    drafted = town.draft(new_field_minutes=12)
    (row,) = town.proposals(drafted["round_id"])
    again = stack.call("POST", "matching", f"/1760/rounds/{drafted['round_id']}/solve")
    assert (again["mode"], again["new_field_minutes"]) == ("most_placed", 12)
    assert (again["revision"], again["proof"]["gap"]) == (2, 0)
    assert again["inputs"] != drafted["inputs"], "what was drafted before is a part of what is solved"
    assert town.proposals(drafted["round_id"])[0]["slot_id"] == row["slot_id"]
    third = town.draft()
    assert third["inputs"] != drafted["inputs"], "and so are the terms"
    assert third["proof"]["seed"] == town.draft()["proof"]["seed"]


async def test_a_repair_touches_no_place_and_tells_each_once(stack, towns):
    """One place is declined, a slot goes, another comes, a learner comes: who has a place keeps it."""
    town = towns("1761")
    town.employers(4)
    for n in range(3):
        town.slot(f"s{n}", workplace=f"w{n}")
    for ref in ("a", "b", "c"):
        town.learner(ref)
    await town.known(3, 3)
    stack.call("PUT", "matching", "/1761/standing-rule", json={"approve_repairs": True})
    town.approve(town.draft()["round_id"])
    first = await town.offers(3)
    declined, *kept = first
    stack.call("POST", "registry", f"/1761/offers/{declined['offer_id']}/decline", json={"party": "learner"})
    town.learner("d")
    town.slot("s3", workplace="w3")

    async def settled():
        page = stack.call("GET", "registry", "/1761/offers?state=open")["items"]
        return page if len(page) == 4 else None

    open_now = await eventually(settled)
    was = {o["offer_id"]: o["slot_id"] for o in kept}
    assert {o["offer_id"]: o["slot_id"] for o in open_now if o["offer_id"] in was} == was
    by_request = [o["request_id"] for o in open_now]
    assert len(set(by_request)) == 4, "nobody has two offers"
    mails = [m["Message-ID"] for n in range(4) for m in stack.mails(f"w{n}.1761@firma.example.com")]
    assert len(mails) == len(set(mails))


async def test_why_this_one_and_why_not_that_one_come_true(stack, towns):
    """Two learners want the ward most; the second's other wish is the site. What giving the ward to the one
    without it would change is what then happens."""
    town = towns("1762")
    town.employers(2)
    town.slot("ward", occupation="5321")
    town.slot("site", workplace="w1", occupation="7111")
    town.learner("a", wishes="5321=1;7111=0.6")
    town.learner("b", wishes="5321=0.95;7111=0.9")
    town.learner("c", wishes="5120")
    await town.known(2, 3)
    drafted = town.draft()
    round_id = drafted["round_id"]
    rows = {r["slot_id"]: r for r in town.proposals(round_id)}
    slots = {s["occupation"]: s["slot_id"] for s in stack.call("GET", "registry", "/1762/slots")["items"]}
    at_site, at_ward = rows[slots["7111"]], rows[slots["5321"]]
    said = why(stack, "1762", round_id, at_site, "why")
    assert sum(r["value"] for r in said["reasons"]) == said["cost"] == at_site["cost"]
    assert all(r["sv"] and r["en"] for r in said["reasons"])
    assert said["one_more_seat_places_one_more"] is False
    assert why(stack, "1762", round_id, at_ward, "why")["scarcity"] == 50, (
        "b would gain 5 minutes by a seat more"
    )
    claim = why(stack, "1762", round_id, at_site, "why-not", slots["5321"])
    assert (claim["hindrances"], claim["moved"], claim["placed"], claim["cost"]) == ([], 1, 0, 350)
    other = why(stack, "1762", round_id, rows[None], "why-not", slots["5321"])
    assert [h["rule"] for h in other["hindrances"]] == ["occupation"]
    assert other["hindrances"][0]["sv"] == "Platsen möter inget önskemål"
    path = f"/1762/rounds/{round_id}"
    stack.call("POST", "matching", f"{path}/proposals/{at_ward['proposal_id']}/pin")
    kept = why(stack, "1762", round_id, at_site, "why-not", slots["5321"])
    assert [h["rule"] for h in kept["hindrances"]] == ["kept_by_people"]
    stack.call("POST", "matching", f"{path}/proposals/{at_ward['proposal_id']}/unpin")
    stack.call("POST", "matching", f"{path}/proposals/{at_ward['proposal_id']}/forbid")
    stack.call(
        "POST",
        "matching",
        f"{path}/place",
        json={"request_id": at_site["request_id"], "slot_id": slots["5321"]},
    )
    stack.call("GET", "matching", f"{path}/proposals/{at_site['proposal_id']}/why-not/{round_id}", status=404)
    forced = stack.call("POST", "matching", f"{path}/solve")
    assert (forced["matched"], forced["cost"]) == (2, drafted["cost"] + 350)
    town.slot("new", occupation="5120")
    await town.known(3, 3)
    row = next(r for r in town.proposals(round_id) if not r["slot_id"])
    changed = f"{path}/proposals/{row['proposal_id']}/why-not/{slots['5321']}"
    found = stack.call("GET", "matching", changed)
    assert [h["rule"] for h in found["hindrances"]] == ["occupation"]


async def test_a_learner_without_a_place_is_told_the_smallest_change(stack, towns):
    town = towns("1763")
    town.employers(2)
    town.slot("ward", occupation="5321")
    town.slot("site", workplace="w1", occupation="7111", ends_on="2027-03-27")
    for ref in ("a", "b"):
        town.learner(ref)
    town.learner("late", wishes="7111")
    await town.known(2, 3)
    drafted = town.draft(ends_on="2027-03-31")
    rows = [r for r in town.proposals(drafted["round_id"]) if not r["slot_id"]]
    late = await request_of(stack, "1763", "7111")
    found = {r["request_id"]: {x["rule"]: x["value"] for x in r["reasons"]} for r in rows}
    assert found.pop(late)["placed_with_another_week"] == 1
    (other,) = found.values()
    assert (other["given_to_others"], other["sharing_learners"], other["shared_seats"]) == (1, 2, 1)
    said = why(stack, "1763", drafted["round_id"], next(r for r in rows if r["request_id"] == late), "why")
    assert "annan vecka" in said["reasons"][-1]["sv"]
    assert "another week" in said["reasons"][-1]["en"]
    assert (said["slot_id"], said["scarcity"]) == (None, None)


async def test_bottlenecks_are_told_and_so_many_seats_place_so_many(stack, towns):
    """Seven learners for one ward seat, and one for the site: six seats more in the ward place six more. Told
    in public, from five on, when the round is approved."""
    town = towns("1764")
    town.employers(5)
    town.slot("ward", occupation="5321")
    town.slot("site", workplace="w1", occupation="7111")
    for n in range(7):
        town.learner(f"l{n}")
    for n in range(3):
        town.learner(f"m{n}", wishes="7111")
    await town.known(2, 10)
    drafted = town.draft()
    path = f"/1764/rounds/{drafted['round_id']}"
    ward, site = stack.call("GET", "matching", f"{path}/bottlenecks")
    assert ward == {
        "occupation": "5321",
        "municipality": "1764",
        "week": "2027-02-01",
        "learners": 6,
        "seats": 1,
    }
    assert (site["occupation"], site["learners"]) == ("7111", 2)
    shown = next(r for r in town.proposals(drafted["round_id"]) if r["slot_id"])
    assert why(stack, "1764", drafted["round_id"], shown, "why")["one_more_seat_places_one_more"] is True
    for workplace, seats, placed in (("w2", 3, 3), ("w3", 3, 6), ("w4", 1, 6)):
        town.slot(workplace, workplace=workplace, occupation="5321", seats=seats)
        await town.known(int(workplace[1]) + 1, 10)
        assert town.draft()["matched"] == drafted["matched"] + placed
    chosen = [r["proposal_id"] for r in town.proposals(drafted["round_id"]) if r["slot_id"]][:1]
    town.approve(drafted["round_id"], proposals=chosen)
    account = stack.call("GET", "matching", f"{path}/account")
    assert account["matched"] is None, "one of ten is too few to show"
    assert account["gap"] is None, "and is no longer what was proved"
    assert account["served"]["wish_rank"] == [{"key": "1", "learners": None, "placed": None}]
    told = await last_told(stack, "PUB_LOCAL", "nav.1764.pub.matching.bottleneck.found.v1")
    assert told["learners"] == 6, "the two at the site are too few to be told of in public"


async def test_travel_times_come_from_a_file_and_the_fallback_is_marked(stack, towns):
    town = towns("1765")
    town.employers()
    town.slot("s")
    town.learner("l")
    await town.known(1, 1)
    operator = {"role": "operator", "municipality": "1765"}
    csv = "home,work,minutes\nup-a,up-b,31\nup-b,up-a,x\n"
    path = "/1765/travel-times/file"
    bad = stack.call("POST", "matching", path, content=csv, status=422, **operator)
    assert "line 3: minutes is 'x'" in bad["detail"]
    assert await stack.sql("matching", "select 1 from travel_time where home = 'up-a'") == []
    assert stack.call("POST", "matching", path, content=csv.replace("x", "32"), **operator) == {"pairs": 2}
    written = io.BytesIO()
    pl.DataFrame({"home": ["up-a"], "work": ["up-b"], "minutes": [29]}).write_parquet(written)
    head = {"headers": {"content-type": "application/vnd.apache.parquet"}}
    stack.call("POST", "matching", path, content=written.getvalue(), **operator, **head)
    rows = await stack.sql(
        "matching", "select home, minutes from travel_time where home like 'up-%' order by 1"
    )
    assert [tuple(r) for r in rows] == [("up-a", 29), ("up-b", 32)]
    stack.call("POST", "matching", path, content=csv, status=403, municipality="1765")


async def test_the_reward_for_something_new_is_the_learners_own_and_published(stack, towns):
    """The second wish is marked as new and 15 minutes behind the first: a round that rewards it by more than
    that gives it; by default none does."""
    town = towns("1766")
    town.employers(2)
    town.slot("usual", occupation="5321")
    town.slot("new", workplace="w1", occupation="7111")
    town.learner("l", wishes="5321=1;+7111=0.985")
    await town.known(2, 1)
    slots = {s["slot_id"]: s["occupation"] for s in stack.call("GET", "registry", "/1766/slots")["items"]}
    for minutes, occupation in ((0, "5321"), (1, "5321"), (2, "7111")):
        drafted = town.draft(new_field_minutes=minutes)
        assert drafted["new_field_minutes"] == minutes
        (row,) = town.proposals(drafted["round_id"])
        assert slots[row["slot_id"]] == occupation
        rewards = [r["value"] for r in row["reasons"] if r["rule"] == "new_field"]
        assert rewards == ([-20] if occupation == "7111" else [])
    period = {"placement_type": "apl", "starts_on": "2027-02-01", "ends_on": "2027-03-26"}
    stack.call("POST", "matching", "/1766/rounds", status=422, json=period | {"new_field_minutes": 31})
    told = await last_told(stack, "INT_LOCAL", "nav.1766.int.matching.round.drafted.v1")
    assert (told["mode"], told["new_field_minutes"]) == ("most_placed", 2)
    town.approve(drafted["round_id"])
    (offer,) = await town.offers(1)
    assert slots[offer["slot_id"]] == "7111"


async def test_the_account_says_who_was_served_how_and_hides_the_few(stack, towns):
    town = towns("1780")
    town.employers(4)
    for n in range(3):
        town.slot(f"s{n}", workplace=f"w{n}", seats=3)
    for n in range(17):
        town.learner(f"l{n}", needs="step_free" if n < 2 else "")
    await town.known(3, 17)
    drafted = town.draft()
    path = f"/1780/rounds/{drafted['round_id']}"
    account = stack.call("GET", "matching", f"{path}/account")
    assert (account["mode"], account["new_field_minutes"], account["matched"]) == ("most_placed", 0, 9)
    assert account["inputs"] == drafted["inputs"]
    assert account["served"]["tier"] == [
        {"key": "0", "learners": None, "placed": None},
        {"key": "1", "learners": None, "placed": None},
    ], "two of seventeen are too few to show, and fifteen would give them away"
    assert account["served"]["municipality"] == [{"key": "1780", "learners": 17, "placed": 9}]
    assert account["served"]["wish_rank"] == [{"key": "1", "learners": 9, "placed": 9}]
    token = stack.token("coordinator", municipalities=("1780",))
    for language, words in (("sv", "Så gjordes matchningen"), ("en", "How the round was placed")):
        answered = httpx.get(
            f"{stack.running['services']['matching']}{path}/page?lang={language}",
            headers={"authorization": f"Bearer {token}"},
        )
        assert answered.status_code == 200
        assert words in answered.text
        assert f'lang="{language}"' in answered.text
        assert "<svg" in answered.text
        assert not re.search(r"https?://(?!www.w3.org/2000/svg)", answered.text), "it stands alone"
        learners = {r["learner_id"] for r in town.proposals(drafted["round_id"])}
        assert not any(learner in answered.text for learner in learners)
    answered = httpx.get(f"{stack.running['services']['matching']}{path}/page")
    assert answered.status_code == 401


async def test_bad_input_an_empty_round_is_answered(stack, towns):
    town = towns("1781")
    drafted = town.draft()
    assert (drafted["learners"], drafted["matched"], drafted["proof"]["gap"]) == (0, 0, 0)
    path = f"/1781/rounds/{drafted['round_id']}"
    assert stack.call("GET", "matching", f"{path}/bottlenecks") == []
    account = stack.call("GET", "matching", f"{path}/account")
    assert account["served"] == {"tier": [], "municipality": [], "travel": [], "wish_rank": []}
    assert town.approve(drafted["round_id"])["matches"] == 0
