"""Reception capacity and needs: weeks over all forms, what employers need, and who finishes when."""

import httpx
import pytest

from kompetensnav_chassis.testing import eventually

pytestmark = pytest.mark.real
HEAD = (
    "ref,administration,school,given_name,family_name,email,born_on,aims_at,finishes_on,locality,"
    "security_marking,case_worker\n"
)


def finishers(
    stack, code, n, *, locality="pitea", aims_at="5321", born="1990-01-01", marking="none", tag="f"
):
    """Adults who finish in the spring of 2028."""
    rows = "".join(
        f"{tag}{i},adult,vux,Namn{i},Efternamn{i},{tag}{i}.{code}@vux.example.com,{born},{aims_at},"
        f"2028-06-05,{locality},{marking},{'x' if marking != 'none' else ''}\n"
        for i in range(n)
    )
    stack.bring_in(code, "learners", HEAD + rows, administrations=("adult",))


async def test_a_workplace_says_how_many_it_receives_in_which_week_over_all_forms(stack, towns):
    town = towns("2523")
    await town.offered("a", "b", seats=2)
    (place,) = stack.call("GET", "registry", "/2523/workplaces")["items"]
    path = f"/2523/workplaces/{place['workplace_id']}/reception"
    span = "?starts_on=2027-02-01&ends_on=2027-02-14"
    weeks = stack.call("GET", "registry", path + span)["items"]
    assert [(w["week"], w["receives"], w["occupied"], w["left"]) for w in weeks] == [
        ("2027-02-01", 3, 2, 1),
        ("2027-02-08", 3, 2, 1),
    ]
    refused = stack.call("PUT", "registry", path, json=[{"week": "2027-02-08", "learners": 1}], status=409)
    assert refused["type"] == "urn:kompetensnav:problem:workplace-is-full"
    wrong = stack.call("PUT", "registry", path, json=[{"week": "2027-02-09", "learners": 5}], status=400)
    assert "2027-02-09" in wrong["detail"]
    stack.call("PUT", "registry", path, json=[{"week": "2027-02-08", "learners": 2}], status=204)
    town.slot("prao", seats=5, ends_on="2027-02-05")
    town.slot("late", seats=5)
    left = {s["ref"]: s for s in stack.call("GET", "registry", "/2523/slots")["items"]}
    assert set(left) == {"s", "prao", "late"}
    town.learner("c")
    await town.known(3, 1)
    offered = {offer["learner_id"] for offer in await town.offers(2)}
    (request,) = (
        r for r in stack.call("GET", "registry", "/2523/requests")["items"] if r["learner_id"] not in offered
    )
    late = {"request_id": request["request_id"], "slot_id": left["late"]["slot_id"]}
    full = stack.call("POST", "registry", "/2523/offers", json=late, status=409)
    assert full["type"] == "urn:kompetensnav:problem:workplace-is-full"
    early = late | {"slot_id": left["prao"]["slot_id"]}
    assert stack.call("POST", "registry", "/2523/offers", json=early, status=201)["state"] == "open"
    stack.call("PUT", "registry", path, json=[{"week": "2027-02-08", "learners": None}], status=204)
    weeks = stack.call("GET", "registry", path + span)["items"]
    assert [(w["occupied"], w["left"]) for w in weeks] == [(3, 0), (2, 1)]


async def test_what_employers_need_stands_beside_who_finishes(stack, towns):
    town = towns("2560")
    town.employers()
    (place,) = stack.call("GET", "registry", "/2560/workplaces")["items"]
    need = {"employer_id": place["employer_id"], "workplace_id": place["workplace_id"],
            "occupation": "5321", "number": 6, "needed_by": "2028-05-01"}  # fmt: skip
    made = stack.call("POST", "registry", "/2560/demands", json=need, status=201)
    finishers(stack, "2560", 2)
    seen = stack.call("GET", "registry", "/2560/demands/balance", administrations=("adult",))["items"]
    assert [(b["occupation"], b["half_year"], b["needed"], b["finishing"], b["short_of"]) for b in seen] == [
        ("5321", "2028-H1", 6, 2, 4)
    ]
    assert seen[0]["occupation_name"] != "5321"
    others = stack.call("GET", "registry", "/2560/demands/balance", administrations=("school",))["items"]
    assert [(b["needed"], b["finishing"]) for b in others] == [(6, 0)], "another administration's learners"
    path = f"/2560/demands/{made['demand_id']}"
    stack.call("PATCH", "registry", path, json={"revision": 1, "number": 8})
    stale = stack.call("PATCH", "registry", path, json={"revision": 1, "number": 9}, status=409)
    assert stale["type"] == "urn:kompetensnav:problem:changed-meanwhile"
    stack.call("PATCH", "registry", path, json={"revision": 2, "ended_on": "2026-11-25"})
    assert stack.call("GET", "registry", "/2560/demands")["items"] == []


async def test_an_employer_sees_groups_of_five_and_invites_them_and_no_smaller_ones(stack, towns):
    town = towns("2581")
    town.employers()
    stack.call("PUT", "registry", "/2581/coordinator", status=204,
               json={"name": "Cia", "email": "cia.2581@kommun.example.com"})  # fmt: skip
    finishers(stack, "2581", 5)
    finishers(stack, "2581", 4, aims_at="7126", tag="few")
    finishers(stack, "2581", 9, aims_at="5120", born="2012-01-01", tag="child")
    finishers(stack, "2581", 9, aims_at="2342", marking="protected_registration", tag="hid")
    (place,) = stack.call("GET", "registry", "/2581/workplaces")["items"]
    path = f"/2581/workplaces/{place['workplace_id']}/links/finishing"
    link = stack.call("POST", "registry", path, status=201)["link"]
    page = httpx.get(link, headers={"accept-language": "sv"})
    assert page.status_code == 200
    assert page.text.count('name="group"') == 1
    assert 'value="5321|pitea|2028-H1"' in page.text
    assert "våren 2028" in page.text
    none = httpx.get(link.replace("/finishing/", "/"))
    assert none.status_code == 404, "a link is for one purpose"
    small = httpx.post(link, data={"group": "7126|pitea|2028-H1"})
    assert small.status_code == 409
    assert stack.call("GET", "registry", "/2581/invitations")["total"] == 0
    done = httpx.post(link, data={"group": "5321|pitea|2028-H1"})
    assert "Inbjudan har gått" in done.text
    (made,) = stack.call("GET", "registry", "/2581/invitations")["items"]
    assert (made["occupation"], made["locality"], made["finishing"]) == ("5321", "pitea", "2028-H1")

    async def told():
        return [m["Subject"] for m in stack.mails("cia.2581@kommun.example.com")]

    assert await eventually(told) == ["En arbetsgivare bjuder in till besök"]
    evil = httpx.post(link, data={"group": "5321|pitea|2028-H1"}, headers={"sec-fetch-site": "cross-site"})
    assert evil.status_code == 403
