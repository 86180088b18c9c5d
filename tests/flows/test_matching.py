"""Matching: a draft with reasons, what people decide, and repair."""

import pytest
import uuid_utils.compat as uuids

from kompetensnav_chassis.testing import eventually

pytestmark = pytest.mark.real


async def test_a_draft_places_most_and_says_why_and_why_not(stack, towns):
    town = towns("1401")
    town.employers(2)
    town.slot("care", occupation="5321")
    town.slot("build", workplace="w1", occupation="7111")
    town.learner("both", wishes="5321;7111")
    town.learner("care", wishes="5321")
    town.learner("cook", wishes="5120")
    await town.known(2, 3)
    drafted = town.draft()
    assert (drafted["learners"], drafted["seats"], drafted["matched"]) == (3, 2, 2)
    assert drafted["inputs"]
    rows = town.proposals(drafted["round_id"])
    matched = [r for r in rows if r["slot_id"]]
    assert {r["wish_rank"] for r in matched} == {1, 2}
    for row in matched:
        assert sum(reason["value"] for reason in row["reasons"]) == row["cost"], (
            "the parts add up to the cost"
        )
    (unmatched,) = [r for r in rows if not r["slot_id"]]
    assert unmatched["reasons"][0] == {"rule": "only_occupation", "value": 2}
    offers = stack.call("GET", "registry", "/1401/offers")
    assert offers["total"] == 0, "a draft tells nobody and reserves nothing"


async def test_a_draft_is_proved_and_shows_what_each_way_to_place_would_give(stack, towns):
    """Two learners, one of whom has needs that a single slot meets: it is placed first where there are too
    few seats, and no way to place serves it worse."""
    town = towns("1482")
    town.employers(1)
    town.slot("only", occupation="5321", offers_needs="step_free")
    town.learner("one", wishes="5321")
    town.learner("other", wishes="5321", needs="step_free")
    await town.known(1, 2)
    (first,) = await stack.sql(
        "matching",
        "select request_id::text id from open_request where municipality = $1 and needs <> '{}'",
        "1482",
    )
    drafts = {mode: town.draft(mode=mode) for mode in ("most_placed", "stable", "stable_filled")}
    for mode, drafted in drafts.items():
        proof = drafted["proof"]
        assert (drafted["mode"], drafted["matched"], proof["gap"]) == (mode, 1, 0)
        assert [way["mode"] for way in proof["ways"]] == list(drafts)
        assert {(way["placed"], way["envious"]) for way in proof["ways"]} == {(1, 0)}
        rows = town.proposals(drafted["round_id"])
        (placed,) = [row for row in rows if row["slot_id"]]
        assert placed["request_id"] == first["id"]
    assert len({drafted["proof"]["seed"] for drafted in drafts.values()}) == 1
    odd = {"placement_type": "apl", "starts_on": "2027-02-01", "ends_on": "2027-03-26", "mode": "luck"}
    stack.call("POST", "matching", "/1482/rounds", status=422, json=odd)


async def test_people_pin_forbid_place_by_hand_and_the_rest_is_solved_again(stack, towns):
    town = towns("1402")
    town.employers(3)
    for n in range(3):
        town.slot(f"s{n}", workplace=f"w{n}")
    for ref in ("a", "b"):
        town.learner(ref)
    await town.known(3, 2)
    drafted = town.draft()
    round_path = f"/1402/rounds/{drafted['round_id']}"
    first, second = town.proposals(drafted["round_id"])
    taken = {first["slot_id"], second["slot_id"]}
    (spare,) = {s["slot_id"] for s in stack.call("GET", "registry", "/1402/slots")["items"]} - taken
    hand = stack.call(
        "POST", "matching", f"{round_path}/place", json={"request_id": first["request_id"], "slot_id": spare}
    )
    assert (hand["slot_id"], hand["by"], hand["pinned"]) == (spare, "person", True)
    full = stack.call(
        "POST", "matching", f"{round_path}/place", status=409,
        json={"request_id": second["request_id"], "slot_id": spare},
    )  # fmt: skip
    assert full["type"] == "urn:kompetensnav:problem:slot-is-full"
    stack.call("POST", "matching", f"{round_path}/proposals/{second['proposal_id']}/forbid")
    solved = stack.call("POST", "matching", f"{round_path}/solve")
    assert solved["matched"] == 2
    by_request = {r["request_id"]: r for r in town.proposals(drafted["round_id"])}
    assert by_request[first["request_id"]]["slot_id"] == spare
    assert by_request[second["request_id"]]["slot_id"] not in (None, second["slot_id"], spare)
    kept = by_request[second["request_id"]]
    stack.call("POST", "matching", f"{round_path}/proposals/{kept['proposal_id']}/pin")
    stack.call("POST", "matching", f"{round_path}/solve")
    assert {r["slot_id"] for r in town.proposals(drafted["round_id"])} == {spare, kept["slot_id"]}


async def test_only_what_is_approved_is_told_and_the_rest_waits_in_a_repair_draft(stack, towns):
    town = towns("1407")
    town.employers(2)
    town.slot("s0")
    town.slot("s1", workplace="w1")
    for ref in ("a", "b"):
        town.learner(ref)
    await town.known(2, 2)
    drafted = town.draft()
    chosen = town.proposals(drafted["round_id"])[0]
    approved = town.approve(drafted["round_id"], proposals=[chosen["proposal_id"]])
    assert approved["matches"] == 1
    (offer,) = await town.offers(1)
    assert offer["request_id"] == chosen["request_id"]
    again = stack.call("POST", "matching", f"/1407/rounds/{drafted['round_id']}/approve", status=409)
    assert again["type"] == "urn:kompetensnav:problem:round-is-decided"

    async def repair():
        found = stack.call("GET", "matching", "/1407/rounds?state=draft")["items"]
        return [r for r in found if r["repairs"] == drafted["round_id"] and r["matched"] == 1]

    (draft,) = await eventually(repair)
    assert town.approve(draft["round_id"])["matches"] == 1
    await town.offers(2)


async def test_a_no_is_repaired_by_the_standing_rule_and_never_proposed_again(stack, towns):
    town = towns("1415")
    town.employers(2)
    town.slot("s0")
    town.learner("l")
    await town.known(1, 1)
    stack.call("PUT", "matching", "/1415/standing-rule", json={"approve_repairs": True})
    town.approve(town.draft()["round_id"])
    (offer,) = await town.offers(1)
    stack.call("POST", "registry", f"/1415/offers/{offer['offer_id']}/decline", json={"party": "learner"})
    await town.offers(1, "declined")
    town.slot("s1", workplace="w1")
    (second,) = await town.offers(1)
    assert second["slot_id"] != offer["slot_id"]


@pytest.mark.parametrize(
    ("code", "slot", "learner", "rule"),
    [
        ("1419", {"min_language": "D"}, {}, None),
        ("1421", {}, {"needs": "step_free"}, "only_needs"),
        ("1427", {"shared_with": "public"}, {}, None),
        ("1430", {"occupation": "5120"}, {}, "only_occupation"),
        ("0180", {"ends_on": "2027-03-20"}, {}, None),
        ("0181", {}, {"until": "2027-03-25"}, "only_period"),
    ],
)
async def test_a_hard_rule_lets_through_or_says_so(stack, towns, code, slot, learner, rule):
    town = towns(code)
    town.employers()
    town.slot("s", **slot)
    town.learner("l", **learner)
    await town.known(1, 1)
    (row,) = town.proposals(town.draft()["round_id"])
    assert bool(row["slot_id"]) is (rule is None)
    if rule:
        assert row["reasons"][0]["rule"] == rule


async def test_a_joint_round_needs_an_agreement_that_covers_it(stack, towns):
    ours, theirs = towns("1435"), towns("1438")
    for town in (ours, theirs):
        town.employers()
    theirs.stack.bring_in(
        "1438", "slots",
        "ref,workplace,placement_type,occupation,starts_on,ends_on,seats,shared_with,named_municipalities\n"
        "s,w0,apl,5321,2027-02-01,2027-03-26,1,named,1435\n",
    )  # fmt: skip
    ours.learner("l")
    await theirs.known(1, 0)
    await ours.known(0, 1)
    assert ours.draft()["matched"] == 0, "without an agreement the other town's slot is not seen"
    token = stack.token("coordinator", municipalities=("1435", "1438"))
    agreement = {"municipalities": ["1435", "1438"], "placement_types": ["apl"], "valid_from": "2026-01-01"}
    signed = stack.call(
        "POST", "registry", "/1435/agreements", json=agreement, headers={"authorization": f"Bearer {token}"}
    )

    async def known():
        return await stack.sql(
            "matching", "select 1 from agreement where agreement_id = $1", signed["agreement_id"]
        )

    await eventually(known)
    wrong = {"placement_type": "prao", "starts_on": "2027-02-01", "ends_on": "2027-03-26"}
    refused = stack.call(
        "POST", "matching", "/1435/rounds", json=wrong | {"agreement_id": signed["agreement_id"]}, status=403
    )
    assert refused["type"] == "urn:kompetensnav:problem:agreement-does-not-cover"
    not_lead = stack.call(
        "POST", "matching", "/1438/rounds", status=403,
        json=wrong | {"placement_type": "apl", "agreement_id": signed["agreement_id"]},
    )  # fmt: skip
    assert not_lead["status"] == 403
    drafted = ours.draft(agreement_id=signed["agreement_id"])
    assert drafted["matched"] == 1
    ours.approve(drafted["round_id"])
    (offer,) = await ours.offers(1)
    slot = stack.call("GET", "registry", "/1438/slots")["items"][0]
    assert (slot["slot_id"], slot["taken"]) == (offer["slot_id"], 1)


async def test_a_scheduled_round_is_drafted_when_it_is_due(stack, towns):
    town = towns("1439")
    town.employers()
    town.slot("s")
    town.learner("l")
    await town.known(1, 1)
    made = town.draft(draft_at="2026-01-01T00:00:00Z")
    assert made["state"] == "scheduled"

    async def drafted():
        shown = stack.call("GET", "matching", f"/1439/rounds/{made['round_id']}")
        return shown["state"] == "draft" and shown["matched"] == 1

    await eventually(drafted, 30)


async def test_an_unknown_round_or_agreement_is_404(stack, towns):
    stack.call("GET", "matching", f"/1440/rounds/{uuids.uuid7()}", status=404)
    wanted = {"placement_type": "apl", "starts_on": "2027-02-01", "ends_on": "2027-03-26"}
    stack.call(
        "POST", "matching", "/1440/rounds", json=wanted | {"agreement_id": str(uuids.uuid7())}, status=404
    )


async def test_travel_times_decide_what_is_too_far(stack, towns):
    town = towns("1441")
    town.employers()
    town.slot("s")
    head = "ref,administration,school,given_name,family_name,born_on,locality\n"
    stack.bring_in("1441", "learners", f"{head}far,school,gy1,A,B,2009-01-01,borta1441\n")
    head = "ref,learner,administration,placement_type,starts_on,ends_on,wishes,max_travel_minutes\n"
    stack.bring_in("1441", "requests", f"{head}rf,far,school,apl,2027-02-01,2027-03-26,5321,60\n")
    await town.known(1, 1)
    (row,) = town.proposals(town.draft()["round_id"])
    assert row["reasons"][0]["rule"] == "only_too_far", "an unknown way is too far"
    times = [{"home": "borta1441", "work": "lulea", "minutes": 61}]
    stack.call("PUT", "matching", "/1441/travel-times", json=times, role="operator")
    assert town.draft()["matched"] == 0
    times[0]["minutes"] = 60
    stack.call("PUT", "matching", "/1441/travel-times", json=times, role="operator")
    (row,) = town.proposals(town.draft()["round_id"])
    assert {"rule": "travel", "value": 600} in row["reasons"]


async def test_another_administration_neither_sees_nor_decides_a_round(stack, towns):
    town = towns("0114")
    town.employers()
    town.slot("s")
    town.learner("l")
    await town.known(1, 1)
    drafted = town.draft()
    path, other = f"/0114/rounds/{drafted['round_id']}", {"administrations": ("social",), "status": 404}
    for method, way in (("GET", path), ("GET", f"{path}/proposals"), ("POST", f"{path}/approve"),
                        ("POST", f"{path}/solve"), ("POST", f"{path}/drop")):  # fmt: skip
        stack.call(method, "matching", way, **other)
    assert stack.call("GET", "matching", "/0114/rounds", administrations=("social",))["total"] == 0
    assert town.approve(drafted["round_id"])["matches"] == 1


async def test_a_place_that_came_to_nothing_opens_the_request_again(stack, towns):
    """A learner with an own-found place on its way is refused a second seat; when the place comes to nothing,
    the next repair looks at the learner again."""
    town = towns("0115")
    town.employers(2)
    town.slot("s")
    town.learner("l")
    await town.known(1, 1)
    stack.call("PUT", "matching", "/0115/standing-rule", json={"approve_repairs": True})
    request = stack.call("GET", "registry", "/0115/requests")["items"][0]
    workplaces = stack.call("GET", "registry", "/0115/workplaces")["items"]
    found = {"request_id": request["request_id"], "workplace_id": workplaces[1]["workplace_id"]}
    own = stack.call("POST", "registry", "/0115/own-found", json=found | {"occupation": "5321"}, status=201)
    town.approve(town.draft()["round_id"])

    async def waits():
        rows = await stack.sql("matching", "select state from open_request where municipality = '0115'")
        return [r["state"] for r in rows] == ["waiting"]

    await eventually(waits)
    stack.call("POST", "registry", f"/0115/offers/{own['offer_id']}/decline", json={"party": "employer"})
    (offer,) = await town.offers(1)
    assert offer["offer_id"] != own["offer_id"]


async def test_a_seat_that_frees_elsewhere_at_the_workplace_is_matched(stack, towns):
    """The workplace takes three a week. While they are there its other slot has no room; when one leaves, it
    has."""
    town = towns("0117")
    town.employers()
    town.slot("full", seats=3)
    town.slot("other", occupation="5120")
    for n in range(3):
        town.learner(f"l{n}")
    await town.known(2, 3)
    town.approve(town.draft()["round_id"])
    offers = await town.offers(3)
    stack.call("PUT", "matching", "/0117/standing-rule", json={"approve_repairs": True})
    town.learner("cook", wishes="5120")

    async def told():
        rows = await stack.sql(
            "matching",
            "select l.seats from seats_left l join open_slot s using (slot_id, municipality)"
            " where s.municipality = '0117' and s.occupation = '5120'",
        )
        return [r["seats"] for r in rows] == [0]

    await eventually(told)
    await town.known(2, 1)
    assert town.draft()["matched"] == 0
    path = f"/0117/offers/{offers[0]['offer_id']}/decline"
    stack.call("POST", "registry", path, json={"party": "employer"})

    async def cook():
        page = stack.call("GET", "registry", "/0117/offers?state=open")["items"]
        return [o for o in page if o["occupation"] == "5120"]

    await eventually(cook)


async def test_a_pin_whose_slot_is_gone_is_let_go_and_repair_goes_on(stack, towns):
    town = towns("0120")
    town.employers(2)
    town.slot("s0")
    town.slot("s1", workplace="w1")
    for ref in ("a", "b"):
        town.learner(ref)
    await town.known(2, 2)
    drafted = town.draft()
    chosen = town.proposals(drafted["round_id"])[0]
    town.approve(drafted["round_id"], proposals=[chosen["proposal_id"]])

    async def repair():
        found = stack.call("GET", "matching", "/0120/rounds?state=draft")["items"]
        return [r for r in found if r["repairs"] and r["matched"] == 1]

    (draft,) = await eventually(repair)
    (row,) = [p for p in town.proposals(draft["round_id"]) if p["slot_id"]]
    path = f"/0120/rounds/{draft['round_id']}/proposals/{row['proposal_id']}"
    assert stack.call("POST", "matching", f"{path}/pin")["pinned"] is True
    stack.call("POST", "registry", f"/0120/slots/{row['slot_id']}/withdraw")
    town.slot("s2", workplace="w1")

    async def moved():
        found = stack.call("GET", "matching", "/0120/rounds?state=draft")["items"]
        rows = [p for r in found if r["repairs"] for p in town.proposals(r["round_id"])]
        return [p for p in rows if p["slot_id"] not in (None, row["slot_id"])]

    (again,) = await eventually(moved)
    assert again["pinned"] is False
    stale = stack.call(
        "POST", "matching", f"/0120/rounds/{draft['round_id']}/approve", status=409,
        json={"proposals": [row["proposal_id"]]},
    )  # fmt: skip
    assert stale["type"].rpartition(":")[2] in ("draft-has-changed", "round-is-decided")
