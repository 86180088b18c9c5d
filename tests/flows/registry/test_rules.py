"""Rule packs: every refusal names its rule; a municipality sets its own numbers; what changes when."""

import pytest

from kompetensnav_chassis.testing import eventually

pytestmark = pytest.mark.real
MINOR = "2010-05-05"


def rules_of(refused):
    return [e["rule"] for e in refused["errors"]]


async def test_a_seat_is_refused_by_every_rule_it_breaks_with_its_law(desks):
    desk = desks("1080")
    slot = desk.slot(
        terms={"hazards": ["asbestos"], "hours_per_day": 9, "break_minutes": 20, "programmes": ["vo"]}
    )
    request = desk.request(desk.learner("a", MINOR, programme="el"))
    refused = desk.offer(request, slot, status=409)
    assert refused["type"] == "urn:kompetensnav:problem:rule-broken"
    assert rules_of(refused) == ["R5", "R6", "R9", "R16"]
    assert all(e["law"] and e["reason"] != e["reason_sv"] for e in refused["errors"])
    grown = desk.request(desk.learner("b", programme="vo"))
    assert desk.offer(grown, slot)["state"] == "open"


async def test_the_ledgers_refusals_carry_their_rule_too(desks):
    desk = desks("1081")
    slot = desk.slot(seats=1)
    first, second = desk.request(desk.learner("a")), desk.request(desk.learner("b"))
    desk.offer(first, slot)
    assert rules_of(desk.offer(second, slot, status=409)) == ["R13"]


async def test_an_approved_match_that_breaks_a_rule_is_refused_and_told_with_its_id(stack, towns):
    town = towns("1082")
    town.employers()
    town.slot("s")
    slot = stack.call("GET", "registry", "/1082/slots")["items"][0]
    terms = {"terms": {"hazards": ["asbestos"]}, "revision": slot["revision"]}
    stack.call("PATCH", "registry", f"/1082/slots/{slot['slot_id']}", json=terms)
    town.learner("l")
    await town.known(1, 1)
    town.approve(town.draft()["round_id"])

    async def told():
        return await stack.sql(
            "registry", "select convert_from(body, 'utf8')::jsonb b from outbox"
            " where subject = 'nav.1082.int.registry.seat.refused.v1'",
        )  # fmt: skip

    (row,) = await eventually(told)
    assert '"refusal": "rule"' in row["b"]
    assert '"rule": "R9"' in row["b"]
    assert stack.call("GET", "registry", "/1082/offers")["total"] == 0

    async def free():
        (row,) = await stack.sql("matching", "select state from open_request where municipality = '1082'")
        return row["state"] == "open"

    await eventually(free)
    again = town.proposals(town.draft()["round_id"])
    assert [proposal["slot_id"] for proposal in again] == [None], "the pair is not proposed again"


async def test_a_request_is_held_against_the_rules_and_a_municipality_sets_its_own_numbers(desks):
    desk = desks("1083")
    far = desk.request(desk.learner("a", MINOR), max_travel_minutes=75, status=409)
    assert rules_of(far) == ["R24"]
    long = desk.request(
        desk.learner("b", MINOR), max_travel_minutes=75, placement_type="holiday_practice", status=409
    )
    assert rules_of(long) == ["R24", "R35"]
    own = {"valid_from": "2026-01-01", "parameters": {"minutes_minor": 80}, "decided_by": "KS 2026:1"}
    desk.call("PUT", "/rules/R24", json=own, status=204)
    assert desk.request(desk.learner("c", MINOR), max_travel_minutes=75)["state"] == "open"
    (mine,) = (r for r in desk.call("GET", "/rules?on=2027-02-01")["items"] if r["id"] == "R24")
    assert mine["parameters"]["minutes_minor"] == 80
    law = desk.call("PUT", "/rules/R9", json=own | {"parameters": {}}, status=400)
    assert "law" in law["detail_en"]
    for wrong in ({"minutes_minor": "x"}, {"kilometres": 4}):
        assert "R24" in desk.call("PUT", "/rules/R24", json=own | {"parameters": wrong}, status=400)["detail"]


async def test_a_municipalitys_own_value_is_one_that_the_rule_can_read(desks):
    desk = desks("1062")
    own = {"valid_from": "2026-01-01", "decided_by": "KS 2026:1"}
    for wrong in ({"earliest": "banana"}, {"earliest": "6:00"}, {"weekdays": ["monday"]}, {"weekdays": 5}):
        refused = desk.call("PUT", "/rules/R7", json=own | {"parameters": wrong}, status=400)
        assert "R7 does not take" in refused["detail_en"]
    desk.call("PUT", "/rules/R7", json=own | {"parameters": {"earliest": "08:00"}}, status=204)
    prao = {"placement_type": "prao"}
    slot = desk.slot(**prao, terms={"starts_at": "07:00", "ends_at": "14:00"})
    request = desk.request(desk.learner("a", "2012-05-05"), **prao)
    assert rules_of(desk.offer(request, slot, status=409)) == ["R7"]
    assert desk.call("PUT", "/rules/R12", json=own | {"parameters": {"at_once": 10**10}}, status=400)
    days = {"municipality_days": 30}
    desk.call("PUT", "/rules/R19", json=own | {"parameters": days}, status=204)
    for wrong in ({"parameters": {"days": 900}}, {"parameters": days, "switched_off": True}):
        desk.call("PUT", "/rules/R19", json=own | wrong, status=400)
    decided = {"by": "municipality", "decided_on": "2026-11-01"}
    practice = {"placement_type": "work_training"}
    request = desk.request(desk.learner("b"), **practice, terms={"decision": decided})
    assert rules_of(desk.offer(request, desk.slot(**practice), status=409)) == ["R19"]


async def test_a_seat_is_held_against_the_slots_licence_the_nights_rest_and_the_placement_type(desks):
    desk = desks("1063")
    youth = desk.request(desk.learner("a", MINOR))
    for terms, rule in (({"needs_licence": True}, "R24"), ({"starts_at": "22:00", "ends_at": "06:00"}, "R5")):
        assert rules_of(desk.offer(youth, desk.slot(terms=terms), status=409)) == [rule]
    other = desk.offer(youth, desk.slot(placement_type="lia"), status=409)
    assert other["type"] == "urn:kompetensnav:problem:other-placement-type"
    paid = {"placement_type": "holiday_practice", "ends_on": "2027-02-19"}
    child = desk.learner("b", "2012-05-05")
    slot = desk.slot(**paid, terms={"hours_per_day": 7, "break_minutes": 30})
    asked = desk.request(child, **paid)
    assert rules_of(desk.offer(asked, slot, status=409)) == ["R4"], "a school week"
    desk.call("POST", f"/requests/{asked['request_id']}/close")
    asked = desk.request(child, **paid, terms={"in_school_weeks": False})
    offer = desk.offer(asked, slot)
    assert offer["state"] == "open"
    desk.call("POST", f"/offers/{offer['offer_id']}/decline", json={"party": "employer"})
    own = {"valid_from": "2026-01-01", "decided_by": "KS 2026:1"}
    for wrong in (["01-25"], ["02-30", "03-01"], ["06-30", "06-01"], ["05-01", "09-30"], ["06-08", "W30-5"]):
        desk.call("PUT", "/rules/R4", json=own | {"parameters": {"summer": wrong}}, status=400)
    june = {"starts_on": "2027-06-01", "ends_on": "2027-06-18"}
    slot = desk.slot(**paid | june, terms={"hours_per_day": 7, "break_minutes": 30})
    asked = desk.request(child, **paid | june)
    assert rules_of(desk.offer(asked, slot, status=409)) == ["R4"]
    desk.call("PUT", "/rules/R4", json=own | {"parameters": {"summer": ["06-01", "08-20"]}}, status=204)
    assert desk.offer(asked, slot)["state"] == "open", "the municipality's own days without school"


async def test_a_placement_starts_when_what_must_be_in_place_is(desks):
    desk = desks("1060")
    slot = desk.slot(placement_type="lia", terms={"setting": "preschool"})
    learner = desk.learner("a")
    request = desk.request(learner, placement_type="lia")
    placement = desk.confirmed(desk.offer(request, slot))
    start = f"/placements/{placement['placement_id']}/progress/start"
    assert rules_of(desk.call("POST", start, status=409)) == ["R17"]
    shown = {"kind": "school", "shown_on": "2026-02-01"}
    desk.call("POST", f"/learners/{learner}/background-checks", json=shown | {"shown_on": "2025-01-01"},
              status=204)  # fmt: skip
    assert rules_of(desk.call("POST", start, status=409)) == ["R17"], "older than a year"
    desk.call("POST", f"/learners/{learner}/background-checks", json=shown, status=204)
    assert desk.call("POST", start)["state"] == "started"


async def test_the_command_line_shows_what_changes_and_whom_it_touches(stack, desks, monkeypatch):
    desk = desks("1061")
    desk.slot(placement_type="prao", starts_on="2028-09-04", ends_on="2028-09-15")
    desk.request(
        desk.learner("a", "2014-05-05"), placement_type="prao", starts_on="2028-09-04", ends_on="2028-09-15"
    )
    held = stack.run("rules")
    assert held.returncode == 0, held.stderr
    decides = dict(line.split()[:2] for line in held.stdout.splitlines() if line.startswith("R"))
    assert (decides["R9"], decides["R12"], decides["R28"], decides["R32"], decides["R1"]) == (
        "here", "ledger", "matching", "counted", "not",
    )  # fmt: skip
    listed = {rule["id"]: rule["decides"] for rule in desk.call("GET", "/rules")["items"]}
    assert (len(listed), listed["R1"], listed["R13"]) == (35, "not yet", "ledger")
    own = {"valid_from": "2026-01-01", "parameters": {"km": 3}, "decided_by": "KS 2026:1"}
    refused = desk.call("PUT", "/rules/R25", json=own, status=400)
    assert "Nothing is decided by R25 yet" in refused["detail_en"]
    alone = stack.run("rules", "--on", "2028-08-01")
    assert alone.returncode == 0, alone.stderr
    assert "R1 " in alone.stdout
    assert "årskurs 9" in " ".join(alone.stdout.split())
    monkeypatch.setenv("KOMPETENSNAV_TOKEN", stack.token("coordinator", municipalities=("1061",)))
    asked = stack.run("rules", "--on", "2028-08-01", "--municipality", "1061")
    assert "1 requests, 1 slots, 0" in " ".join(asked.stdout.split()), asked.stdout + asked.stderr
    nothing = stack.run("rules", "--on", "2027-08-01")
    assert "Nothing is other" in nothing.stdout
    monkeypatch.setenv("KOMPETENSNAV_TOKEN", "x")
    refused = stack.run("rules", "--on", "2028-08-01", "--municipality", "1061")
    assert refused.returncode == 1
    assert "refused" in refused.stderr
