"""Item 4, the registry: files, the capacity ledger, offers by link, the life of a placement."""

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


async def test_4_the_same_file_twice_changes_nothing(stack, towns):
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


async def test_4_every_fault_of_a_file_is_told_and_nothing_is_imported(stack, towns):
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
async def test_4_a_wrong_value_is_a_problem_with_its_place(stack, towns, change, where):
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


async def test_4_a_workplace_receives_no_more_than_it_can_over_all_placement_types(stack, towns):
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


async def test_4_employer_and_learner_say_yes_by_link_and_opening_it_changes_nothing(stack, towns):
    town = towns("2417")
    town.employers()
    town.slot("s")
    town.learner("l")
    await town.known(1, 1)
    town.approve(town.draft()["round_id"])
    await town.offers(1)
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


async def test_4_a_placement_is_started_completed_or_interrupted_in_order(stack, towns):
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


async def test_4_a_withdrawn_slot_frees_seats_and_tells_the_learner(stack, towns):
    town = towns("2421")
    town.employers()
    town.slot("s")
    town.learner("l")
    await town.known(1, 1)
    town.approve(town.draft()["round_id"])
    await town.offers(1)
    slot = stack.call("GET", "registry", "/2421/slots")["items"][0]
    withdrawn = stack.call("POST", "registry", f"/2421/slots/{slot['slot_id']}/withdraw")
    assert (withdrawn["withdrawn"], withdrawn["taken"]) == (True, 0)
    await town.offers(1, "declined")

    async def letter():
        return [m for m in stack.mails("l.2421@elev.example.com") if "återtagen" in m["Subject"]]

    await eventually(letter)


async def test_4_an_own_found_place_takes_the_same_ledger_and_one_more_yes(stack, towns):
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


async def test_4_an_offer_nobody_answers_expires_and_the_seat_is_free(stack, towns):
    town = towns("2425")
    town.employers()
    town.slot("s")
    town.learner("l")
    await town.known(1, 1)
    town.approve(town.draft()["round_id"])
    await town.offers(1)
    await stack.sql(
        "registry", "update offer set answer_by = '2026-01-01' where municipality = '2425'", role="owner"
    )

    async def freed():
        slot = stack.call("GET", "registry", "/2425/slots")["items"][0]
        return slot["taken"] == 0

    await eventually(freed, 90)
    await town.offers(1, "expired")


async def test_4_a_protected_learner_is_told_of_to_nobody(stack, towns):
    town = towns("2460")
    town.employers()
    head = "ref,administration,school,given_name,family_name,born_on,locality,security_marking\n"
    stack.bring_in("2460", "learners", f"{head}p,school,gy1,A,B,2009-01-01,lulea,protected_registration\n")
    head = "ref,learner,administration,placement_type,starts_on,ends_on\n"
    stack.bring_in("2460", "requests", f"{head}rp,p,school,apl,2027-02-01,2027-03-26\n")
    assert stack.call("GET", "registry", "/2460/learners")["total"] == 0
    assert await told(stack, "2460", "registry.request.%") == 0


async def test_4_a_sole_traders_number_is_not_taken_in_as_an_organisation_number(stack):
    refused = stack.call(
        "POST",
        "registry",
        "/2462/employers",
        json={"org_number": "8507099805", "name": "Enskild"},
        status=422,
    )
    assert any("sole trader" in e["reason"] or "organisation" in e["reason"] for e in refused["errors"])
