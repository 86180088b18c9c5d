"""What is an administration's is changed and deleted by that one alone, also within one municipality."""

import pytest

from kompetensnav_chassis.testing import eventually
from support.stack import today

pytestmark = pytest.mark.real
SCHOOL, SOCIAL = {"administrations": ("school",)}, {"administrations": ("social",)}


async def test_an_administrations_decision_deletes_nothing_of_anothers(stack, desks):
    desk = desks("0563")
    person = {"given_name": "Namn", "family_name": "Efternamn", "born_on": "2000-05-05", "locality": "lulea"}
    learners = {}
    for which in ("school", "social"):
        body = person | {"administration": which, "school": which}
        made = desk.call("POST", "/learners", json=body, status=201, administrations=(which,))
        learners[which] = made["learner_id"]
    for which, learner in learners.items():
        desk.call("POST", f"/learners/{learner}/background-checks", status=204, administrations=(which,),
                  json={"kind": "school", "shown_on": "2024-01-01"})  # fmt: skip
    decided = {"months": 0, "decided_by": "BUN 2026:9", "administration": "school"}
    desk.call("PUT", "/retention/background_check", json=decided, status=403, **SOCIAL)
    made = desk.call("PUT", "/retention/background_check", json=decided, **SCHOOL)
    assert made["administration"] == "school"
    query = "select administration from vault.background_check where municipality = '0563'"

    async def left():
        return [row["administration"] for row in await stack.sql("registry", query, role="owner")]

    async def only_theirs():
        return await left() == ["social"]

    await eventually(only_theirs)
    assert desk.call("GET", "/retention", **SOCIAL)["total"] == 0


async def test_a_school_is_changed_given_away_and_delegated_by_its_own_administration(stack, desks):
    desk = desks("0580")
    ours, theirs = ({"name": "Gymnasiet", "administration": name} for name in ("school", "social"))
    desk.call("PUT", "/schools/gy9", json=ours, **SCHOOL)
    taken = desk.call("PUT", "/schools/gy9", json=theirs, status=403, **SOCIAL)
    assert "another administration" in taken["detail_en"]
    given = desk.call("PUT", "/schools/gy9", json=theirs, status=403, **SCHOOL)
    assert "social" in given["detail"]
    (kept,) = [s for s in desk.call("GET", "/schools")["items"] if s["code"] == "gy9"]
    assert kept["administration"] == "school"
    desk.call("PUT", "/learning-centres/lc_linkoping", json={"name": "Lärcentrum"})
    body = {"school": "gy9", "centre": "lc_linkoping", "valid_from": str(today())}
    desk.call("POST", "/delegations", json=body | {"administration": "social"}, status=403, **SOCIAL)
    made = desk.call("POST", "/delegations", json=body | {"administration": "school"}, status=201, **SCHOOL)
    assert made["school"] == "gy9"
