"""Agreements: with employers, signed, renewed and running out; and of placements, signed and amended."""

from datetime import timedelta

import httpx
import pytest

from kompetensnav_chassis.testing import eventually
from support.rows import org_number
from support.stack import today

pytestmark = pytest.mark.real


def employer(stack, code, n):
    body = {"org_number": org_number(n), "name": "Avtal AB"}
    return stack.call("POST", "registry", f"/{code}/employers", json=body, status=201)["employer_id"]


def cooperation(stack, code, employer_id, **more):
    body = {"employer_id": employer_id, "signed_on": "2026-01-10", "valid_from": "2026-02-01",
            "valid_to": str(today() + timedelta(days=400)), "seats_per_year": 8}  # fmt: skip
    return stack.call("POST", "registry", f"/{code}/cooperation-agreements", json=body | more, status=201)


async def told(stack, name, code):
    return await stack.sql(
        "registry", "select convert_from(body, 'utf8')::jsonb b from outbox where subject = $1 order by id",
        f"nav.{code}.int.registry.{name}",
    )  # fmt: skip


async def test_a_cooperation_agreement_is_signed_renewed_once_and_held_against_what_came_of_it(stack, towns):
    town = towns("0980")
    town.employers()
    town.slot("s", seats=3)
    (place,) = stack.call("GET", "registry", "/0980/workplaces")["items"]
    made = cooperation(stack, "0980", place["employer_id"])
    path = f"/0980/cooperation-agreements/{made['agreement_id']}"
    assert stack.call("GET", "registry", path)["seats_this_year"] == 0, "the slot starts in 2027"
    renewal = {"signed_on": "2026-11-01", "valid_from": "2027-01-01", "valid_to": "2028-12-31",
               "seats_per_year": 10}  # fmt: skip
    renewed = stack.call("POST", "registry", f"{path}/renew", json=renewal, status=201)
    assert renewed["renews"] == made["agreement_id"]
    again = stack.call("POST", "registry", f"{path}/renew", json=renewal, status=409)
    assert "renewed already" in again["detail_en"]
    wrong = {"employer_id": place["employer_id"], "signed_on": "2026-01-01", "valid_from": "2027-01-01",
             "valid_to": "2026-01-01"}  # fmt: skip
    assert stack.call("POST", "registry", "/0980/cooperation-agreements", json=wrong, status=400)
    on = stack.call("GET", "registry", "/0980/cooperation-agreements?valid_on=2027-06-01")["items"]
    assert {a["agreement_id"] for a in on} == {made["agreement_id"], renewed["agreement_id"]}
    ended = stack.call("POST", "registry", f"{path}/end", json={"ended_on": "2026-12-31"})
    assert ended["ended_on"] == "2026-12-31"
    on = stack.call("GET", "registry", "/0980/cooperation-agreements?valid_on=2027-06-01")["items"]
    assert [a["agreement_id"] for a in on] == [renewed["agreement_id"]]
    bodies = [r["b"] for r in await told(stack, "agreement.signed.v1", "0980")]
    assert [made["agreement_id"] in f or renewed["agreement_id"] in f for f in bodies] == [True, True]
    assert ['"renews": null' in f for f in bodies] == [True, False]


async def test_the_coordinator_is_reminded_once_before_an_agreement_runs_out(stack):
    stack.call("PUT", "registry", "/0781/coordinator", status=204,
               json={"name": "Cia", "email": "cia.0781@kommun.example.com"})  # fmt: skip
    soon = str(today() + timedelta(days=30))
    cooperation(stack, "0781", employer(stack, "0781", 781), valid_to=soon)
    far = cooperation(stack, "0781", employer(stack, "0781", 782))

    async def mails():
        return [m["Subject"] for m in stack.mails("cia.0781@kommun.example.com")]

    assert await eventually(mails) == [f"Ett samarbetsavtal går ut {soon}"]
    renewed = cooperation(stack, "0781", employer(stack, "0781", 783), valid_to=soon)
    assert far["agreement_id"] != renewed["agreement_id"]

    async def both():
        return len(await mails()) == 2

    await eventually(both)
    bodies = await told(stack, "agreement.expiring.v1", "0781")
    assert len(bodies) == 2
    assert '"days_left": 30' in bodies[0]["b"]


async def test_a_signed_paper_is_kept_in_the_vault_and_given_back_as_it_was(stack):
    made = cooperation(stack, "0760", employer(stack, "0760", 760))
    path = f"/0760/cooperation-agreements/{made['agreement_id']}/documents"
    paper = b"%PDF-1.7 underskrift Anna Andersson"
    kept = stack.call(
        "POST", "registry", f"{path}?name=Avtal.pdf", content=paper, status=201,
        headers={"content-type": "application/octet-stream"},
    )  # fmt: skip
    (listed,) = stack.call("GET", "registry", path)["items"]
    assert (listed["name"], listed["size"], listed["sha256"]) == ("Avtal.pdf", len(paper), kept["sha256"])
    token = stack.token("coordinator", municipalities=("0760",))
    url = f"{stack.running['services']['registry']}/0760/documents/{kept['document_id']}"
    got = httpx.get(url, headers={"authorization": f"Bearer {token}"})
    assert got.content == paper
    assert got.headers["content-disposition"].startswith("attachment")
    empty = stack.call(
        "POST", "registry", f"{path}?name=x", content=b"x" * 5_000_001, status=413,
        headers={"content-type": "application/octet-stream"},
    )  # fmt: skip
    assert "5,000,000" in empty["detail"]


async def test_a_placement_agreement_is_signed_by_each_party_amended_and_the_amendment_undone(stack, towns):
    town = towns("0763")
    placement = await town.placed()
    path = f"/0763/placements/{placement['placement_id']}/agreement"
    body = {"terms": {"hours_per_week": 35, "meals": "employer"}, "second_signer": "guardian"}
    drawn = stack.call("POST", "registry", path, json=body, status=201)
    assert (drawn["kind"], drawn["state"]) == ("placement_agreement", "drawn_up")
    assert drawn["must_sign"] == ["provider", "employer", "guardian"], "the learner is a minor"
    twice = stack.call("POST", "registry", path, json=body, status=409)
    assert "has an agreement" in twice["detail_en"]

    def sign(party, status=201):
        said = {"party": party, "name": f"Namn {party}", "signed_on": "2027-01-20"}
        return stack.call("POST", "registry", f"{path}/signatures", json=said, status=status)

    assert sign("learner", 409)["type"] == "urn:kompetensnav:problem:not-a-party"
    sign("provider")
    assert sign("provider", 409)["type"] == "urn:kompetensnav:problem:signed-already"
    sign("guardian")
    assert sign("guardian")["state"] == "drawn_up", "both guardians have, the workplace has not"
    link = stack.call("POST", "registry", f"{path}/links/employer", status=201)["link"]
    page = httpx.get(link)
    assert "35" in page.text
    assert stack.call("GET", "registry", path)["state"] == "drawn_up", "opening a link changes nothing"
    assert "Tack!" in httpx.post(link, data={"name": "Bo Boss"}).text
    signed = stack.call("GET", "registry", path)
    assert signed["state"] == "signed"
    assert [(s["party"], s["place"], s["outside_the_system"]) for s in signed["signatures"]] == [
        ("provider", 1, True), ("guardian", 1, True), ("guardian", 2, True), ("employer", 1, False),
    ]  # fmt: skip
    assert "redan" in httpx.post(link, data={"name": "Bo Boss"}).text
    change = {"revision": signed["revision"], "terms": {"hours_per_week": 30}}
    amended = stack.call("POST", "registry", f"{path}/amendments", json=change, status=201)
    assert (amended["state"], amended["terms"]["hours_per_week"]) == ("amended", 30)
    stale = stack.call("POST", "registry", f"{path}/amendments", json=change | {"terms": {"meals": "own"}},
                       status=409)  # fmt: skip
    assert stale["type"] == "urn:kompetensnav:problem:changed-meanwhile"
    assert "30" in httpx.get(link).text
    undone = stack.call("POST", "registry", f"{path}/amendments/undo")
    assert (undone["state"], undone["terms"]["hours_per_week"]) == ("signed", 35)
    assert undone["amendments"][0]["undone_at"]
    none = stack.call("POST", "registry", f"{path}/amendments/undo", status=409)
    assert none["type"] == "urn:kompetensnav:problem:nothing-to-undo"
    hidden = stack.call("GET", "registry", path, administrations=("social",), status=404)
    assert hidden["type"] == "urn:kompetensnav:problem:not-found"
