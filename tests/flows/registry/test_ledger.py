"""The capacity ledger: supervisors, split weeks, reasons, accounts, slots offered again, presence."""

import asyncio
import html
import json
import re
from datetime import date, timedelta

import httpx
import pytest

from kompetensnav_chassis.testing import eventually
from support.rows import SLOT_COLUMNS
from support.stack import monday, today

pytestmark = pytest.mark.real


def request_of(stack, code, ref, starts_on="2027-02-01", ends_on="2027-03-26", placement_type="apl"):
    """A learner with a request; its id."""
    head = "ref,administration,school,given_name,family_name,email,born_on,locality\n"
    row = f"{ref},school,gy1,Namn{ref},Efternamn,{ref}.{code}@elev.example.com,2000-05-05,lulea\n"
    stack.bring_in(code, "learners", head + row)
    head = "ref,learner,administration,placement_type,starts_on,ends_on,wishes\n"
    row = f"r{ref},{ref},school,{placement_type},{starts_on},{ends_on},5321\n"
    before = {r["request_id"] for r in requests(stack, code)}
    stack.bring_in(code, "requests", head + row)
    (made,) = {r["request_id"] for r in requests(stack, code)} - before
    return made


def requests(stack, code):
    return stack.call("GET", "registry", f"/{code}/requests?limit=500")["items"]


def post_slot(stack, code, status=201, **more):
    (place,) = stack.call("GET", "registry", f"/{code}/workplaces")["items"]
    body = {"workplace_id": place["workplace_id"], "placement_type": "apl", "occupation": "5321",
            "starts_on": "2027-02-01", "ends_on": "2027-03-26", "seats": 3}  # fmt: skip
    return stack.call("POST", "registry", f"/{code}/slots", json=body | more, status=status)


def offer(stack, code, request_id, slot_id, status=201):
    body = {"request_id": request_id, "slot_id": slot_id}
    return stack.call("POST", "registry", f"/{code}/offers", json=body, status=status)


def place_of(stack, code):
    (place,) = stack.call("GET", "registry", f"/{code}/workplaces")["items"]
    return f"/{code}/workplaces/{place['workplace_id']}"


async def test_a_supervisor_has_no_more_learners_at_once_than_one_may_have_over_all_slots(stack, towns):
    towns("0821").employers()
    tutor = stack.call(
        "POST", "registry", f"{place_of(stack, '0821')}/supervisors", status=201,
        json={"name": "Ulla", "is_adult": True, "most_at_once": 2},
    )["supervisor_id"]  # fmt: skip
    first = post_slot(stack, "0821", supervisor_id=tutor)
    second = post_slot(stack, "0821", supervisor_id=tutor, placement_type="lia")
    offer(stack, "0821", request_of(stack, "0821", "a"), first["slot_id"])
    held = offer(stack, "0821", request_of(stack, "0821", "b", placement_type="lia"), second["slot_id"])
    full = offer(stack, "0821", request_of(stack, "0821", "c"), first["slot_id"], status=409)
    assert full["type"] == "urn:kompetensnav:problem:supervisor-is-full"
    (seen,) = stack.call("GET", "registry", f"{place_of(stack, '0821')}/supervisors")["items"]
    assert seen["busiest_week"] == 2
    fewer = stack.call(
        "PATCH", "registry", f"/0821/supervisors/{tutor}", json={"revision": 1, "most_at_once": 1}, status=409
    )
    assert fewer["type"] == "urn:kompetensnav:problem:supervisor-is-full"
    stack.call("POST", "registry", f"/0821/offers/{held['offer_id']}/decline", json={"party": "learner"})
    other = stack.call(
        "POST", "registry", f"{place_of(stack, '0821')}/supervisors", status=201,
        json={"name": "Olle", "is_adult": True, "most_at_once": 1},
    )["supervisor_id"]  # fmt: skip
    path = f"/0821/slots/{first['slot_id']}"
    changed = {"supervisor_id": other, "revision": first["revision"]}
    assert stack.call("PATCH", "registry", path, json=changed)["supervisor_id"] == other
    full = offer(stack, "0821", requests(stack, "0821")[-1]["request_id"], first["slot_id"], status=409)
    stranger = post_slot(stack, "0821", status=404, supervisor_id="01980000-0000-7000-8000-000000000001")
    assert "supervisor" in stranger["detail_en"]


async def test_a_slot_at_a_full_workplace_has_no_seats_left_from_the_start(stack, towns):
    town = towns("0842")
    town.employers()
    for n in range(3):
        slot = post_slot(stack, "0842", seats=1)
        offer(stack, "0842", request_of(stack, "0842", f"l{n}"), slot["slot_id"])
    post_slot(stack, "0842", seats=2)
    stack.bring_in(
        "0842", "slots", f"{SLOT_COLUMNS}\nx,w0,apl,5321,2027-02-08,2027-02-19,2,none,,municipality,\n"
    )
    rows = await stack.sql("registry", "select seats_left from slot where municipality = '0842'")
    assert [row["seats_left"] for row in rows] == [0] * 5

    async def heard():
        rows = await stack.sql("matching", "select seats from seats_left where municipality = '0842'")
        return [row["seats"] for row in rows] == [0] * 5

    await eventually(heard)


async def test_slots_posted_at_one_workplace_at_once_wait_for_each_other(stack, towns):
    towns("0845").employers()
    (place,) = stack.call("GET", "registry", "/0845/workplaces")["items"]
    body = {"workplace_id": place["workplace_id"], "placement_type": "apl", "occupation": "5321",
            "starts_on": "2027-02-01", "ends_on": "2027-03-26", "seats": 5}  # fmt: skip
    headers = {"authorization": f"Bearer {stack.token('coordinator', municipalities=('0845',))}"}
    path = f"{stack.running['services']['registry']}/0845/slots"
    async with httpx.AsyncClient(headers=headers, timeout=30) as client:
        answers = await asyncio.gather(*(client.post(path, json=body) for _ in range(16)))
    assert {a.status_code for a in answers} == {201}
    rows = await stack.sql("registry", "select seats_left from slot where municipality = '0845'")
    assert [row["seats_left"] for row in rows] == [3] * 16, "as many as the workplace receives"


async def test_a_slot_is_changed_by_who_has_seen_it_and_keeps_what_is_not_said(stack, towns):
    towns("0843").employers()
    terms = {"hours_per_day": 7, "hazards": ["traffic"], "needs_licence": True}
    slot = post_slot(stack, "0843", terms=terms, description="Lugn arbetsplats")
    path, seen = f"/0843/slots/{slot['slot_id']}", slot["revision"]
    changed = stack.call("PATCH", "registry", path, json={"revision": seen, "terms": {"hours_per_day": 6}})
    assert changed["terms"] == terms | {"hours_per_day": 6}
    late = stack.call("PATCH", "registry", path, json={"revision": seen, "seats": 9}, status=409)
    assert late["type"] == "urn:kompetensnav:problem:changed-meanwhile"
    kept = {"revision": changed["revision"], "shared_with": "administration"}
    assert "administration" in stack.call("PATCH", "registry", path, json=kept, status=400)["detail_en"]
    assert stack.call("PATCH", "registry", path, json=kept | {"administration": "school"})["seats"] == 3
    offer(stack, "0843", request_of(stack, "0843", "a"), slot["slot_id"])
    seen = stack.call("GET", "registry", path)["revision"]
    taken = {"revision": seen, "terms": {"hazards": ["asbestos"]}}
    stack.call("PATCH", "registry", path, json=taken, status=409)
    tutors = f"{place_of(stack, '0843')}/supervisors"
    who = {"name": "Ulla", "is_adult": True}
    tutor = stack.call("POST", "registry", tutors, json=who, status=201)
    left = {"revision": tutor["revision"], "left_on": "2026-01-01"}
    stack.call("PATCH", "registry", f"/0843/supervisors/{tutor['supervisor_id']}", json=left)
    gone = {"revision": seen, "supervisor_id": tutor["supervisor_id"]}
    stack.call("PATCH", "registry", path, json=gone, status=404)


async def test_a_file_writes_only_the_columns_it_has(stack, towns):
    towns("0844").employers()
    head = "ref,workplace,placement_type,occupation,starts_on,ends_on,seats"
    row = "s,w0,apl,5321,2027-02-01,2027-03-26"
    full = f"{head},description,hours_per_week,study_years\n{row},2,Lugnt,32,2;3\n"
    assert stack.bring_in("0844", "slots", full)["created"] == 1
    assert stack.bring_in("0844", "slots", f"{head}\n{row},3\n")["changed"] == 1
    (slot,) = stack.call("GET", "registry", "/0844/slots")["items"]
    assert (slot["seats"], slot["description"]) == (3, "Lugnt")
    assert slot["terms"] == {"hours_per_week": 32, "study_years": [2, 3]}


async def test_a_learner_may_have_two_places_at_once_in_a_split_week_on_different_days(stack, towns):
    towns("0834").employers()
    one = post_slot(stack, "0834", weekdays=[1, 2, 3])
    clash = post_slot(stack, "0834", weekdays=[3, 4])
    other = post_slot(stack, "0834", weekdays=[5, 4])
    whole = post_slot(stack, "0834")
    assert other["weekdays"] == [4, 5]
    learner = request_of(stack, "0834", "a")
    also = _same_learner(stack, "0834", "a", 2)
    offer(stack, "0834", learner, one["slot_id"])
    for slot in (clash, whole):
        refused = offer(stack, "0834", also, slot["slot_id"], status=409)
        assert refused["type"] == "urn:kompetensnav:problem:learner-is-placed"
    offer(stack, "0834", also, other["slot_id"])
    span = "?starts_on=2027-02-01&ends_on=2027-02-07"
    (week,) = stack.call("GET", "registry", f"{place_of(stack, '0834')}/reception{span}")["items"]
    assert week["occupied"] == 2
    verified = stack.run("verify", "--json")
    lines = json.loads(verified.stdout)["lines"]
    assert {line["outcome"] for line in lines if line["invariant"] in ("I2", "I3")} == {"ok"}, lines


def _same_learner(stack, code, ref, n):
    head = "ref,learner,administration,placement_type,starts_on,ends_on,wishes\n"
    before = {r["request_id"] for r in requests(stack, code)}
    stack.bring_in(code, "requests", f"{head}r{ref}{n},{ref},school,apl,2027-02-01,2027-03-26,5321\n")
    (made,) = {r["request_id"] for r in requests(stack, code)} - before
    return made


async def test_a_withdrawn_slot_says_why_and_its_seats_are_free(stack, towns):
    town = towns("0840")
    town.employers()
    slot = post_slot(stack, "0840")
    offer(stack, "0840", request_of(stack, "0840", "a"), slot["slot_id"])
    path = f"/0840/slots/{slot['slot_id']}/withdraw"
    done = stack.call("POST", "registry", path, json={"because": "no_supervisor"})
    assert (done["withdrawn"], done["withdrawn_because"], done["taken"]) == (True, "no_supervisor", 0)
    span = "?starts_on=2027-02-01&ends_on=2027-02-07"
    (week,) = stack.call("GET", "registry", f"{place_of(stack, '0840')}/reception{span}")["items"]
    assert week["occupied"] == 0


async def test_two_hundred_at_once_never_fill_a_workplace_beyond_what_it_receives(stack, towns):
    """Through HTTP, all at the same time: each is given a seat or told why not, and none is lost."""
    towns("0860").employers()
    slot = post_slot(stack, "0860", seats=50)
    head = "ref,administration,school,given_name,family_name,email,born_on,locality\n"
    rows = "".join(
        f"l{i},school,gy1,N{i},E,l{i}.0860@elev.example.com,2000-05-05,lulea\n" for i in range(200)
    )
    stack.bring_in("0860", "learners", head + rows)
    head = "ref,learner,administration,placement_type,starts_on,ends_on,wishes\n"
    rows = "".join(f"r{i},l{i},school,apl,2027-02-01,2027-03-26,5321\n" for i in range(200))
    stack.bring_in("0860", "requests", head + rows)
    token = stack.token("coordinator", municipalities=("0860",))
    base = stack.running["services"]["registry"]
    async with httpx.AsyncClient(
        headers={"authorization": f"Bearer {token}"}, timeout=60, limits=httpx.Limits(max_connections=200)
    ) as client:
        answers = await asyncio.gather(
            *(
                client.post(
                    f"{base}/0860/offers", json={"request_id": r["request_id"], "slot_id": slot["slot_id"]}
                )
                for r in requests(stack, "0860")
            )
        )
    codes = [a.status_code for a in answers]
    assert (codes.count(201), codes.count(409)) == (3, 197)
    assert {a.json()["type"].rsplit(":", 1)[1] for a in answers if a.status_code == 409} == {
        "workplace-is-full"
    }
    (row,) = await stack.sql(
        "registry", "select count(*) n from seat where municipality = '0860' and released_at is null"
    )
    assert row["n"] == 3


async def test_the_account_says_how_often_a_workplace_was_asked_and_hides_what_is_not_ours(stack, towns):
    towns("0861").employers()
    for n in range(3):
        slot = post_slot(stack, "0861", seats=1)
        made = offer(stack, "0861", request_of(stack, "0861", f"l{n}"), slot["slot_id"])
    stack.call("POST", "registry", f"/0861/offers/{made['offer_id']}/decline", json={"party": "employer"})
    span = f"?starts_on={min(today(), date(2027, 2, 1))}&ends_on=2027-06-30"
    path = f"{place_of(stack, '0861')}/account"
    ours = stack.call("GET", "registry", path + span)
    assert ours["asked"] == 3
    assert sorted((s["is_ours"], s["occupied"], s["freed_because"]) for s in ours["seats"]) == [
        (True, False, "declined"), (True, True, None), (True, True, None),
    ]  # fmt: skip
    theirs = stack.call("GET", "registry", path + span, administrations=("social",))
    assert theirs["asked"] == 3
    assert [(s["is_ours"], s["occupied"], s["placement_type"], s["occupation"]) for s in theirs["seats"]] == [
        (False, True, None, None)
    ] * 2
    token = stack.token("coordinator", municipalities=("0861",), administrations=("social",))
    page = httpx.get(
        f"{stack.running['services']['registry']}{path}/page{span}",
        headers={"authorization": f"Bearer {token}"},
    )
    assert "3 gånger" in page.text
    other = html.unescape(re.search('<a href="([^"]*)" lang="en"', page.text)[1])
    assert other == f"{span}&lang=en", "the period stays in the other language"
    assert page.text.count("upptagen av en annan förvaltning") == 2
    assert "APL" not in page.text


async def test_an_own_found_place_takes_a_seat_of_the_same_ledger(stack, towns):
    towns("0862").employers()
    (place,) = stack.call("GET", "registry", "/0862/workplaces")["items"]
    for n in range(3):
        body = {"request_id": request_of(stack, "0862", f"l{n}"), "workplace_id": place["workplace_id"],
                "occupation": "5321"}  # fmt: skip
        stack.call("POST", "registry", "/0862/own-found", json=body, status=201)
    slot = post_slot(stack, "0862")
    refused = offer(stack, "0862", request_of(stack, "0862", "x"), slot["slot_id"], status=409)
    assert refused["type"] == "urn:kompetensnav:problem:workplace-is-full"
    account = stack.call("GET", "registry", f"{place_of(stack, '0862')}/account?ends_on=2027-06-30")
    assert account["asked"] == 3


async def test_last_periods_slots_are_offered_again_from_one_mail(stack, towns):
    towns("0880").employers()
    old = monday() - timedelta(weeks=26)
    rows = "".join(
        f"s{n},w0,prao,{occupation},{old},{old + timedelta(days=11)},2,none,,municipality,\n"
        for n, occupation in enumerate(("5321", "5120"))
    )
    stack.bring_in("0880", "slots", f"{SLOT_COLUMNS}\n{rows}")
    new = monday() + timedelta(weeks=26)
    wanted = {"placement_type": "prao", "last_starts_on": str(old), "last_ends_on": str(old),
              "starts_on": str(new), "answer_by": str(today() + timedelta(days=14))}  # fmt: skip
    late = stack.call("POST", "registry", "/0880/askings", json=wanted | {"answer_by": "2026-01-01"},
                      status=400)  # fmt: skip
    assert "ahead" in late["detail_en"]
    asked = stack.call("POST", "registry", "/0880/askings", json=wanted, status=201)
    assert asked["total"] == 1
    link = await stack.link("w0.0880@firma.example.com", "Vill ni ta emot igen")
    page = httpx.get(link, headers={"accept-language": "sv"})
    assert page.text.count(f'value="{new}"') == 2
    ids = {s["occupation"]: s["slot_id"] for s in stack.call("GET", "registry", "/0880/slots")["items"]}
    keep = ids["5321"]
    form = {f"keep-{keep}": "on", f"seats-{keep}": "4", f"starts-{keep}": str(new),
            f"ends-{keep}": str(new + timedelta(days=4))}  # fmt: skip
    wrong = httpx.post(link, data=form | {f"ends-{keep}": "2020-01-01"})
    assert wrong.status_code == 422
    assert 'role="alert"' in wrong.text
    assert f'href="#ends-{keep}"' in wrong.text
    sent = httpx.post(link, data=form)
    assert "Tack!" in sent.text
    slots = stack.call("GET", "registry", "/0880/slots")["items"]
    assert [(s["occupation"], s["seats"], s["ends_on"]) for s in slots if s["starts_on"] == str(new)] == [
        ("5321", 4, str(new + timedelta(days=4)))
    ]
    assert "redan svarat" in httpx.post(link, data=form).text
    assert len(stack.call("GET", "registry", "/0880/slots")["items"]) == 3


async def test_presence_and_hours_are_confirmed_by_link_and_corrected(stack, towns):
    town = towns("0881")
    town.employers()
    first, last = monday() - timedelta(weeks=2), monday() + timedelta(weeks=4, days=4)
    slot = post_slot(stack, "0881", starts_on=str(first), ends_on=str(last))
    made = offer(stack, "0881", request_of(stack, "0881", "a", str(first), str(last)), slot["slot_id"])
    for party in made["must_answer"]:
        stack.call("POST", "registry", f"/0881/offers/{made['offer_id']}/accept", json={"party": party})
    (placement,) = stack.call("GET", "registry", "/0881/placements")["items"]
    path = f"/0881/placements/{placement['placement_id']}/presence"
    link = stack.call("POST", "registry", f"{path}/links/employer", status=201)["link"]
    page = httpx.get(link)
    assert page.text.count('name="days-') == 3, "two weeks that are over and this one"
    assert "Namna" not in page.text
    assert httpx.post(link, data={f"days-{first}": "x", f"hours-{first}": "38,5"}).status_code == 422
    done = httpx.post(link, data={f"days-{first}": "5", f"hours-{first}": "38,5"})
    assert "Tack!" in done.text
    seen = stack.call("GET", "registry", path)["items"]
    assert [(p["week"], p["days"], p["hours"], p["confirmed_by"]) for p in seen] == [
        (str(first), 5, "38.5", "employer")
    ]
    stack.call("PUT", "registry", f"{path}/{first}", json={"days": 4, "hours": "30"})
    ahead = stack.call("PUT", "registry", f"{path}/{monday() + timedelta(weeks=1)}",
                       json={"days": 1, "hours": "8"}, status=400)  # fmt: skip
    assert "begun" in ahead["detail_en"]
    told = await stack.sql(
        "registry", "select convert_from(body, 'utf8')::jsonb ->> 'hours' h, headers ->> 'ce-revision' r"
        " from outbox where subject = 'nav.0881.int.registry.presence.confirmed.v1' order by id",
    )  # fmt: skip
    assert [(float(row["h"]), row["r"]) for row in told] == [(38.5, "1"), (30.0, "2")]


async def test_presence_is_taken_whole_says_which_field_is_wrong_and_ends_with_the_placement(stack, towns):
    town = towns("0883")
    town.employers()
    first, last = monday() - timedelta(weeks=2), monday() + timedelta(weeks=4, days=4)
    second = first + timedelta(weeks=1)
    slot = post_slot(stack, "0883", starts_on=str(first), ends_on=str(last))
    made = offer(stack, "0883", request_of(stack, "0883", "a", str(first), str(last)), slot["slot_id"])
    for party in made["must_answer"]:
        stack.call("POST", "registry", f"/0883/offers/{made['offer_id']}/accept", json={"party": party})
    (placement,) = stack.call("GET", "registry", "/0883/placements")["items"]
    path = f"/0883/placements/{placement['placement_id']}"
    link = stack.call("POST", "registry", f"{path}/presence/links/employer", status=201)["link"]
    good = {f"days-{first}": "5", f"hours-{first}": "40"}
    for days, hours, field in (("5", "nan", "hours"), ("1", "30", "hours"), ("x", "8", "days")):
        wrong = httpx.post(link, data=good | {f"days-{second}": days, f"hours-{second}": hours})
        assert wrong.status_code == 422
        assert f'href="#{field}-{second}"' in wrong.text
        assert wrong.text.count('aria-invalid="true"') == 1
    assert stack.call("GET", "registry", f"{path}/presence")["items"] == [], "all weeks or none"
    nothing = httpx.post(link, data={f"days-{first}": "0", f"hours-{first}": "0"})
    assert f'name="days-{first}" aria-label="Dagar {first}"\n value="0"' in nothing.text
    stack.call("POST", "registry", f"{path}/interrupt", json={"reason": "illness"})
    await stack.sql(
        "registry", "update placement set interrupted_on = $1 where placement_id = $2", first,
        placement["placement_id"], role="owner",
    )  # fmt: skip
    late = stack.call(
        "PUT", "registry", f"{path}/presence/{second}", json={"days": 1, "hours": "8"}, status=400
    )
    assert "begun" in late["detail_en"]
    assert httpx.get(link).text.count('name="days-') == 1


async def test_a_free_text_with_something_personal_is_refused_with_its_place(stack, towns):
    towns("0882").employers()
    text = "Fråga efter 640823-3234 eller ring 070-123 45 67"
    refused = post_slot(stack, "0882", status=422, description=text)
    assert [(e["rule"], e["from"], e["to"]) for e in refused["errors"]] == [
        ("number", text.index("640823") + 1, text.index(" eller")),
        ("phone", text.index("070") + 1, len(text)),
    ]
    assert refused["errors"][1]["move_to"] == "contact_phone"
    assert "3234" not in str(refused)
    for innocent in (
        "Order 1234567890 packas här.",
        "Period 2027-03-01 - 2027-03-26, start 2027-03-01 0800, org.nr 556036-0793.",
    ):
        assert post_slot(stack, "0882", description=innocent)["description"] == innocent
