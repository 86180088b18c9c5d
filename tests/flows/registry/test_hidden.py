"""Whatever the way in, a protected learner is not there: links end when somebody is marked, and who gives the
learner's number, or a reference to a request, is answered as in a town where nobody has it."""

import httpx
import pytest

pytestmark = pytest.mark.real
NUMBER = "19640823-3234"
PROTECTED = {"security_marking": "protected_registration", "case_worker": "cw-anna"}
WORKER = {"role": "case_worker", "subject": "cw-anna"}
PERSON = {"administration": "school", "school": "gy1", "given_name": "Ny", "family_name": "Person",
          "born_on": "1964-08-23", "locality": "lulea", "identity_number": NUMBER}  # fmt: skip
HEAD = "ref,administration,school,given_name,family_name,born_on,locality,identity_number\n"
ROW = f"x,school,gy1,Ny,Person,1964-08-23,lulea,{NUMBER}\n"
REQUESTS = "ref,learner,administration,placement_type,starts_on,ends_on,wishes\n"


def shape(answer):
    """What an answer is like, without what is another each time."""
    return {name: type(value).__name__ for name, value in answer.items()}


async def test_a_link_that_somebody_has_ends_when_the_learner_is_marked(stack, towns):
    town = towns("0513")
    placement = await town.placed()
    path = f"/0513/placements/{placement['placement_id']}"
    stack.call("POST", "registry", f"{path}/agreement", json={"terms": {"hours_per_week": 35}}, status=201)
    links = [
        stack.call("POST", "registry", f"{path}/{what}/links/employer", status=201)["link"]
        for what in ("agreement", "presence")
    ]
    links.append(await stack.link("w0.0513@firma.example.com", ""))
    assert {httpx.get(link).status_code for link in links} == {200}
    unknown = httpx.get(links[0] + "x")
    (learner,) = stack.call("GET", "registry", "/0513/learners")["items"]
    marked = {"revision": learner["revision"], **PROTECTED}
    stack.call("PATCH", "registry", f"/0513/learners/{learner['learner_id']}", json=marked)
    for link in links:
        for answer in (httpx.get(link), httpx.post(link, data={"name": "Bo Boss"})):
            assert answer.status_code == unknown.status_code == 404
            assert "35" not in answer.text
    signed = await stack.sql(
        "registry", "select count(*) n from vault.signature where municipality = '0513'", role="owner"
    )
    assert signed[0]["n"] == 0


async def test_the_number_of_somebody_hidden_leads_to_the_case_worker_and_to_no_answer(desks):
    two = hides, has_none = desks("0509"), desks("0512")
    hides.learner("p", "1964-08-23", identity_number=NUMBER, **PROTECTED)
    made = [desk.call("POST", "/learners", json=PERSON, status=201) for desk in two]
    assert shape(made[0]) == shape(made[1])
    assert hides.call("GET", "/learners")["total"] == 0, "nobody was registered"
    assert hides.call("GET", "/learners", **WORKER)["total"] == 1
    assert has_none.call("GET", "/learners")["total"] == 1
    (hidden,) = hides.call("GET", "/learners", **WORKER)["items"]
    log = hides.call("GET", f"/learners/{hidden['learner_id']}/views", **WORKER)["items"]
    assert "number_given_again" in {entry["what"] for entry in log}
    for desk in two:
        desk.call("POST", "/learners", json=PERSON, status=409)
    again = hides.call("POST", "/learners", json=PERSON, status=409, **WORKER)
    assert "registered" in again["detail_en"], "the case worker knows"


async def test_a_file_with_the_number_of_somebody_hidden_is_taken_as_if_nobody_had_it(stack, towns, desks):
    hides, has_none = desks("0560"), desks("0561")
    hides.learner("p", "1964-08-23", identity_number=NUMBER, **PROTECTED)
    for counts in (
        {"created": 1, "changed": 0, "unchanged": 0},
        {"created": 0, "changed": 0, "unchanged": 1},
    ):
        assert [stack.bring_in(desk.code, "learners", HEAD + ROW) for desk in (hides, has_none)] == [
            counts
        ] * 2
    assert hides.call("GET", "/learners")["total"] == 0
    assert hides.call("GET", "/learners", **WORKER)["total"] == 1


async def test_a_file_that_marks_somebody_is_heeded_though_their_number_is_a_hidden_learners(stack, desks):
    desk = desks("0581")
    desk.learner("p", "1964-08-23", identity_number=NUMBER, **PROTECTED)
    plain = HEAD + "x,school,gy1,Ny,Person,1964-08-23,lulea,\n"
    stack.bring_in("0581", "learners", plain)
    assert desk.call("GET", "/learners")["total"] == 1
    head = HEAD.replace("\n", ",security_marking,case_worker\n")
    row = ROW.replace("\n", ",protected_registration,cw-anna\n")
    stack.bring_in("0581", "learners", head + row)
    assert desk.call("GET", "/learners")["total"] == 0, "the marking holds"
    assert desk.call("GET", "/learners", **WORKER)["total"] == 2


async def test_a_file_of_requests_finds_nobody_hidden_and_no_request_of_theirs(stack, desks):
    desk, code = desks("0562"), "0562"
    rows = "".join(f"{ref},school,gy1,Namn,Efternamn,2009-05-05,lulea,\n" for ref in ("a", "b"))
    stack.bring_in(code, "learners", HEAD + rows)
    stack.bring_in(code, "requests", f"{REQUESTS}ra,a,school,apl,2027-02-01,2027-03-26,5321\n")
    (asked,) = desk.call("GET", "/requests")["items"]
    learner = next(
        x for x in desk.call("GET", "/learners")["items"] if x["learner_id"] == asked["learner_id"]
    )
    marked = {"revision": learner["revision"], **PROTECTED}
    desk.call("PATCH", f"/learners/{learner['learner_id']}", json=marked)
    said = [
        stack.bring_in(
            code, "requests", f"{REQUESTS}{ref},{who},school,apl,2027-02-01,2027-03-26,7111\n", status=422
        )
        for ref, who in (("ra", "a"), ("rz", "z"))
    ]
    assert [[(f["column"], f["reason"]) for f in each["errors"]] for each in said] == [
        [("learner", "no such learner; import learners first")]
    ] * 2
    taken = stack.bring_in(code, "requests", f"{REQUESTS}ra,b,school,apl,2027-02-01,2027-03-26,5321\n")
    assert taken == {"created": 1, "changed": 0, "unchanged": 0}, "the reference is free"
