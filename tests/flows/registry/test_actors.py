"""All the registry's actors: who they are, what they see, and two registrations of one employer."""

from uuid import UUID

import pytest

from support.rows import org_number

pytestmark = pytest.mark.real
SOLE_TRADER = "640823-3234"
"""A made-up personal number with a right check digit."""


def post(stack, path, status=201, **body):
    return stack.call("POST", "registry", path, json=body, status=status)


def workplace(stack, code, employer_id, name="Verkstaden", **more):
    about = {
        "employer_id": employer_id, "name": name, "locality": "lulea", "reception_capacity": 3,
        "contact_name": "Kim Kontakt", "contact_email": f"kim.{code}@firma.example.com",
    }  # fmt: skip
    return post(stack, f"/{code}/workplaces", **(about | more))


async def test_administrations_providers_schools_and_centres_are_registered(stack):
    about = {"name": "Barn- och utbildningsförvaltningen", "committee": "Skolnämnden"}
    path = "/2505/administrations/school"
    assert stack.call("PUT", "registry", path, json=about)["committee"] == "Skolnämnden"
    other = stack.call("PUT", "registry", "/2505/administrations/social", json=about, status=403)
    assert "social" in other["detail"]
    provider = post(
        stack, "/2505/providers", org_number=org_number(77), name="Friskolan AB", kind="independent"
    )
    again = post(stack, "/2505/providers", org_number=org_number(77), name="Friskolan AB", kind="independent")
    assert again["provider_id"] == provider["provider_id"]
    school = {"name": "Norrskenskolan", "administration": "school", "provider_id": provider["provider_id"],
              "school_forms": ["GR", "GY"]}  # fmt: skip
    made = stack.call("PUT", "registry", "/2505/schools/norrsken", json=school)
    assert (
        made["cohort_id"] == stack.call("PUT", "registry", "/2505/schools/norrsken", json=school)["cohort_id"]
    )
    listed = stack.call("GET", "registry", "/2505/schools")["items"]
    assert [(s["name"], s["school_forms"]) for s in listed] == [("Norrskenskolan", ["GR", "GY"])]
    assert stack.call("PUT", "registry", "/2505/learning-centres/lc_norr", json={"name": "Lärcentrum"})
    taken = stack.call("PUT", "registry", "/2506/learning-centres/lc_norr", json={"name": "x"}, status=409)
    assert taken["type"] == "urn:kompetensnav:problem:conflict"


async def test_an_employer_with_its_workplace_contacts_and_supervisors(stack):
    employer = post(
        stack, "/2505/employers", org_number=f"{org_number(501)[:6]}-{org_number(501)[6:]}", name="Svets AB",
        kind="company", sni="25110", employees=14,
    )  # fmt: skip
    assert (employer["org_number"], employer["sni"], employer["employees"]) == (org_number(501), "25110", 14)
    place = workplace(
        stack, "2505", employer["employer_id"], address="Storgatan 1", postal_code="93331",
        latitude=65.6, longitude=19.2, cfar="12345678",
    )  # fmt: skip
    path = f"/2505/workplaces/{place['workplace_id']}"
    boss = post(stack, f"{path}/contacts", name="Bo Boss", email="bo@firma.example.com", is_main=True)
    listed = stack.call("GET", "registry", f"{path}/contacts")["items"]
    assert [(c["name"], c["is_main"]) for c in listed] == [("Bo Boss", True), ("Kim Kontakt", False)]
    refused = stack.call("DELETE", "registry", f"/2505/contacts/{boss['contact_id']}", status=400)
    assert "main" in refused["detail_en"]
    stack.call("DELETE", "registry", f"/2505/contacts/{listed[1]['contact_id']}", status=204)
    tutor = post(
        stack, f"{path}/supervisors", name="Ulla Svets", is_adult=True, most_at_once=1,
        in_the_tasks_since="2015-01-01", trained_by="Skolverket", trained_on="2026-03-01",
    )  # fmt: skip
    half = stack.call(
        "POST", "registry", f"{path}/supervisors", status=422,
        json={"name": "U", "is_adult": True, "trained_by": "Skolverket"},
    )  # fmt: skip
    assert "both an issuer and a day" in half["errors"][0]["reason"]
    (seen,) = stack.call("GET", "registry", f"{path}/supervisors")["items"]
    assert (seen["supervisor_id"], seen["busiest_week"]) == (tutor["supervisor_id"], 0)
    stack.call("PUT", "registry", "/2505/coordinator", status=204,
               json={"name": "Cia", "email": "cia@kommun.example.com"})  # fmt: skip
    post(stack, "/2505/coordinators", name="Dag", email="dag@kommun.example.com", administration="school")
    people = stack.call("GET", "registry", "/2505/coordinators")["items"]
    assert [(p["name"], p["is_main"], p["administration"]) for p in people] == [
        ("Cia", True, None),
        ("Dag", False, "school"),
    ]


async def test_a_wrong_organisation_number_is_refused_without_being_repeated(stack):
    body = {"org_number": "640823-3235", "name": "Fel"}
    refused = stack.call("POST", "registry", "/2505/employers", json=body, status=422)
    assert refused["errors"][0]["where"] == "body.org_number"
    assert "3235" not in str(refused)


async def test_a_sole_traders_number_name_and_home_stay_in_the_vault(stack):
    made = post(
        stack, "/2506/employers", org_number=SOLE_TRADER, name="Karins Hundfrisör", sni="96090", employees=0
    )
    assert (made["org_number"], made["name"], made["is_sole_trader"]) == (None, "Karins Hundfrisör", True)
    again = post(stack, "/2506/employers", org_number="19640823-3234", name="Karins Hundfrisör")
    assert again["employer_id"] == made["employer_id"]
    elsewhere = stack.call("GET", "registry", f"/2505/employers/{made['employer_id']}")
    assert elsewhere["name"] == "Enskild firma"
    home = {"address": "Hemvägen 7", "latitude": 66.0, "longitude": 20.0}
    place = workplace(stack, "2506", made["employer_id"], name="Salongen", **home)
    assert (place["address"], place["latitude"]) == (None, None)
    for query in ("select * from employer", "select * from workplace"):
        assert "Hemvägen" not in str(await stack.sql("registry", query))
    (told,) = await stack.sql(
        "registry", "select convert_from(body, 'utf8') b from outbox where body::text like '%' || $1 || '%'"
        " and subject like '%employer.registered%'", made["employer_id"].encode().hex(),
    )  # fmt: skip
    assert '"org_number":null' in told["b"]
    assert '"sni":null' in told["b"]
    kept = await stack.sql("registry", "select sealed, blind_index from vault.sole_trader", role="app")
    assert kept == [], "without a scope no row is seen"
    (row,) = await stack.sql(
        "registry", "select sealed from vault.sole_trader where employer_id = $1", UUID(made["employer_id"]),
        role="owner",
    )  # fmt: skip
    assert b"3234" not in row["sealed"]


async def test_two_registrations_of_an_employer_are_made_one_and_two_again(stack, towns):
    town = towns("2510")
    town.employers()
    town.slot("s")
    (place,) = stack.call("GET", "registry", "/2510/workplaces")["items"]
    gone = place["employer_id"]
    kept = post(stack, "/2510/employers", org_number=org_number(9999), name="Samma AB")["employer_id"]
    beyond = post(stack, "/2521/employers", org_number=org_number(25100), name="x")["employer_id"]
    assert beyond == gone
    workplace(stack, "2521", gone, name="Utanför")
    refused = post(stack, f"/2510/employers/{gone}/merge", status=403, into=kept)
    assert "2521" in refused["detail"]
    both = {"headers": _both(stack, "2510", "2521")}
    made = stack.call(
        "POST", "registry", f"/2510/employers/{gone}/merge", json={"into": kept}, status=201, **both
    )
    assert stack.call("GET", "registry", f"/2510/employers/{gone}")["employer_id"] == kept
    slot = stack.call("GET", "registry", "/2510/slots")["items"][0]
    assert await _told_of(stack, slot["slot_id"]) == kept
    assert gone not in [e["employer_id"] for e in stack.call("GET", "registry", "/2510/employers")["items"]]
    twice = stack.call(
        "POST", "registry", f"/2510/employers/{gone}/merge", json={"into": kept}, status=409, **both
    )
    assert "already" in twice["detail_en"]
    town.slot("since")
    undone = stack.call("POST", "registry", f"/2510/merges/{made['merge_id']}/undo", **both)
    assert undone["undone_at"]
    for each in stack.call("GET", "registry", "/2510/slots")["items"]:
        assert await _told_of(stack, each["slot_id"]) == gone, each["ref"]
    (place,) = stack.call("GET", "registry", "/2510/workplaces")["items"]
    assert place["employer_id"] == gone
    assert await _told_of(stack, slot["slot_id"]) == gone
    names = await stack.sql(
        "registry",
        "select split_part(subject, '.', 5) || '.' || split_part(subject, '.', 6) n from outbox"
        " where subject ~ '2510[.].*employer[.](merged|parted)' order by id",
    )
    assert [r["n"] for r in names] == ["employer.merged", "employer.parted"]


def _both(stack, *codes):
    token = stack.token("coordinator", municipalities=codes)
    return {"authorization": f"Bearer {token}"}


async def _told_of(stack, slot_id):
    """The employer in the last event that told of the slot."""
    rows = await stack.sql(
        "registry",
        "select convert_from(body, 'utf8')::jsonb ->> 'employer_id' e from outbox"
        " where subject like '%registry.slot.%' and headers ->> 'ce-subject' = $1 order by id desc limit 1",
        slot_id,
    )
    return rows[0]["e"]


async def test_the_second_of_two_editors_is_told(stack):
    made = post(stack, "/2513/employers", org_number=org_number(1313), name="Först AB")
    path = f"/2513/employers/{made['employer_id']}"
    first = stack.call("PATCH", "registry", path, json={"revision": 1, "name": "Andra AB"})
    assert (first["name"], first["revision"]) == ("Andra AB", 2)
    second = stack.call("PATCH", "registry", path, json={"revision": 1, "employees": 4}, status=409)
    assert second["type"] == "urn:kompetensnav:problem:changed-meanwhile"
    assert stack.call("GET", "registry", path)["employees"] is None


async def test_a_learning_centre_places_the_learners_of_schools_that_delegate_and_sees_no_others(
    stack, towns
):
    town = towns("2514")
    town.employers()
    town.slot("s", shared_with="named", named_municipalities="lc_kalix")
    town.slot("t")
    for ref in ("a", "b"):
        town.learner(ref)
    _other_school(stack, "2514", "c")
    stack.call("PUT", "registry", "/2514/learning-centres/lc_kalix", json={"name": "Lärcentrum Kalix"})
    nobody = stack.call("GET", "registry", "/lc_kalix/delegated/learners", status=404)
    assert "delegates" in nobody["detail_en"]
    given = post(
        stack, "/2514/delegations", administration="school", school="gy1", centre="lc_kalix",
        valid_from="2026-01-01",
    )  # fmt: skip
    seen = stack.call("GET", "registry", "/lc_kalix/delegated/learners")["items"]
    assert sorted(x["given_name"] for x in seen) == ["Namna", "Namnb"]
    requests = stack.call("GET", "registry", "/lc_kalix/delegated/requests")["items"]
    assert len(requests) == 2
    slots = stack.call("GET", "registry", "/lc_kalix/delegated/slots")["items"]
    slots = [slot for slot in slots if slot["shared_with"] != "public"]  # of every test on this stack
    assert [s["ref"] for s in slots] == ["s"]
    chosen = {"request_id": requests[0]["request_id"], "slot_id": slots[0]["slot_id"],
              "slot_municipality": "2514"}  # fmt: skip
    offer = post(stack, "/lc_kalix/delegated/offers", **chosen)
    assert offer["state"] == "open"
    assert await stack.link("w0.2514@firma.example.com", "svara")
    hidden = next(s for s in stack.call("GET", "registry", "/2514/slots")["items"] if s["ref"] == "t")
    refused = post(
        stack, "/lc_kalix/delegated/offers", status=403,
        **(chosen | {"request_id": requests[1]["request_id"], "slot_id": hidden["slot_id"]}),
    )  # fmt: skip
    assert refused["type"] == "urn:kompetensnav:problem:not-yours"
    other = stack.call("GET", "registry", "/2514/requests")["items"]
    strange = next(r for r in other if r["request_id"] not in {q["request_id"] for q in requests})
    post(
        stack, "/lc_kalix/delegated/offers", status=404,
        **(chosen | {"request_id": strange["request_id"]}),
    )  # fmt: skip
    stack.call("POST", "registry", f"/2514/delegations/{given['delegation_id']}/end")
    assert stack.call("GET", "registry", "/lc_kalix/delegated/learners")["total"] == 2, (
        "to the end of the day"
    )


def _other_school(stack, code, ref):
    head = "ref,administration,school,given_name,family_name,email,guardian_email,born_on,locality\n"
    mail = f"{ref}@elev.example.com"
    row = f"{ref},school,gy2,Namn{ref},Efternamn,{mail},v{mail},2009-05-05,lulea\n"
    stack.bring_in(code, "learners", head + row)
    head = "ref,learner,administration,placement_type,starts_on,ends_on,wishes,needs\n"
    stack.bring_in(code, "requests", f"{head}r{ref},{ref},school,apl,2027-02-01,2027-03-26,5321,\n")
