"""Learners and the vault: numbers, protected learners, month files, access, erasure, retention."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import uuid_utils.compat as uuids

from kompetensnav_care.log import read_log
from kompetensnav_chassis.testing import eventually
from support.stack import today

pytestmark = pytest.mark.real
NUMBER, COORDINATION, TEMPORARY = "19640823-3234", "19811278-9873", "20010203-TF01"
"""Made-up numbers with right check digits."""
WORKER = {"role": "case_worker", "subject": "cw-anna"}
PROTECTED = {"security_marking": "protected_registration", "case_worker": "cw-anna"}


async def told(stack, code):
    rows = await stack.sql(
        "registry", "select split_part(subject, '.', 5) || '.' || split_part(subject, '.', 6) n from outbox"
        " where subject like $1 order by id", f"nav.{code}.%",
    )  # fmt: skip
    return [row["n"] for row in rows]


async def test_a_number_is_sealed_found_by_its_index_and_repeated_nowhere(stack, desks):
    desk = desks("1260")
    ids = {
        number: desk.learner(f"n{i}", f"{number[:4]}-{number[4:6]}-{day}", identity_number=number)
        for i, (number, day) in enumerate(((NUMBER, "23"), (COORDINATION, "18"), (TEMPORARY, "03")))
    }
    for given, number in (("640823-3234", NUMBER), ("198112789873", COORDINATION), (TEMPORARY, TEMPORARY)):
        found = desk.call("POST", "/learners/find", json={"identity_number": given}, status=200)
        assert [x["learner_id"] for x in found["items"]] == [ids[number]]
    other = desk.call("POST", "/learners/find", json={"identity_number": NUMBER}, administrations=("social",),
                      status=200)  # fmt: skip
    assert other["total"] == 0
    twice = {"administration": "school", "school": "gy1", "given_name": "X", "family_name": "Y",
             "born_on": "1964-08-23", "locality": "lulea", "identity_number": NUMBER}  # fmt: skip
    refused = desk.call("POST", "/learners", json=twice, status=409)
    assert "3234" not in str(refused)
    wrong = desk.call("POST", "/learners", json=twice | {"identity_number": "19640823-3235"}, status=422)
    assert "3235" not in str(wrong)
    day = desk.call("POST", "/learners", json=twice | {"born_on": "1964-08-24"}, status=422)
    assert "another day" in str(day)
    head = "ref,administration,school,given_name,family_name,born_on,locality,identity_number\n"
    rows = "a,school,gy1,A,B,1964-08-23,lulea,640823-3235\nb,school,gy1,A,B,1964-08-23,lulea,640823-3234\n"
    bad = stack.bring_in("1260", "learners", head + rows, status=422)
    assert [(e["line"], e["column"]) for e in bad["errors"]] == [
        (2, "identity_number"),
        (3, "identity_number"),
    ], "a wrong one, and one that another learner has"
    assert "3235" not in str(bad)
    same = stack.bring_in("1260", "learners", head + rows.split("\n")[1] + "\n", status=422)
    assert "3234" not in str(same)
    kept = await stack.sql(
        "registry", "select sealed, blind_index, number_kind from vault.learner where municipality = '1260'"
        " order by number_kind", role="owner",
    )  # fmt: skip
    assert [row["number_kind"] for row in kept] == ["coordination", "personal", "temporary"]
    assert not [row for row in kept if b"3234" in row["sealed"] or b"TF01" in row["sealed"]]
    assert NUMBER not in (stack.folder / "logs/registry.log").read_text()


async def test_a_protected_learner_appears_to_the_named_case_worker_alone_and_views_are_logged(stack, desks):
    desk = desks("1261")
    nobody = {"administration": "school", "school": "gy1", "given_name": "X", "family_name": "Y",
              "born_on": "1990-01-01", "locality": "lulea",
              "security_marking": "confidentiality_marked"}  # fmt: skip
    assert "named case worker" in str(desk.call("POST", "/learners", json=nobody, status=422))
    learner = desk.learner("p", "1964-08-23", identity_number=NUMBER, **PROTECTED)
    before = await told(stack, "1261")
    body = {
        "learner_id": learner,
        "placement_type": "apl",
        "starts_on": "2027-02-01",
        "ends_on": "2027-03-26",
    }
    desk.call("POST", "/requests", json=body, status=404)
    desk.call("POST", "/requests", json=body, status=404, role="case_worker", subject="cw-bo")
    request = desk.call("POST", "/requests", json=body, status=201, **WORKER)
    for path in ("/learners", "/requests"):
        assert desk.call("GET", path)["total"] == 0
        assert desk.call("GET", path, role="case_worker", subject="cw-bo")["total"] == 0
        assert desk.call("GET", path, **WORKER)["total"] == 1
    found = desk.call("POST", "/learners/find", json={"identity_number": NUMBER}, status=200)
    assert found["total"] == 0
    slot = desk.slot(seats=2)
    by_hand = {"request_id": request["request_id"], "slot_id": slot["slot_id"]}
    desk.call("POST", "/placements/by-hand", json=by_hand, role="case_worker", subject="cw-bo", status=404)
    desk.call("POST", "/placements/by-hand", json=by_hand, status=201, **WORKER)
    joined = {"learner_id": learner, "project": "p1", "starts_on": "2026-01-01"}
    desk.call("POST", "/participations", json=joined, status=404)
    assert (await told(stack, "1261"))[len(before) :] == ["slot.posted", "capacity.changed"]
    desk.call("POST", f"/learners/{learner}/hand-over", json={"to": "cw-cia"}, status=204, **WORKER)
    desk.call("GET", f"/learners/{learner}/views", status=404, **WORKER)
    log = desk.call("GET", f"/learners/{learner}/views", role="case_worker", subject="cw-cia")["items"]
    assert {(v["viewed_by"], v["what"]) for v in log} == {
        ("cw-anna", "learner"), ("cw-anna", "list"), ("cw-anna", "requests"), ("cw-anna", "placed_by_hand"),
        ("cw-anna", "handed_over"), ("cw-cia", "learner"),
    }  # fmt: skip


async def test_another_administration_sees_only_that_a_seat_is_occupied(stack, desks):
    desk = desks("1262")
    slot = desk.slot(seats=1)
    desk.offer(desk.request(desk.learner("a")), slot)
    theirs = {"administrations": ("social",)}
    for path in ("/learners", "/requests", "/offers", "/placements"):
        assert desk.call("GET", path, **theirs)["total"] == 0
    path = f"/workplaces/{desk.workplace['workplace_id']}/account?ends_on=2027-06-30"
    (seat,) = desk.call("GET", path, **theirs)["seats"]
    assert (seat["occupied"], seat["is_ours"], seat["placement_type"]) == (True, False, None)


async def test_the_month_file_is_made_in_order_and_again_after_a_correction(stack, desks):
    desk = desks("1263")
    monday = datetime(2026, 7, 6, tzinfo=UTC).date()
    slot = desk.slot(starts_on=str(monday), ends_on="2026-09-25")
    learner = desk.learner("a", "1964-08-23", identity_number=NUMBER)
    request = desk.request(learner, starts_on=str(monday), ends_on="2026-09-25")
    placement = desk.confirmed(desk.offer(request, slot))
    hidden = desk.learner("p", "1981-12-18", identity_number=COORDINATION, **PROTECTED)
    desk.call("POST", "/participations", status=404,
              json={"learner_id": hidden, "project": "kk1", "starts_on": "2026-07-01"})  # fmt: skip
    joined = {"learner_id": learner, "project": "kk1", "starts_on": "2026-07-01"}
    desk.call("POST", "/participations", json=joined, status=201)
    assert desk.call("POST", "/participations", json=joined, status=409)

    def hours(week, n):
        path = f"/placements/{placement['placement_id']}/presence/{week}"
        desk.call("PUT", path, json={"days": 5, "hours": str(n)})

    hours(monday, 40)
    hours(datetime(2026, 7, 27, tzinfo=UTC).date(), 30)  # its last working day is the last of July
    hours(datetime(2026, 8, 31, tzinfo=UTC).date(), 35)  # one day in August, four in September
    months = "/administrations/school/projects/kk1/months"
    refused = desk.call("POST", f"{months}/2026-08", status=409)
    assert refused["type"] == "urn:kompetensnav:problem:out-of-order"
    july = desk.call("POST", f"{months}/2026-07", status=200).lstrip("\ufeff")
    assert july.splitlines() == [
        "month;project;identity_number;starts_on;ends_on;hours",
        f"2026-07;kk1;{NUMBER};2026-07-01;;70.0",
    ]
    assert desk.call("POST", f"{months}/2026-08", status=200).rstrip().endswith(";7.0")
    assert desk.call("POST", f"{months}/2026-09", status=200).rstrip().endswith(";28.0")
    hours(monday, 38)
    assert desk.call("POST", f"{months}/2026-07", status=200).rstrip().endswith(";68.0")
    made = desk.call("GET", months)["items"]
    assert [(m["month"], m["revision"], m["send_again"]) for m in made] == [
        ("2026-07", 2, False), ("2026-08", 1, True), ("2026-09", 1, True),
    ]  # fmt: skip
    desk.call("POST", f"{months}/2026-08", status=200)
    assert [m["send_again"] for m in desk.call("GET", months)["items"]] == [False, False, True]
    ahead = desk.call("POST", f"{months}/{today():%Y-%m}", status=409)
    assert "not over" in ahead["detail_en"]
    assert desk.call("POST", f"{months}/2026-07", administrations=("social",), status=403)


async def test_hours_count_within_the_participation_and_to_one_project_at_a_time(desks):
    desk = desks("1291")
    monday = datetime(2026, 7, 6, tzinfo=UTC).date()
    days = {"starts_on": str(monday), "ends_on": "2026-08-28"}
    learner = desk.learner("a", "1964-08-23", identity_number=NUMBER)
    placement = desk.confirmed(desk.offer(desk.request(learner, **days), desk.slot(**days)))
    joined = {"learner_id": learner, "project": "kk1", "starts_on": "2026-07-08"}  # a Wednesday
    made = desk.call("POST", "/participations", json=joined, status=201)
    second = joined | {"project": "kk2", "starts_on": "2026-07-20"}
    assert "kk1" in desk.call("POST", "/participations", json=second, status=409)["detail_en"]
    end = f"/participations/{made['participation_id']}/end"
    desk.call("PUT", end, json={"ends_on": "2026-07-01"}, status=400)
    desk.call("PUT", end, json={"ends_on": "2026-07-17"}, administrations=("social",), status=404)
    assert desk.call("PUT", end, json={"ends_on": "2026-07-17"})["ends_on"] == "2026-07-17"
    later = desk.call("POST", "/participations", json=second, status=201)
    assert "kk2" in desk.call("PUT", end, json={"ends_on": "2026-07-20"}, status=409)["detail_en"]
    listed = desk.call("GET", "/participations")["items"]
    assert [(p["project"], p["ends_on"]) for p in listed] == [("kk1", "2026-07-17"), ("kk2", None)]
    for weeks in range(3):
        path = f"/placements/{placement['placement_id']}/presence/{monday + timedelta(weeks=weeks)}"
        desk.call("PUT", path, json={"days": 5, "hours": "40"})
    for project, hours in (("kk1", "64.0"), ("kk2", "40.0")):  # three days of the first week, and the second
        file = f"/administrations/school/projects/{project}/months/2026-07"
        assert desk.call("POST", file, status=200).rstrip().endswith(f";{hours}"), project
    (seen,) = desk.call("GET", "/learners")["items"]
    desk.call("PATCH", f"/learners/{learner}", json=PROTECTED | {"revision": seen["revision"]})
    end = f"/participations/{later['participation_id']}/end"
    assert desk.call("PUT", end, json={"ends_on": "2026-07-31"}, status=404)


async def test_a_learner_gets_everything_that_is_kept(desks):
    desk = desks("1264")
    learner = desk.learner("a", "1964-08-23", identity_number=NUMBER, phone="070-1234567")
    desk.offer(desk.request(learner), desk.slot())
    export = desk.call("GET", f"/learners/{learner}/access-export")
    assert export["learner"]["identity_number"] == NUMBER
    assert export["learner"]["phone"] == "070-1234567"
    assert (len(export["request"]), len(export["offer"]), export["placement"]) == (1, 1, [])
    assert export["placement_agreement"] == []
    assert "sealed" not in json.dumps(export)
    desk.call("GET", f"/learners/{learner}/access-export", administrations=("social",), status=404)


async def test_erasure_is_answered_by_every_service_and_the_vault_forgets_at_once(stack, towns):
    town = towns("1265")
    placement = await town.placed()
    learner = placement["learner_id"]

    def erase(status=201):
        return stack.call("POST", "registry", f"/1265/learners/{learner}/erasure", status=status)

    active = erase(409)
    assert "not over" in active["detail_en"]
    path = f"/1265/placements/{placement['placement_id']}"
    stack.call("POST", "registry", f"{path}/interrupt", json={"reason": "other"})

    async def written():
        return stack.mails("l.1265@elev.example.com")

    await eventually(written)
    asked = erase()
    assert asked["answer_by"] == str(today() + timedelta(days=30))
    assert {a["service"]: a["answer"] for a in asked["answers"]} == {"registry": "erased"}

    async def answered():
        shown = stack.call("GET", "registry", f"/1265/erasures/{asked['erasure_id']}")
        return not shown["waiting"] and {a["service"]: a["answer"] for a in shown["answers"]}

    assert await eventually(answered) == {
        "registry": "erased", "matching": "erased", "notifications": "erased", "reporting": "nothing",
    }  # fmt: skip
    assert stack.call("GET", "registry", "/1265/learners")["total"] == 0
    erase(404)
    for service, query in (
        ("registry", "select learner_id::text v from vault.learner where learner_id = $1"),
        ("matching", "select learner_id::text v from open_request where learner_id = $1"),
        ("matching", "select learner_id::text v from proposal where learner_id = $1"),
        ("notifications", "select recipient_id::text v from message where recipient_id = $1"),
    ):
        assert await stack.sql(service, query, learner, role="owner") == [], service
    wishes = await stack.sql(
        "registry", "select wishes, needs, terms from request where learner_id = $1", learner
    )
    assert [(r["wishes"], r["needs"], r["terms"]) for r in wishes] == [("[]", [], "{}")]


async def streamed(stack):
    """(stream, event's name, learner it names) of every message in the streams that hold events."""
    connection = await stack.nats()
    try:
        return [
            (m.stream, m.name, m.fact("learner_id"))
            for name in ("INT_LOCAL", "DEAD_LOCAL")
            for m in await read_log(connection, name)
        ]
    finally:
        await connection.close()


async def publish(stack, subject, body, headers):
    """As the registry would."""
    registry = await stack.nats("registry")
    try:
        await registry.jetstream().publish(subject, body.encode(), headers=headers)
    finally:
        await registry.close()


async def told_again(stack, learner):
    """An event about the learner, published once more after everybody has answered."""
    (row,) = await stack.sql(
        "registry",
        "select subject, headers, convert_from(body, 'UTF8') body from outbox"
        " where subject like '%.request.opened.v1' and convert_from(body, 'UTF8') like '%' || $1 || '%'",
        learner,
    )
    headers = json.loads(row["headers"]) | {"Nats-Msg-Id": str(uuids.uuid7())}
    await publish(stack, row["subject"], row["body"], headers)


async def poisoned(stack, learner):
    """A message about the learner that no listener can read, and that lies among the dead letters."""
    (row,) = await stack.sql(
        "registry",
        "select subject, headers from outbox where subject like '%.request.opened.v1'"
        " and convert_from(body, 'UTF8') like '%' || $1 || '%'",
        learner,
    )
    id = str(uuids.uuid7())
    body = json.dumps({"learner_id": learner, "request_id": 5})
    headers = json.loads(row["headers"]) | {"ce-id": id, "Nats-Msg-Id": id}
    await publish(stack, row["subject"], body, {k: v for k, v in headers.items() if k != "ce-time"})

    async def dead():
        return [m for m in await streamed(stack) if m[0] == "DEAD_LOCAL" and m[2] == learner]

    await eventually(dead)


async def test_the_streams_forget_too_and_every_promise_still_holds(own_stack):
    stack, towns = own_stack
    kept, town = await towns("1268").placed(), towns("1269")
    placement = await town.placed()
    learner = placement["learner_id"]
    await poisoned(stack, learner)
    path = f"/1269/placements/{placement['placement_id']}/interrupt"
    stack.call("POST", "registry", path, json={"reason": "other"})
    assert "Nothing is left" in stack.run("care", "erase").stdout
    asked = stack.call("POST", "registry", f"/1269/learners/{learner}/erasure", status=201)

    async def told():
        done = stack.run("care", "erase", "--plan", "--json")
        assert done.returncode == 0, done.stderr
        (row,) = json.loads(done.stdout)["erasures"] or [{"waits_for": ["everybody"]}]
        return not row["waits_for"] and row

    assert (await eventually(told))["erasure_id"] == asked["erasure_id"]
    await told_again(stack, learner)
    await stack.at_rest()
    planned = await eventually(told)
    before = [m for m in await streamed(stack) if m[2] == learner]
    assert planned["messages"] == len(before) - 1 > 5
    printed = stack.run("care", "erase")
    assert printed.returncode == 0, printed.stderr
    assert learner not in printed.stdout
    after = await streamed(stack)
    assert [m[1] for m in after if m[2] == learner] == ["registry.erasure.requested.v1"]
    assert any(m[2] == kept["learner_id"] for m in after)
    for service in ("registry", "matching", "notifications", "reporting"):
        query = "select subject from outbox where convert_from(body, 'UTF8') like '%' || $1 || '%'"
        left = [row["subject"] for row in await stack.sql(service, query, learner)]
        assert all(subject.endswith("erasure.requested.v1") for subject in left), left
    assert "Nothing is left" in stack.run("care", "erase").stdout
    await marked_later(stack, towns("1271"))
    await stack.at_rest()
    assert " 0 " in stack.run("care", "republish").stdout
    verified = stack.run("verify", "--rebuild", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr


async def marked_later(stack, town):
    """A learner with a placement, whom a coordinator then marks as protected."""
    placement = await town.placed()
    learner = placement["learner_id"]
    path = f"/{town.code}/learners/{learner}"
    (seen,) = stack.call("GET", "registry", f"/{town.code}/learners")["items"]
    marking = PROTECTED | {"revision": seen["revision"]}
    unnamed = {"revision": seen["revision"], "security_marking": "confidentiality_marked"}
    stack.call("PATCH", "registry", path, json=unnamed, status=400)
    assert stack.call("PATCH", "registry", path, json=marking) is None
    stack.call("PATCH", "registry", path, json=marking, status=404)
    return placement, path


async def test_a_learner_who_is_marked_later_is_hidden_from_then_on_and_forgotten_outside(stack, towns):
    town = towns("1292")
    placement, _ = await marked_later(stack, town)
    learner = placement["learner_id"]
    for things in ("learners", "requests", "offers", "placements", "erasures"):
        assert stack.call("GET", "registry", f"/1292/{things}")["total"] == 0, things
        assert stack.call("GET", "registry", f"/1292/{things}", **WORKER)["total"] == 1, things

    async def forgotten():
        (asked,) = stack.call("GET", "registry", "/1292/erasures", **WORKER)["items"]
        shown = stack.call("GET", "registry", f"/1292/erasures/{asked['erasure_id']}", **WORKER)
        return not shown["waiting"] and {a["service"] for a in shown["answers"]}

    assert await eventually(forgotten) == {"matching", "notifications", "reporting"}
    for service, table, column in (
        ("matching", "open_request", "learner_id"),
        ("notifications", "message", "recipient_id"),
    ):
        query = f"select 1 from {table} where {column} = $1"
        assert await stack.sql(service, query, learner, role="owner") == [], service
    before = await told(stack, "1292")
    interrupt = f"/1292/placements/{placement['placement_id']}/interrupt"
    stack.call("POST", "registry", interrupt, json={"reason": "other"}, status=404)
    stack.call("POST", "registry", interrupt, json={"reason": "other"}, **WORKER)
    since = (await told(stack, "1292"))[len(before) :]
    assert set(since) <= {"capacity.changed", "seat.released"}, since
    marked_by_file = "ref,administration,school,given_name,family_name,born_on,locality\n"
    marked_by_file += "l,school,gy1,Annat,Namn,2009-05-05,lulea\n"
    assert stack.bring_in("1292", "learners", marked_by_file) == {"created": 0, "changed": 0, "unchanged": 1}
    assert stack.call("GET", "registry", "/1292/learners")["total"] == 0


async def test_a_marking_is_lifted_by_the_case_worker_and_nothing_is_stranded(stack, towns):
    town = towns("1293")
    placement, path = await marked_later(stack, town)
    bo = {"role": "case_worker", "subject": "cw-bo"}
    stack.call("POST", "registry", f"{path}/hand-over", json={"to": "cw-bo"}, status=204, **WORKER)
    assert [stack.call("GET", "registry", "/1293/erasures", **who)["total"] for who in (WORKER, bo)] == [0, 1]
    (seen,) = stack.call("GET", "registry", "/1293/learners", **bo)["items"]
    back = {"revision": seen["revision"], "case_worker": WORKER["subject"]}
    stack.call("PATCH", "registry", path, json=back, **bo)
    assert [stack.call("GET", "registry", "/1293/erasures", **who)["total"] for who in (WORKER, bo)] == [1, 0]
    (seen,) = stack.call("GET", "registry", "/1293/learners", **WORKER)["items"]
    lifted = {"revision": seen["revision"], "security_marking": "none"}
    assert stack.call("PATCH", "registry", path, json=lifted, **WORKER)["revision"] == seen["revision"] + 1
    assert stack.call("GET", "registry", "/1293/placements")["total"] == 1
    interrupt = f"/1293/placements/{placement['placement_id']}/interrupt"
    stack.call("POST", "registry", interrupt, json={"reason": "other"})
    stack.call("POST", "registry", f"{path}/erasure", status=201)
    assert stack.call("GET", "registry", "/1293/learners")["total"] == 0


async def test_a_signed_agreement_is_retained_by_decision_and_the_answer_says_until_when(stack, towns):
    town = towns("1266")
    placement = await town.placed(born="1990-01-01")
    path = f"/1266/placements/{placement['placement_id']}"
    stack.call("POST", "registry", f"{path}/agreement", json={}, status=201)
    said = {"party": "learner", "name": "Namnl", "signed_on": str(today())}
    stack.call("POST", "registry", f"{path}/agreement/signatures", json=said, status=201)
    decided = {"months": 24, "decided_by": "BUN 2026:7", "administration": "school"}
    stack.call("PUT", "registry", "/1266/retention/placement_agreement", json=decided)
    stack.call("POST", "registry", f"{path}/interrupt", json={"reason": "other"})
    asked = stack.call("POST", "registry", f"/1266/learners/{placement['learner_id']}/erasure", status=201)
    (ours,) = asked["answers"]
    assert (ours["answer"], ours["ground"]) == ("retained", "placement_agreement: BUN 2026:7")
    assert abs((datetime.fromisoformat(ours["until"]).date() - today()).days - 730) <= 2
    signed = "select 1 from vault.signature where municipality = '1266'"
    assert len(await stack.sql("registry", signed, role="owner")) == 1
    over = "update vault.erasure_answer set until = $1 where municipality = '1266' and service = 'registry'"
    await stack.sql("registry", over, today() - timedelta(days=1), role="owner")
    stack.call(
        "PUT", "registry", "/1266/retention/placement_agreement", json=decided
    )  # and so it is looked at

    async def forgotten():
        return not await stack.sql("registry", signed, role="owner")

    await eventually(forgotten)
    assert stack.call("GET", "registry", "/1266/learners")["total"] == 0


async def test_what_has_been_kept_as_long_as_decided_is_deleted_by_type(stack, desks):
    desk = desks("1267")
    learner = desk.learner("a")
    for shown_on in ("2024-01-01", str(today())):
        desk.call("POST", f"/learners/{learner}/background-checks", status=204,
                  json={"kind": "school", "shown_on": shown_on})  # fmt: skip
    query = "select shown_on from vault.background_check where municipality = '1267'"
    assert len(await stack.sql("registry", query, role="owner")) == 2
    decided = {"months": 12, "decided_by": "BUN 2026:8", "administration": "school"}
    desk.call("PUT", "/retention/background_check", json=decided)

    async def kept():
        return [r["shown_on"] for r in await stack.sql("registry", query, role="owner")] == [today()]

    await eventually(kept)
    assert desk.call("GET", "/retention")["items"][0]["decided_by"] == "BUN 2026:8"
