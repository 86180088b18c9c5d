"""Each rule that is said to decide something does so in the running system, by whoever is said to decide."""

import tomllib
from datetime import timedelta
from importlib.resources import files

import pytest

from kompetensnav_chassis.testing import eventually
from kompetensnav_contracts.catalogue import catalogue
from support.stack import today

pytestmark = pytest.mark.real
CHILD, YOUTH, ADULT = "2012-05-05", "2010-05-05", "1995-05-05"
SOON = {"starts_on": timedelta(days=9), "ends_on": timedelta(days=40)}
PRAO, LIA = {"placement_type": "prao"}, {"placement_type": "lia"}
PAID = {"placement_type": "holiday_practice", "ends_on": "2027-02-12"}
SEATS = {
    "R3": ("2015-06-01", PRAO, PRAO),
    "R4": (CHILD, PAID, PAID | {"terms": {"hours_per_day": 5}}),
    "R5": (YOUTH, {}, {"terms": {"hours_per_day": 9}}),
    "R6": (YOUTH, {}, {"terms": {"hours_per_day": 7, "break_minutes": 20}}),
    "R7": (CHILD, PRAO, PRAO | {"terms": {"starts_at": "05:00", "ends_at": "11:00"}}),
    "R8": (YOUTH, {"terms": {"school_hours_per_week": 10}}, {"terms": {"hours_per_week": 35}}),
    "R9": (YOUTH, {}, {"terms": {"hazards": ["asbestos"]}}),
    "R16": (YOUTH, {}, {"terms": {"programmes": ["vo"]}}),
    "R18": (ADULT, LIA | SOON, LIA | SOON | {"terms": {"setting": "preschool"}}),
    "R19": (
        "2003-05-05",
        {"placement_type": "work_practice", "terms": {"decision": {"by": "af", "decided_on": "2026-11-01"}}},
        {"placement_type": "work_practice"},
    ),
    "R24": (YOUTH, {}, {"terms": {"needs_licence": True}}),
    "R29": (YOUTH, {"needs": ["quiet"]}, {}),
}
"""Rule -> (born on, the request, the slot) that it refuses a seat."""
REQUESTS = {
    "R24": (YOUTH, {"max_travel_minutes": 75}),
    "R35": (ADULT, {"placement_type": "holiday_practice", "ends_on": "2027-03-26"}),
}
STARTS = {"R10", "R11", "R17", "R20", "R23"}
ELSEWHERE = {
    "R12": "test_the_ledger_refuses_by_the_rules_that_are_its_own",
    "R13": "test_the_ledger_refuses_by_the_rules_that_are_its_own",
    "R21": "test_the_ledger_refuses_by_the_rules_that_are_its_own",
    "R22": "test_a_protected_learner_is_never_placed_by_a_round",
    "R26": "test_matching_ranks_by_wish_and_language_and_publishes_the_lots_number",
    "R28": "test_matching_ranks_by_wish_and_language_and_publishes_the_lots_number",
    "R31": "test_nothing_that_matching_hears_tells_a_sex",
    "R32": "test_how_often_a_workplace_is_asked_is_counted",
}
CODE = "0884"


def dated(values):
    """What is asked or offered, with a day for each number of days from now."""
    ahead = {key: f"{today() + value}" for key, value in values.items() if isinstance(value, timedelta)}
    return values | ahead


def rules_of(refused):
    return [e["rule"] for e in refused["errors"]]


def test_there_is_a_proof_for_each_rule_that_decides():
    pack = tomllib.loads((files("kompetensnav_registry") / "data/rules.toml").read_text())["rule"]
    decide = {rule["id"] for rule in pack if rule["decides"] != "not yet"}
    assert decide == SEATS.keys() | REQUESTS.keys() | STARTS | ELSEWHERE.keys()
    assert set(ELSEWHERE.values()) <= globals().keys()


@pytest.mark.parametrize("rule", SEATS)
async def test_a_seat_is_refused_by(rule, desks):
    born_on, asked, offered = SEATS[rule]
    desk = desks(CODE)
    programme = {"programme": "el"} if rule == "R16" else {}
    request = desk.request(desk.learner(f"seat-{rule}", born_on, **programme), **dated(asked))
    refused = desk.offer(request, desk.slot(**dated(offered)), status=409)
    assert rules_of(refused) == [rule]
    (error,) = refused["errors"]
    assert error["law"]
    assert error["reason"] != error["reason_sv"]


@pytest.mark.parametrize("rule", REQUESTS)
async def test_a_request_is_refused_by(rule, desks):
    born_on, asked = REQUESTS[rule]
    desk = desks(CODE)
    refused = desk.request(desk.learner(f"request-{rule}", born_on), **asked, status=409)
    assert rules_of(refused) == [rule]


async def test_a_start_is_refused_by_what_is_not_in_place(stack, desks):
    """R10, R11 and R20 are what an employer declares by saying yes; R11 goes by the supervisor that is named;
    R17 by an extract from the criminal records; R23 by the guardian's word."""
    desk = desks(CODE)
    desk.receives(9)
    place = f"/workplaces/{desk.workplace['workplace_id']}"

    def confirmed(ref, born_on, asked, offered):
        request = desk.request(desk.learner(f"start-{ref}", born_on), **asked)
        return desk.confirmed(desk.offer(request, desk.slot(**offered)))

    def start(placement, status=200):
        return desk.call("POST", f"/placements/{placement['placement_id']}/progress/start", status=status)

    declared = confirmed("declared", YOUTH, {}, {})
    await stack.sql(
        "registry", "update offer set declared = '{}' where offer_id = $1", declared["offer_id"], role="owner"
    )
    assert rules_of(start(declared, 409)) == ["R10", "R11", "R20"]
    young = {"name": "Ung Handledare", "is_adult": False, "most_at_once": 2}
    supervisor = desk.call("POST", f"{place}/supervisors", json=young, status=201)["supervisor_id"]
    named = confirmed("young", ADULT, {}, {"supervisor_id": supervisor})
    assert rules_of(start(named, 409)) == ["R11"]
    checked = confirmed("checked", ADULT, LIA, LIA | {"terms": {"setting": "preschool"}})
    assert rules_of(start(checked, 409)) == ["R17"]
    trade = {"placement_type": "apprenticeship"}
    consent = confirmed("consent", YOUTH, trade | {"terms": {"guardian_consents": False}}, trade)
    assert rules_of(start(consent, 409)) == ["R23"]


async def test_the_ledger_refuses_by_the_rules_that_are_its_own(desks):
    desk = desks("0885")
    desk.receives(9)
    first, second = (desk.request(desk.learner(ref, ADULT)) for ref in ("a", "b"))
    one = desk.slot(seats=1)
    offer = desk.offer(first, one)
    assert rules_of(desk.offer(second, one, status=409)) == ["R13"]
    again = desk.request(desk.learner("c", ADULT))
    other = desk.request(again["learner_id"], placement_type="lia")
    desk.offer(again, desk.slot())
    assert rules_of(desk.offer(other, desk.slot(placement_type="lia"), status=409)) == ["R21"]
    busy = {"name": "Upptagen Handledare", "is_adult": True, "most_at_once": 1}
    place = f"/workplaces/{desk.workplace['workplace_id']}"
    supervisor = desk.call("POST", f"{place}/supervisors", json=busy, status=201)["supervisor_id"]
    led = desk.slot(supervisor_id=supervisor)
    desk.offer(second, led)
    third = desk.request(desk.learner("d", ADULT))
    assert rules_of(desk.offer(third, led, status=409)) == ["R12"]
    assert offer["state"] == "open"


async def test_a_protected_learner_is_never_placed_by_a_round(stack, towns):
    town = towns("0665")
    town.employers()
    town.slot("s", seats=2)
    town.learner("open")
    town.learner("hidden")
    await town.known(1, 2)
    drafted = town.draft()
    learners = stack.call("GET", "registry", "/0665/learners")["items"]
    row = next(each for each in learners if "hidden" in each["given_name"])
    hidden = row["learner_id"]
    marked = {"security_marking": "protected_registration", "case_worker": "Handläggare Ett"}
    change = marked | {"revision": row["revision"]}
    stack.call("PATCH", "registry", f"/0665/learners/{hidden}", json=change)
    town.approve(drafted["round_id"])

    async def settled():
        return await stack.sql("registry", "select learner_id from offer where municipality = '0665'")

    (offer,) = await eventually(settled)
    assert str(offer["learner_id"]) != hidden


async def test_matching_ranks_by_wish_and_language_and_publishes_the_lots_number(towns):
    town = towns("0680")
    town.employers()
    town.slot("liked", occupation="5321")
    town.slot("other", occupation="7111")
    town.slot("spoken", occupation="5330", min_language="fluent")
    town.learner("ranked", wishes="5321;7111")
    town.learner("learning", wishes="5330")
    await town.known(3, 2)
    learners = town.stack.call("GET", "registry", "/0680/learners")["items"]
    learning = next(each for each in learners if "learning" in each["given_name"])
    change = {"language": "A", "revision": learning["revision"]}
    town.stack.call("PATCH", "registry", f"/0680/learners/{learning['learner_id']}", json=change)

    async def drafted():
        made = town.draft()
        rows = {row["learner_id"]: row for row in town.proposals(made["round_id"])}
        return (made, rows) if rows[learning["learner_id"]]["slot_id"] is None else None

    made, rows = await eventually(drafted)
    (ranked,) = (row for id, row in rows.items() if id != learning["learner_id"])
    assert ranked["wish_rank"] == 1
    account = town.stack.call("GET", "matching", f"/0680/rounds/{made['round_id']}/account")
    assert isinstance(account["seed"], int)


def test_nothing_that_matching_hears_tells_a_sex():
    """No event has such a field, so nothing can be ranked by it."""
    fields = {name for event in catalogue().values() for name in event.model_fields}
    assert len(fields) > 100
    assert not fields & {"sex", "gender", "given_name", "family_name", "name", "birth_place"}


async def test_how_often_a_workplace_is_asked_is_counted(desks):
    desk = desks("0682")
    span = f"starts_on={today()}&ends_on=2027-06-30"

    def asked():
        place = desk.workplace["workplace_id"]
        return desk.call("GET", f"/workplaces/{place}/account?{span}")["asked"]

    before = asked()
    desk.offer(desk.request(desk.learner("a", ADULT)), desk.slot())
    assert asked() == before + 1
