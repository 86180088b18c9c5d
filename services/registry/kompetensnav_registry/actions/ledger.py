"""The capacity ledger: seats over all placement types of a workplace, in one locked account.

Lock order: workplaces (by id), then slots, then offers, then requests (by id). Every change of a seat comes
through here.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import ARRAY, String, Uuid, bindparam, func, select, text

from kompetensnav_chassis.db import Scope, Session, rescope
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import CapacityChanged, SeatReleased
from kompetensnav_contracts.vocabulary import Reason, Refusal, Sharing
from kompetensnav_registry import domain
from kompetensnav_registry.actions import listing
from kompetensnav_registry.tables import (
    LearningCentre,
    Request,
    Seat,
    SharingAgreement,
    Slot,
    Workplace,
)


@asynccontextmanager
async def reaching(session: Session, hosts: Iterable[str]) -> AsyncIterator[None]:
    """A scope that also covers these municipalities: the seats of a learner's offer may lie in another one,
    whose ledger the offer's authority may write here only."""
    before = session.info["scope"]
    beyond = set(hosts) - set(before.own)
    if "*" in before.own or not beyond:
        yield
        return
    await session.flush()
    await rescope(session, Scope((*before.own, *sorted(beyond)), before.shared, before.administrations))
    yield
    await session.flush()
    await rescope(session, before)


async def lock_workplaces(session: Session, workplaces: Mapping[UUID, str]) -> None:
    """The first lock of every act that may change a seat; workplaces as id -> municipality."""
    async with reaching(session, workplaces.values()):
        await session.execute(
            select(Workplace.workplace_id)
            .where(
                Workplace.workplace_id.in_(workplaces), Workplace.municipality.in_(set(workplaces.values()))
            )
            .order_by(Workplace.workplace_id)
            .with_for_update()
        )


_HERE = "workplace_id = any(:ids) and municipality = any(:hosts)"
_IDS = (bindparam("ids", type_=ARRAY(Uuid)), bindparam("hosts", type_=ARRAY(String)))
_LOCK = text(
    f"select workplace_id, reception_capacity from workplace where {_HERE} order by workplace_id for update"
).bindparams(*_IDS)
_READ = text(
    "select 'week', workplace_id, null::uuid, week, null::date, null::uuid, learners from reception_week"
    f" where {_HERE} union all"
    " select 'load', workplace_id, null, null, null, supervisor_id, supervisor_takes(v)"
    f" from vault.supervisor v where {_HERE} union all"
    " select 'held', workplace_id, slot_id, starts_on, ends_on, supervisor_id, count(*)::int from seat"
    f" where {_HERE} and released_at is null group by 2, 3, 4, 5, 6"
).bindparams(*_IDS)
_TIGHT = text(
    "select s.workplace_id from slot s join workplace w on w.workplace_id = s.workplace_id"
    " where s.slot_id = any(:posted) and s.municipality = any(:hosts)"
    " and s.seats_left > least(ledger_room(w, s.starts_on, s.ends_on), supervisor_room(s))"
).bindparams(bindparam("posted", type_=ARRAY(Uuid)), bindparam("hosts", type_=ARRAY(String)))
_BUSY = text(
    "select learner_id, starts_on, ends_on, weekdays from offer where learner_id = any(:learners)"
    " and municipality = any(:homes) and state in ('open', 'confirmed')"
).bindparams(bindparam("learners", type_=ARRAY(Uuid)), bindparam("homes", type_=ARRAY(String)))
"""The ledger reads in its own words: this is done for every seat, under the workplace's lock."""


@dataclass(frozen=True)
class Accounts:
    """Workplaces, locked: their slots and ledgers."""

    slots: dict[UUID, Slot]
    ledgers: dict[UUID, domain.Ledger]

    def settle(self, session: Session) -> None:
        """Tells what is left in every slot where that has changed, and nothing about whom."""
        for slot in self.slots.values():
            if slot.elsewhere:
                continue
            left = self.ledgers[slot.workplace_id].left(slot.room)
            if left != slot.seats_left:
                slot.seats_left, slot.capacity_revision = left, slot.capacity_revision + 1
                listing.left(session, slot.slot_id, left)
                tell(
                    session,
                    CapacityChanged(slot_id=slot.slot_id, seats_left=left),
                    municipality=slot.municipality,
                    revision=slot.capacity_revision,
                )


async def settle_posted(session: Session, posted: Sequence[Slot]) -> None:
    """Tells at once what the workplaces' weeks and supervisors leave of new slots, where that is less than
    their seats. The caller has locked the workplaces before posting."""
    places, ids = {slot.workplace_id: slot.municipality for slot in posted}, [s.slot_id for s in posted]
    if not places:
        return
    await session.flush()
    tight = await session.scalars(_TIGHT, {"posted": ids, "hosts": list(set(places.values()))})
    if found := set(tight):
        (await open_accounts(session, {id: places[id] for id in found})).settle(session)


async def open_accounts(session: Session, workplaces: Mapping[UUID, str]) -> Accounts:
    """Locks the workplaces (id -> municipality) and their slots, and reads what is held in them."""
    hosts = set(workplaces.values())
    locked = await session.execute(_LOCK, {"ids": list(workplaces), "hosts": list(hosts)})
    ledgers = {id: domain.Ledger(capacity) for id, capacity in locked}
    found = await session.scalars(
        select(Slot)
        .where(Slot.workplace_id.in_(ledgers), Slot.municipality.in_(hosts))
        .order_by(Slot.slot_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    slots = {row.slot_id: row for row in found}
    await _read(session, ledgers, hosts)
    return Accounts(slots, ledgers)


async def _read(session: Session, ledgers: Mapping[UUID, domain.Ledger], hosts: set[str]) -> None:
    """In one statement after the lock: the weeks that are unlike the others, how many each supervisor may
    have, and the seats that are held."""
    rows = await session.execute(_READ, {"ids": list(ledgers), "hosts": list(hosts)})
    for what, workplace_id, slot_id, starts_on, ends_on, supervisor_id, n in rows:
        book = ledgers[workplace_id]
        if what == "week":
            book.other_weeks[starts_on] = n
        elif what == "load":
            book.loads[supervisor_id] = n
        else:
            book.enter(domain.Room(slot_id, 0, starts_on, ends_on, supervisor_id=supervisor_id), n)


@dataclass(frozen=True)
class Books:
    """What a reservation needs, locked: the workplaces' accounts, requests, and busy learners."""

    accounts: Accounts
    requests: dict[UUID, Request]
    busy: dict[UUID, list[domain.Days]]
    agreements: list[SharingAgreement]


async def open_books(
    session: Session,
    *,
    workplaces: Mapping[UUID, str],
    requests: Mapping[UUID, str],
    via: LearningCentre | None = None,
) -> Books:
    """Locks the workplaces, the requests (id -> municipality) and whatever else their learners ask for, so
    that nobody gets two places at once (R21), and reads their accounts."""
    accounts = await open_accounts(session, workplaces)
    homes = set(requests.values())
    whose = select(Request.learner_id).where(
        Request.request_id.in_(requests), Request.municipality.in_(homes)
    )
    asked = await session.scalars(
        select(Request)
        .where(Request.learner_id.in_(whose), Request.municipality.in_(homes))
        .order_by(Request.request_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    by_id = {row.request_id: row for row in asked if row.request_id in requests}
    busy: dict[UUID, list[domain.Days]] = {}
    learners = list({row.learner_id for row in by_id.values()})
    active = await session.execute(_BUSY, {"learners": learners, "homes": list(homes)})
    for learner_id, starts_on, ends_on, weekdays in active:
        busy.setdefault(learner_id, []).append(domain.Days(starts_on, ends_on, frozenset(weekdays)))
    at_home = via is None and len(homes | set(workplaces.values())) == 1
    agreements = [] if at_home else list(await session.scalars(select(SharingAgreement)))
    return Books(accounts, by_id, busy, agreements)


def take_seat(
    session: Session, books: Books, slot: Slot, *, told: bool, cause_id: UUID | None = None
) -> Seat:
    """Enters one seat; the caller has asked for a refusal before, and settles the accounts afterwards.
    `cause_id`: for what the workplace is asked (a round); none when nobody asks it."""
    seat = Seat(
        seat_id=uuids.uuid7(),
        municipality=slot.municipality,
        workplace_id=slot.workplace_id,
        slot_id=slot.slot_id,
        starts_on=slot.starts_on,
        ends_on=slot.ends_on,
        supervisor_id=slot.supervisor_id,
        cause_id=cause_id,
        reserved_at=func.clock_timestamp(),  # the database's clock, under the workplace's lock: in order
        told=told,
    )
    session.add(seat)
    books.accounts.ledgers[slot.workplace_id].enter(slot.room)
    slot.taken += 1
    return seat


def refusal(
    books: Books, slot: Slot | None, request: Request | None, via: LearningCentre | None = None
) -> Refusal | None:
    """Why the request cannot have a seat in the slot; None when it can."""
    if request is None or request.state != "open":
        return Refusal.REQUEST_IS_CLOSED
    if slot is None:
        return Refusal.SLOT_IS_WITHDRAWN
    if slot.placement_type != request.placement_type:
        return Refusal.NOT_SHARED
    if not is_shared(slot, request, books.agreements, via):
        return Refusal.NOT_SHARED
    if domain.is_busy(books.busy.get(request.learner_id, ()), slot.days):
        return Refusal.LEARNER_IS_PLACED
    return books.accounts.ledgers[slot.workplace_id].refusal(slot.room)


def is_shared(
    slot: Slot, request: Request, agreements: Iterable[SharingAgreement], via: LearningCentre | None = None
) -> bool:
    """Whether the slot may be used for the request's municipality and administration, by the learning centre
    that places the learner if there is one."""
    if slot.shared_with == Sharing.PUBLIC:
        return True
    if slot.municipality == request.municipality and via is None:
        return slot.shared_with != Sharing.ADMINISTRATION or slot.administration == request.administration
    user = via.code if via else request.municipality
    if slot.shared_with != Sharing.NAMED or user not in slot.named_municipalities:
        return False
    if via and slot.municipality == via.lies_in:
        return True
    return any(
        {slot.municipality, user} <= set(a.municipalities)
        and slot.placement_type in a.placement_types
        and a.valid_from <= slot.starts_on
        and (a.valid_to is None or slot.ends_on <= a.valid_to)
        for a in agreements
    )


async def release_seats(
    session: Session, *, seat_ids: Iterable[UUID], municipalities: Iterable[str], reason: Reason
) -> None:
    """Frees seats; tells it and what is left. The caller's scope covers the workplaces' municipalities."""
    hosts = set(municipalities)
    ids = set(seat_ids)
    of = await session.execute(
        select(Seat.workplace_id, Seat.municipality).where(
            Seat.seat_id.in_(ids), Seat.municipality.in_(hosts)
        )
    )
    accounts = await open_accounts(session, {id: municipality for id, municipality in of})
    rows = await session.scalars(
        select(Seat)
        .where(Seat.seat_id.in_(ids), Seat.municipality.in_(hosts), Seat.released_at.is_(None))
        .order_by(Seat.seat_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    for seat in rows:
        seat.released_at, seat.reason = func.clock_timestamp(), reason
        accounts.slots[seat.slot_id].taken -= 1
        accounts.ledgers[seat.workplace_id].leave(seat.room)
        if seat.told:
            tell(
                session,
                SeatReleased(seat_id=seat.seat_id, slot_id=seat.slot_id, reason=reason),
                municipality=seat.municipality,
                revision=2,
            )
    accounts.settle(session)
