"""The ledger gives and leaves what the domain says, in any interleaving, on a real database."""

import asyncio
from datetime import date, timedelta
from uuid import UUID

import pytest
import uuid_utils.compat as uuids
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from kompetensnav_chassis import testing
from kompetensnav_chassis.db import Scope, transaction
from kompetensnav_contracts.vocabulary import Reason, Refusal
from kompetensnav_registry.actors.actions import employers, workplaces
from kompetensnav_registry.ground.actions import organisations
from kompetensnav_registry.ground.edges.seal import Seal
from kompetensnav_registry.ground.tables.foundation import Outbox
from kompetensnav_registry.ground.tables.learners import Learner
from kompetensnav_registry.ledger.actions import direct, slots
from kompetensnav_registry.ledger.actions.ledger import (
    open_accounts,
    open_books,
    refusal,
    release_seats,
    settle_posted,
)
from kompetensnav_registry.ledger.domain.ledger import (
    LearnerIsPlaced,
    Ledger,
    OtherPlacementType,
    Room,
    SupervisorIsFull,
    WorkplaceIsFull,
    refused,
)
from kompetensnav_registry.ledger.tables.slots import Seat, Slot
from kompetensnav_registry.people.actions import learners
from kompetensnav_registry.rules import actions as rules
from kompetensnav_registry.rules.tables import RuleSetting

pytestmark = pytest.mark.real
START = date(2027, 2, 1)
SCOPE = Scope(("2580",), (), ("school",))
SEAL = Seal("x" * 40)


@pytest.fixture(scope="module")
async def database(admin_url):
    async with testing.database(admin_url, "registry", Outbox) as made:
        yield made


async def town(session, capacity, other_weeks, slot_rows):
    """A workplace with a supervisor of two, and slots of (seats, first week, weeks, with supervisor)."""
    number = f"5560360{int(uuids.uuid7()) % 1000:03}"
    row = employers.add_employer(
        session, municipality="2580", org_number=None, about={"name": number, "sector": "private"}
    )
    place = workplaces.add_workplace(
        session, municipality="2580", employer_id=row.employer_id,
        contact={"name": "k", "email": "k@example.com", "speaks": "sv"},
        about={"name": "w", "locality": "lulea", "reception_capacity": capacity},
    )  # fmt: skip
    await session.flush()
    tutor = await workplaces.add_supervisor(
        session,
        municipality="2580",
        workplace_id=place.workplace_id,
        person={"name": "u", "is_adult": True, "most_at_once": 2},
    )
    await session.flush()
    await workplaces.set_reception(
        session,
        municipality="2580",
        workplace_id=place.workplace_id,
        weeks={START + timedelta(weeks=week): n for week, n in other_weeks.items()},
    )
    made = [
        slots.post_slot(
            session, workplace=place, placement_type="apl", occupation="5321",
            starts_on=START + timedelta(weeks=first),
            ends_on=START + timedelta(weeks=first + length, days=-3), seats=seats,
            supervisor_id=tutor.supervisor_id if supervised else None,
        )
        for seats, first, length, supervised in slot_rows
    ]  # fmt: skip
    await settle_posted(session, made)
    return place, tutor, made


async def request_of(session, person=None, placement_type="apl"):
    """A learner's open request over everything."""
    school = await organisations.school_of(session, municipality="2580", code="gy")
    person = person or await learners.register_learner(
        session, by="test", case_worker=None, municipality="2580", administration="school", seal=SEAL,
        person={
            "given_name": "a", "family_name": "b", "born_on": date(2000, 1, 1), "school": "gy",
            "locality": "lulea", "language": "fluent", "speaks": "sv", "security_marking": "none",
        },
    )  # fmt: skip
    return await learners.open_request(
        session, learner=person, school=school,
        about={
            "placement_type": placement_type, "starts_on": START,
            "ends_on": START + timedelta(weeks=30), "wishes": [],
        },
    )  # fmt: skip


async def take(sessions, slot_id, request_id):
    """The refusal's class, or the seat."""
    try:
        async with transaction(sessions, SCOPE) as session:
            made = await direct.offer_slot(
                session, municipality="2580", request_id=request_id, slot_id=slot_id
            )
    except Exception as refused:
        return type(refused)
    return made.seat_id


rows = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4), st.integers(1, 4), st.booleans()),
                min_size=1, max_size=3)  # fmt: skip
acts = st.lists(st.tuples(st.sampled_from(["take", "take", "free"]), st.integers(0, 9)), max_size=14)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 4), st.dictionaries(st.integers(0, 6), st.integers(0, 3), max_size=2), rows, acts)
async def test_one_seat_is_refused_and_leaves_just_what_the_model_does(
    database, capacity, other, slot_rows, acts
):
    async with transaction(database.sessions, SCOPE) as session:
        place, tutor, made = await town(session, capacity, other, slot_rows)
    weeks = {START + timedelta(weeks=week): n for week, n in other.items()}
    model = Ledger(capacity, weeks, {tutor.supervisor_id: 2})
    held: list[tuple[UUID, Room]] = []
    for what, which in acts:
        room = made[which % len(made)].room
        if what == "free" and held:
            seat_id, room = held.pop(which % len(held))
            async with transaction(database.sessions, SCOPE) as session:
                await release_seats(session, seat_ids=[seat_id], municipalities=["2580"], reason=Reason.OTHER)
            model.leave(room)
        elif what == "take":
            async with transaction(database.sessions, SCOPE) as session:
                request = await request_of(session)
            done = await take(database.sessions, room.slot_id, request.request_id)
            refusal = model.refusal(room)
            if refusal is not None:
                assert done is type(refused(refusal))
                continue
            assert isinstance(done, UUID), done
            model.enter(room)
            held.append((done, room))
        async with transaction(database.sessions, SCOPE) as session:
            found = await session.scalars(select(Slot).where(Slot.workplace_id == place.workplace_id))
            left = {slot.slot_id: slot.seats_left for slot in found}
        assert left == {slot.slot_id: model.left(slot.room) for slot in made}


async def test_two_hundred_at_once_take_no_more_than_there_are(database):
    async with transaction(database.sessions, SCOPE) as session:
        _, _, (slot,) = await town(session, 40, {}, [(60, 0, 3, False)])
        requests = [(await request_of(session)).request_id for _ in range(200)]
    done = await asyncio.gather(*(take(database.sessions, slot.slot_id, id) for id in requests))
    assert sum(isinstance(one, UUID) for one in done) == 40
    assert {one for one in done if not isinstance(one, UUID)} == {WorkplaceIsFull}
    async with transaction(database.sessions, SCOPE) as session:
        held = await session.scalars(select(Seat.seat_id).where(Seat.slot_id == slot.slot_id))
        assert len(held.all()) == 40


async def test_a_learner_who_asks_twice_gets_one_place_however_close_in_time(database):
    for _ in range(10):
        async with transaction(database.sessions, SCOPE) as session:
            made = [(await town(session, 3, {}, [(3, 0, 3, False)]))[2][0] for _ in range(2)]
            first = await request_of(session)
            person = await session.get_one(Learner, first.learner_id)
            second = await request_of(session, person)
        pairs = zip(made, (first, second), strict=True)
        done = await asyncio.gather(
            *(take(database.sessions, slot.slot_id, one.request_id) for slot, one in pairs)
        )
        assert [one for one in done if not isinstance(one, UUID)] == [LearnerIsPlaced]


async def test_a_slot_of_another_placement_type_is_refused_by_both(database):
    async with transaction(database.sessions, SCOPE) as session:
        place, _, (slot,) = await town(session, 3, {}, [(3, 0, 3, False)])
        request = await request_of(session, placement_type="lia")
    assert await take(database.sessions, slot.slot_id, request.request_id) is OtherPlacementType
    async with transaction(database.sessions, SCOPE) as session:
        books = await open_books(
            session, workplaces={place.workplace_id: "2580"}, requests={request.request_id: "2580"}
        )
        found = refusal(books, books.accounts.slots[slot.slot_id], books.requests[request.request_id])
        assert found is Refusal.NOT_SHARED


async def test_a_municipality_caps_what_its_supervisors_take_and_both_say_so(database):
    async with transaction(database.sessions, SCOPE) as session:
        place, tutor, (slot,) = await town(session, 9, {}, [(5, 0, 3, True)])
        await rules.configure(
            session, municipality="2580", rule_id="R12", valid_from=date(2026, 1, 1), valid_to=None,
            parameters={"at_once": 1}, switched_off=False, decided_by="KS 1",
        )  # fmt: skip
        requests = [(await request_of(session)).request_id for _ in range(2)]
    try:
        done = [await take(database.sessions, slot.slot_id, id) for id in requests]
        assert isinstance(done[0], UUID)
        assert done[1] is SupervisorIsFull
        async with transaction(database.sessions, SCOPE) as session:
            accounts = await open_accounts(session, {place.workplace_id: "2580"})
            assert accounts.ledgers[place.workplace_id].loads == {tutor.supervisor_id: 1}
            assert accounts.slots[slot.slot_id].seats_left == 0
    finally:
        async with transaction(database.sessions, SCOPE) as session:
            await session.execute(delete(RuleSetting).where(RuleSetting.municipality == "2580"))
