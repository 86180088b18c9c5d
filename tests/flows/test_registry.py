"""The registry: files, the capacity ledger, offers by link, the life of a placement."""

import asyncio

import httpx
import pytest

from kompetensnav_chassis.testing import eventually

pytestmark = pytest.mark.real


async def told(stack, municipality, name):
    rows = await stack.sql(
        "registry",
        "select body from outbox where subject like $1 order by id",
        f"nav.{municipality}.%.{name}",
    )
    return len(rows)


async def test_the_same_file_twice_changes_nothing(stack, towns):
    town = towns("2401")
    town.employers(3)
    text = (
        "ref,workplace,placement_type,occupation,starts_on,ends_on,seats\n"
        "a,w0,apl,5321,2027-02-01,2027-03-26,2\nb,w1,prao,5321,2027-02-01,2027-02-05,1\n"
    )
    assert stack.bring_in("2401", "slots", text) == {"created": 2, "changed": 0, "unchanged": 0}
    before = await told(stack, "2401", "registry.slot.%")
    assert stack.bring_in("2401", "slots", text) == {"created": 0, "changed": 0, "unchanged": 2}
    assert await told(stack, "2401", "registry.slot.%") == before
    changed = text.replace("26,2", "26,3")
    assert stack.bring_in("2401", "slots", changed) == {"created": 0, "changed": 1, "unchanged": 1}
    assert await told(stack, "2401", "registry.slot.changed.v1") == 1


async def test_every_fault_of_a_file_is_told_and_nothing_is_imported(stack, towns):
    town = towns("2403")
    town.employers()
    text = (
        "ref,workplace,placement_type,occupation,starts_on,ends_on,seats\n"
        "ok,w0,apl,5321,2027-02-01,2027-03-26,1\n"
        "x,w9,apl,53,2027-02-31,2027-03-26,0\n"
        "y,w0,fishing,5321,2027-03-26,2027-02-01,1\n"
        "ok,w0,apl,5321,2027-02-01,2027-03-26,1,extra\n"
    )
    refused = stack.bring_in("2403", "slots", text, status=422)
    faults = {(e["line"], e["column"]) for e in refused["errors"]}
    assert {(3, "occupation"), (3, "starts_on"), (3, "seats"), (4, "placement_type"), (5, "")} <= faults
    one = next(e for e in refused["errors"] if e["column"] == "occupation")
    assert one["value"] == "53"
    assert one["reason"]
    assert stack.call("GET", "registry", "/2403/slots")["total"] == 0


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"occupation": "nurse"}, "occupation"),
        ({"starts_on": "soon"}, "starts_on"),
        ({"ends_on": "2020-01-01"}, "body"),
        ({"seats": 0}, "seats"),
        ({"placement_type": "fishing"}, "placement_type"),
    ],
)
async def test_a_wrong_value_is_a_problem_with_its_place(stack, towns, change, where):
    town = towns("2404")
    town.employers()
    workplace = stack.call("GET", "registry", "/2404/workplaces")["items"][0]["workplace_id"]
    slot = {
        "workplace_id": workplace,
        "placement_type": "apl",
        "occupation": "5321",
        "starts_on": "2027-02-01",
        "ends_on": "2027-03-01",
        "seats": 1,
    }
    stack.call("POST", "registry", "/2404/slots", json=slot, status=201)
    refused = stack.call("POST", "registry", "/2404/slots", json=slot | change, status=422)
    assert refused["type"] == "urn:kompetensnav:problem:invalid-request"
    assert any(where in e["where"] for e in refused["errors"])


async def test_a_workplace_receives_no_more_than_it_can_over_all_placement_types(stack, towns):
    """The workplace takes three a week. Two slots of different types offer five seats between them."""
    apl, prao = towns("2409"), towns("2409", "prao")
    apl.employers()
    apl.slot("apl", seats=3)
    prao.slot("prao", seats=2)
    for n in range(3):
        apl.learner(f"a{n}")
    for n in range(2):
        prao.learner(f"p{n}")
    await apl.known(2, 5)
    drafts = [apl.draft(), prao.draft()]
    assert [d["matched"] for d in drafts] == [3, 2]
    await asyncio.gather(*(asyncio.to_thread(apl.approve, d["round_id"]) for d in drafts))
    held = await apl.offers(3)
    assert len({o["learner_id"] for o in held}) == 3
    rows = await stack.sql(
        "registry", "select count(*) from seat where municipality = '2409' and released_at is null"
    )
    assert rows[0]["count"] == 3
    assert await eventually(lambda: told(stack, "2409", "registry.seat.refused.v1")) == 2


async def test_employer_and_learner_say_yes_by_link_and_opening_it_changes_nothing(stack, towns):
    town = towns("2417")
    await town.offered("l")
    employer = await stack.link("w0.2417@firma.example.com", "svara")
    learner = await stack.link("l.2417@elev.example.com", "svara")
    async with httpx.AsyncClient() as client:
        for link in (employer, learner):
            page = await client.get(link)
            assert page.status_code == 200
            assert 'lang="sv"' in page.text
            assert "Namnl" not in page.text, "an employer sees no name before everything is agreed"
        (offer,) = await town.offers(1)
        assert offer["answers"] == {}, "a GET changes nothing"
        answer = {f"offer-{offer['offer_id']}": "yes"}
        crossed = await client.post(learner, data=answer, headers={"sec-fetch-site": "cross-site"})
        assert crossed.status_code == 403
        assert "mottaget" in (await client.post(learner, data=answer)).text
        assert "redan avgjort" in (await client.post(learner, data={**answer, **answer})).text
        assert (await client.post(learner, data={f"offer-{offer['offer_id']}": "no"})).status_code == 200
        assert "mottaget" in (await client.post(employer, data=answer)).text
        await town.offers(1, "confirmed")
        assert "Namnl" in (await client.get(employer)).text
        english = await client.get(employer, params={"lang": "en"})
        assert 'lang="en"' in english.text
        assert (await client.get(employer[:-3] + "xyz")).status_code == 404
        assert (await client.get(employer.replace("/answer/", "/answer/x"))).status_code == 404
    placements = stack.call("GET", "registry", "/2417/placements")["items"]
    assert [p["state"] for p in placements] == ["confirmed"]


async def test_a_placement_is_started_completed_or_interrupted_in_order(stack, towns):
    town = towns("2418")
    town.employers()
    town.slot("s", seats=2)
    for ref in ("a", "b"):
        town.learner(ref)
    await town.known(1, 2)
    town.approve(town.draft()["round_id"])
    for offer in await town.offers(2):
        for party in ("employer", "learner"):
            path = f"/2418/offers/{offer['offer_id']}/accept"
            stack.call("POST", "registry", path, json={"party": party})
    first, second = stack.call("GET", "registry", "/2418/placements")["items"]
    path = "/2418/placements/{}/{}"
    stack.call("POST", "registry", path.format(first["placement_id"], "progress/start"))
    done = stack.call("POST", "registry", path.format(first["placement_id"], "progress/complete"))
    assert done["state"] == "completed"
    again = stack.call("POST", "registry", path.format(first["placement_id"], "progress/start"), status=409)
    assert again["type"] == "urn:kompetensnav:problem:wrong-step"
    ended = stack.call(
        "POST", "registry", path.format(second["placement_id"], "interrupt"), json={"reason": "illness"}
    )
    assert ended["state"] == "interrupted"
    slot = stack.call("GET", "registry", "/2418/slots")["items"][0]
    assert slot["taken"] == 1, "the seat of the interrupted one is free again"


async def test_a_withdrawn_slot_frees_seats_and_tells_the_learner(stack, towns):
    town = towns("2421")
    await town.offered("l")
    slot = stack.call("GET", "registry", "/2421/slots")["items"][0]
    withdrawn = stack.call("POST", "registry", f"/2421/slots/{slot['slot_id']}/withdraw")
    assert (withdrawn["withdrawn"], withdrawn["taken"]) == (True, 0)
    await town.offers(1, "declined")

    async def dead_letter():
        return [m for m in stack.mails("l.2421@elev.example.com") if "återtagen" in m["Subject"]]

    await eventually(dead_letter)


async def test_an_own_found_place_takes_the_same_ledger_and_one_more_yes(stack, towns):
    town = towns("2422")
    town.employers()
    for n in range(4):
        town.learner(f"l{n}")
    await town.known(0, 4)
    workplace = stack.call("GET", "registry", "/2422/workplaces")["items"][0]["workplace_id"]
    requests = stack.call("GET", "registry", "/2422/requests")["items"]
    found = {"workplace_id": workplace, "occupation": "5321"}
    for request in requests[:3]:
        made = stack.call(
            "POST",
            "registry",
            "/2422/own-found",
            json=found | {"request_id": request["request_id"]},
            status=201,
        )
        assert set(made["must_answer"]) == {"employer", "learner", "provider"}
    full = stack.call(
        "POST",
        "registry",
        "/2422/own-found",
        json=found | {"request_id": requests[3]["request_id"]},
        status=409,
    )
    assert full["type"] == "urn:kompetensnav:problem:workplace-is-full"
    for party in ("employer", "learner", "provider"):
        path = f"/2422/offers/{made['offer_id']}/accept"
        answered = stack.call("POST", "registry", path, json={"party": party})
    assert answered["state"] == "confirmed"


async def test_an_offer_nobody_answers_expires_and_the_seat_is_free(stack, towns):
    town = towns("2425")
    await town.offered("l")
    await stack.sql(
        "registry", "update offer set answer_by = '2026-01-01' where municipality = '2425'", role="owner"
    )

    async def freed():
        slot = stack.call("GET", "registry", "/2425/slots")["items"][0]
        return slot["taken"] == 0

    await eventually(freed, 90)
    await town.offers(1, "expired")


async def test_a_protected_learner_is_told_of_to_nobody(stack, towns):
    town = towns("2460")
    town.employers()
    head = "ref,administration,school,given_name,family_name,born_on,locality,security_marking,case_worker\n"
    row = "p,school,gy1,A,B,2009-01-01,lulea,protected_registration,cw\n"
    stack.bring_in("2460", "learners", head + row)
    head = "ref,learner,administration,placement_type,starts_on,ends_on\n"
    refused = stack.bring_in("2460", "requests", f"{head}rp,p,school,apl,2027-02-01,2027-03-26\n", status=422)
    assert "no such learner" in refused["errors"][0]["reason"]
    assert stack.call("GET", "registry", "/2460/learners")["total"] == 0
    assert await told(stack, "2460", "registry.request.%") == 0


async def test_a_sole_traders_number_is_not_taken_in_as_an_organisation_number(stack):
    body = {"org_number": "8507099805", "name": "Enskild"}
    made = stack.call("POST", "registry", "/2462/employers", json=body, status=201)
    assert made["org_number"] is None
    text = "org_number,name,sector\n8507099805,Enskild,private\n"
    refused = stack.bring_in("2462", "employers", text, status=422)
    assert "sole trader" in refused["errors"][0]["reason"]
    assert "8507099805" not in str(refused)


async def test_a_protected_learner_is_placed_in_silence(stack, towns):
    """All that anyone outside hears is that there is a seat less, as of any hold."""
    town = towns("0123")
    town.employers()
    town.slot("s", seats=2)
    head = "ref,administration,school,given_name,family_name,email,born_on,locality,"
    head += "security_marking,case_worker\n"
    person = "p,school,gy1,Skyddad,B,p@elev.example.com,2009-01-01,lulea,protected_registration,developer\n"
    stack.bring_in("0123", "learners", head + person)
    (learner,) = stack.call("GET", "registry", "/0123/learners", role="case_worker")["items"]
    body = {"learner_id": learner["learner_id"], "placement_type": "apl", "starts_on": "2027-02-01",
            "ends_on": "2027-03-26"}  # fmt: skip
    stack.call("POST", "registry", "/0123/requests", json=body, status=404)
    stack.call("POST", "registry", "/0123/requests", json=body, role="case_worker", status=201)
    assert stack.call("GET", "registry", "/0123/requests")["total"] == 0
    (request,) = stack.call("GET", "registry", "/0123/requests", role="case_worker")["items"]
    slot = stack.call("GET", "registry", "/0123/slots")["items"][0]
    query = "select subject from outbox where subject like 'nav.0123.%' order by id"
    before = len(await stack.sql("registry", query))
    chosen = {"request_id": request["request_id"], "slot_id": slot["slot_id"]}
    path = "/0123/placements/by-hand"
    stack.call("POST", "registry", path, json=chosen, status=403)
    placed = stack.call("POST", "registry", path, json=chosen, role="case_worker", status=201)
    assert placed["state"] == "confirmed"
    told_since = [r["subject"] for r in (await stack.sql("registry", query))[before:]]
    assert told_since == ["nav.0123.int.registry.capacity.changed.v1"]
    for things in ("offers", "placements", "learners"):
        assert stack.call("GET", "registry", f"/0123/{things}")["total"] == 0
        assert stack.call("GET", "registry", f"/0123/{things}", role="case_worker")["total"] == 1
    path = f"/0123/placements/{placed['placement_id']}/interrupt"
    stack.call("POST", "registry", path, json={"reason": "other"}, status=404)
    stack.call("POST", "registry", path, json={"reason": "other"}, role="case_worker")
    told_since = [r["subject"] for r in (await stack.sql("registry", query))[before:]]
    assert told_since == ["nav.0123.int.registry.capacity.changed.v1"] * 2
    assert stack.mails("p@elev.example.com") == []


async def test_a_learner_who_becomes_protected_disappears_from_matching(stack, towns):
    town = towns("0125")
    await town.offered("l")
    head = "ref,administration,school,given_name,family_name,born_on,locality,security_marking,case_worker\n"
    row = "l,school,gy1,Namnl,Efternamn,2009-05-05,lulea,protected_registration,developer\n"
    assert stack.bring_in("0125", "learners", head + row)["changed"] == 1
    (offer,) = stack.call("GET", "registry", "/0125/offers", role="case_worker")["items"]
    assert offer["state"] == "declined"
    assert await told(stack, "0125", "registry.request.closed.v1") == 1
    await town.known(1, 0)
    for things in ("requests", "offers"):
        assert stack.call("GET", "registry", f"/0125/{things}")["total"] == 0
    slot = stack.call("GET", "registry", "/0125/slots")["items"][0]
    assert slot["taken"] == 0


async def test_withdrawing_and_answering_at_once_ends_in_no_error(stack, towns):
    """Both lock the workplace first, so neither waits for the other for ever."""
    town = towns("0126")
    town.employers(6)
    for n in range(6):
        town.slot(f"s{n}", workplace=f"w{n}", seats=3)
    for n in range(18):
        town.learner(f"l{n}")
    await town.known(6, 18)
    town.approve(town.draft()["round_id"])
    offers = await town.offers(18)
    slots = stack.call("GET", "registry", "/0126/slots")["items"]
    base = stack.running["services"]["registry"]
    token = stack.token("coordinator", municipalities=("0126",))
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=30) as client:
        answers = await asyncio.gather(
            *(client.post(f"{base}/0126/slots/{s['slot_id']}/withdraw") for s in slots),
            *(
                client.post(f"{base}/0126/offers/{o['offer_id']}/decline", json={"party": "learner"})
                for o in offers
            ),
        )
    assert {a.status_code for a in answers} <= {200, 409}
    held = await stack.sql(
        "registry", "select count(*) from seat where municipality = '0126' and released_at is null"
    )
    assert held[0]["count"] == 0


async def test_the_deciding_authority_has_its_say_in_work_practice(stack, towns):
    town = towns("0127", "work_practice")
    (offer,) = await town.offered("l", born="1990-01-01")
    assert set(offer["must_answer"]) == {"employer", "learner", "authority"}
    path = f"/0127/offers/{offer['offer_id']}/accept"
    for party, state in (("employer", "open"), ("learner", "open"), ("authority", "confirmed")):
        assert stack.call("POST", "registry", path, json={"party": party})["state"] == state


async def test_a_pupils_no_in_prao_is_recorded_by_the_coordinator(stack, towns):
    town = towns("0128", "prao")
    (offer,) = await town.offered("l", born="2012-05-05")
    path = f"/0128/offers/{offer['offer_id']}"
    refused = stack.call("POST", "registry", f"{path}/accept", json={"party": "learner"}, status=403)
    assert refused["type"] == "urn:kompetensnav:problem:not-yours"
    done = stack.call("POST", "registry", f"{path}/decline", json={"party": "coordinator"})
    assert done["state"] == "declined"


async def test_what_was_agreed_stays_while_seats_are_taken(stack, towns):
    town = towns("0136")
    await town.offered("l", seats=2)
    slot = stack.call("GET", "registry", "/0136/slots")["items"][0]
    path = f"/0136/slots/{slot['slot_id']}"
    seen = {"revision": slot["revision"]}
    for change in ({"ends_on": "2027-03-25"}, {"occupation": "5120"}):
        refused = stack.call("PATCH", "registry", path, json=seen | change, status=409)
        assert refused["type"] == "urn:kompetensnav:problem:seats-are-taken"
    assert stack.call("PATCH", "registry", path, json=seen | {"seats": 1})["seats"] == 1
    head = "ref,org_number,name,locality,reception_capacity,contact_name,contact_email\n"
    number = stack.call("GET", "registry", "/0136/employers?limit=500")["items"]
    mine = next(e["org_number"] for e in number if e["employer_id"] == _employer_of(stack, "0136"))
    row = f"w0,{mine},Arbetsplats 0,lulea,0,Kontakt,w0.0136@firma.example.com\n"
    refused = stack.bring_in("0136", "workplaces", head + row, status=422)
    assert [e["column"] for e in refused["errors"]] == ["reception_capacity"]


def _employer_of(stack, code):
    return stack.call("GET", "registry", f"/{code}/workplaces")["items"][0]["employer_id"]


@pytest.mark.parametrize(
    ("kind", "row", "column"),
    [
        ("slots", "x,w0,apl,5321,2027-02-01,2027-03-26,1,named,0000,", "named_municipalities"),
        ("slots", "x,w0,apl,5321,0001-01-01,9999-12-31,1,municipality,,", "starts_on"),
        ("slots", "x,w0,apl,5321,2027-02-01,2027-03-26,1,administration,,", ""),
        ("slots", "x\0,w0,apl,5321,2027-02-01,2027-03-26,1,municipality,,", "ref"),
    ],
)
async def test_a_value_that_no_one_could_mean_is_told_with_its_place(stack, towns, kind, row, column):
    towns("0138").employers()
    head = "ref,workplace,placement_type,occupation,starts_on,ends_on,seats,shared_with,named_municipalities"
    refused = stack.bring_in("0138", kind, f"{head},administration\n{row}\n", status=422)
    assert column in [e["column"] for e in refused["errors"]]


async def test_an_import_does_not_move_what_others_hang_on(stack, towns):
    town = towns("0139")
    town.employers(2)
    town.slot("s")
    town.learner("l")
    text = "ref,workplace,placement_type,occupation,starts_on,ends_on,seats\n"
    moved = f"{text}s,w1,apl,5321,2027-02-01,2027-03-26,1\n"
    refused = stack.bring_in("0139", "slots", moved, status=422)
    assert [(e["line"], e["column"]) for e in refused["errors"]] == [(2, "workplace")]
    request = stack.call("GET", "registry", "/0139/requests")["items"][0]
    stack.call("POST", "registry", f"/0139/requests/{request['request_id']}/close")
    head = "ref,learner,administration,placement_type,starts_on,ends_on,wishes\n"
    changed = f"{head}rl,l,school,apl,2027-02-01,2027-03-26,5120\n"
    refused = stack.bring_in("0139", "requests", changed, status=422)
    assert [(e["line"], e["column"]) for e in refused["errors"]] == [(2, "ref")]
