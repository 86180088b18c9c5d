"""A learner who is marked as protected while others act: whoever comes later is told there is none."""

import asyncio

import pytest

from kompetensnav_chassis.testing import eventually

pytestmark = pytest.mark.real
HEAD = "ref,administration,school,given_name,family_name,born_on,locality\n"
MARK = (
    "update vault.learner set security_marking = 'protected_registration', case_worker = 'cw-anna'"
    " where municipality = $1 and given_name = $2"
)


async def told(stack, code, name):
    return await stack.sql(
        "registry", "select convert_from(body, 'utf8') body from outbox where subject = $1",
        f"nav.{code}.int.registry.{name}.v1",
    )  # fmt: skip


async def test_a_request_that_is_opened_while_its_learner_is_marked_is_told_to_nobody(stack, desks):
    desk = desks("1286")
    learner = desk.learner("a")
    async with stack.holding("registry", MARK, "1286", "Namna"):
        asked = asyncio.create_task(asyncio.to_thread(desk.request, learner, status=404))
    await asked
    row = "b,school,gy1,Namnb,Efternamn,2009-05-05,lulea\n"
    stack.bring_in("1286", "learners", HEAD + row)
    file = "ref,learner,administration,placement_type,starts_on,ends_on\n"
    file += "r,b,school,apl,2027-02-01,2027-03-26\n"
    async with stack.holding("registry", MARK, "1286", "Namnb"):
        asked = asyncio.create_task(asyncio.to_thread(stack.bring_in, "1286", "requests", file, status=422))
    assert "no such learner" in (await asked)["errors"][0]["reason"]
    assert desk.call("GET", "/requests")["total"] == 0
    assert await told(stack, "1286", "request.opened") == []


async def test_no_seat_is_given_in_public_to_a_learner_who_is_marked_now(stack, towns):
    town = towns("1287")
    town.employers()
    town.slot("s")
    for ref in ("l", "m"):
        town.learner(ref)
    await town.known(1, 2)
    drafted = town.draft()["round_id"]
    (slot,) = stack.call("GET", "registry", "/1287/slots")["items"]
    requests = {r["learner_id"]: r for r in stack.call("GET", "registry", "/1287/requests")["items"]}
    # Marked in the vault, and not yet taken into the requests.
    await stack.sql("registry", MARK, "1287", "Namnl", role="owner")
    await stack.sql("registry", MARK, "1287", "Namnm", role="owner")
    town.approve(drafted)

    async def refused():
        return await told(stack, "1287", "seat.refused")

    (row,) = await eventually(refused)
    assert '"request_is_closed"' in row["body"]
    for request in requests.values():
        body = {"request_id": request["request_id"], "slot_id": slot["slot_id"]}
        stack.call("POST", "registry", "/1287/offers", json=body, status=404)
    assert await told(stack, "1287", "offer.made") == []


async def test_marking_waits_for_a_workplace_before_it_holds_any_request(stack, desks):
    """The ledger's lock order: who holds a request while waiting for a workplace stops a reservation there
    for good."""
    desk = desks("1270")
    learner, slot = desk.learner("a"), desk.slot()
    desk.offer(desk.request(learner), slot)
    for month in range(4, 9):
        desk.request(learner, starts_on=f"2027-{month:02}-01", ends_on=f"2027-{month:02}-20")
    (seen,) = desk.call("GET", "/learners")["items"]
    marking = {"security_marking": "confidentiality_marked", "case_worker": "cw-anna"}
    changes = marking | {"revision": seen["revision"]}
    here = "select 1 from workplace where municipality = $1 for update"
    async with stack.holding("registry", here, "1270") as waited_for:
        marked = asyncio.create_task(
            asyncio.to_thread(desk.call, "PATCH", f"/learners/{learner}", json=changes)
        )
        await eventually(waited_for)
        free = "select 1 from request where municipality = $1 for update skip locked"
        assert len(await stack.sql("registry", free, "1270", role="owner")) == 6
    await marked
    assert desk.call("GET", "/requests")["total"] == 0


async def test_a_learning_centre_that_asks_while_a_learner_is_marked_is_told_there_is_none(stack, desks):
    desk = desks("1233")
    learner = desk.learner("a")
    desk.call("PUT", "/learning-centres/lc_trosa", json={"name": "Lärcentrum Trosa"})
    given = {"administration": "school", "school": "gy1", "centre": "lc_trosa", "valid_from": "2026-01-01"}
    desk.call("POST", "/delegations", json=given, status=201)
    asked = {"learner_id": learner, "placement_type": "apl", "starts_on": "2027-02-01",
             "ends_on": "2027-03-26"}  # fmt: skip
    path = "/lc_trosa/delegated/requests"
    async with stack.holding("registry", MARK, "1233", "Namna"):
        made = asyncio.create_task(
            asyncio.to_thread(stack.call, "POST", "registry", path, json=asked, status=404)
        )
    await made
    assert await told(stack, "1233", "request.opened") == []


async def test_what_is_opened_while_its_learner_is_erased_is_closed_with_it(stack, desks):
    desk = desks("1231")
    learner = desk.learner("a")
    name = "update vault.learner set given_name = given_name where municipality = $1"
    async with stack.holding("registry", name, "1231") as waited_for:
        asked = asyncio.create_task(asyncio.to_thread(desk.request, learner, 201))
        await eventually(waited_for)
        erased = asyncio.create_task(
            asyncio.to_thread(desk.call, "POST", f"/learners/{learner}/erasure", status=201)
        )

        async def both_wait():
            waiting = "select count(*) n from pg_locks where not granted"
            return (await stack.sql("registry", waiting, role="owner"))[0]["n"] >= 2

        await eventually(both_wait)
    await asked
    await erased
    assert len(await told(stack, "1231", "request.closed")) == 1
