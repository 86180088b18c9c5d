"""The capacity ledger: seats over all placement types of a workplace, in one locked account.

Lock order: workplaces (by id), then slots, then offers, then requests (by id). Every change of a seat comes
through here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import ARRAY, Boolean, Date, Integer, String, Uuid, bindparam, func, select, text
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.types import TypeEngine

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import CapacityChanged, SeatReleased
from kompetensnav_contracts.vocabulary import Reason, Refusal, Sharing
from kompetensnav_registry.ground.actions.scopes import reaching
from kompetensnav_registry.ground.tables.organisations import LearningCentre, SharingAgreement
from kompetensnav_registry.ledger.actions import listing
from kompetensnav_registry.ledger.domain.ledger import Days, Ledger, Room, is_busy
from kompetensnav_registry.ledger.tables.offers import Request
from kompetensnav_registry.ledger.tables.slots import Seat, Slot
from kompetensnav_registry.ledger.tables.workplaces import Workplace


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


_READ = text(
    "select 'receives', workplace_id, null::uuid, null::date, null::date, null::uuid, reception_capacity"
    " from workplace where {here} union all"
    " select 'week', workplace_id, null, week, null, null, learners from reception_week"
    " where {here} union all"
    " select 'load', workplace_id, null, null, null, supervisor_id, supervisor_takes(v)"
    " from vault.supervisor v where {here} union all"
    " select 'held', workplace_id, slot_id, starts_on, ends_on, supervisor_id, count(*)::int from seat"
    " where {here} and released_at is null group by 2, 3, 4, 5, 6".format(
        here="workplace_id = any(:ids) and municipality = any(:hosts)"
    )
).bindparams(bindparam("ids", type_=ARRAY(Uuid)), bindparam("hosts", type_=ARRAY(String)))

_BUSY = text(
    "select learner_id, starts_on, ends_on, weekdays from offer where learner_id = any(:learners)"
    " and municipality = any(:homes) and state in ('open', 'confirmed')"
).bindparams(bindparam("learners", type_=ARRAY(Uuid)), bindparam("homes", type_=ARRAY(String)))

_GIVEN: dict[str, type[TypeEngine[Any]]] = {
    "seat_id": Uuid,
    "municipality": String,
    "workplace_id": Uuid,
    "slot_id": Uuid,
    "starts_on": Date,
    "ends_on": Date,
    "supervisor_id": Uuid,
    "cause_id": Uuid,
    "published": Boolean,
}

_MOVED: dict[str, type[TypeEngine[Any]]] = {
    "taken": Integer,
    "seats_left": Integer,
    "capacity_revision": Integer,
}

_WRITE = text(
    f"with given as (insert into seat ({', '.join(_GIVEN)}, reserved_at)"
    # the database's clock, under the workplace's lock: in order
    f" select *, clock_timestamp() from unnest({', '.join(f':{name}' for name in _GIVEN)}) seat),"
    " moved as (update slot set taken = m.taken, seats_left = m.seats_left,"
    " capacity_revision = m.capacity_revision"
    f" from unnest(:moved, {', '.join(f':{name}' for name in _MOVED)})"
    f" m(slot_id, {', '.join(_MOVED)}) where slot.slot_id = m.slot_id"
    " returning slot.slot_id, slot.seats_left)"
    " update listing set seats_left = moved.seats_left from moved where listing.slot_id = moved.slot_id"
).bindparams(
    bindparam("moved", type_=ARRAY(Uuid)),
    *(bindparam(name, type_=ARRAY(kind())) for name, kind in (_GIVEN | _MOVED).items()),
)
"""The ledger reads and writes in its own words: this is done for every seat, under the workplace's lock."""


@dataclass(frozen=True)
class Accounts:
    """Workplaces, locked: their slots and ledgers, and the seats given that are not yet written."""

    slots: dict[UUID, Slot]
    ledgers: dict[UUID, Ledger]
    given: list[Seat] = field(default_factory=list)

    async def settle(self, session: Session) -> None:
        """Writes the seats that were given, and what is taken and left of every slot where that has changed;
        tells what is left, and nothing about whom."""
        await session.flush()
        moved = [slot for slot in self.slots.values() if not slot.elsewhere and self._count(session, slot)]
        if not (moved or self.given):
            return
        values = {name: [getattr(seat, name) for seat in self.given] for name in _GIVEN}
        values |= {name: [getattr(slot, name) for slot in moved] for name in _MOVED}
        await session.execute(_WRITE, values | {"moved": [slot.slot_id for slot in moved]})
        self.given.clear()

    def _count(self, session: Session, slot: Slot) -> bool:
        """Enters in the slot what the ledger says of it; whether that is something else than before."""
        book = self.ledgers[slot.workplace_id]
        taken, left = book.in_slot[slot.slot_id], book.left(slot.room)
        if (taken, left) == (slot.taken, slot.seats_left):
            return False
        if left != slot.seats_left:
            set_committed_value(slot, "capacity_revision", slot.capacity_revision + 1)
            listing.is_left(session, slot.slot_id, left)
            tell(
                session,
                CapacityChanged(slot_id=slot.slot_id, seats_left=left),
                municipality=slot.municipality,
                revision=slot.capacity_revision,
            )
        set_committed_value(slot, "taken", taken)  # written by `settle`, not by the session
        set_committed_value(slot, "seats_left", left)
        return True


async def settle_posted(session: Session, posted: Sequence[Slot]) -> None:
    """Tells at once what the workplaces' weeks and supervisors leave of new slots, where that is less than
    their seats. The caller has locked the workplaces before posting; nothing is taken from other slots."""
    places = {slot.workplace_id: slot.municipality for slot in posted}
    if not places:
        return
    await session.flush()
    ledgers = await _read(session, places, set(places.values()))
    await Accounts({slot.slot_id: slot for slot in posted}, ledgers).settle(session)


async def open_accounts(session: Session, workplaces: Mapping[UUID, str]) -> Accounts:
    """Locks the workplaces (id -> municipality) and their slots, and reads what is held in them."""
    await lock_workplaces(session, workplaces)
    hosts = set(workplaces.values())
    ledgers = await _read(session, workplaces, hosts)
    found = await session.scalars(
        select(Slot)
        .where(Slot.workplace_id.in_(ledgers), Slot.municipality.in_(hosts))
        .order_by(Slot.slot_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return Accounts({row.slot_id: row for row in found}, ledgers)


async def _read(session: Session, workplaces: Iterable[UUID], hosts: set[str]) -> dict[UUID, Ledger]:
    """In one statement after the lock: how many each workplace receives, the weeks that are unlike the
    others, how many each supervisor may have, and the seats that are held."""
    rows = await session.execute(_READ, {"ids": list(workplaces), "hosts": list(hosts)})
    ledgers: dict[UUID, Ledger] = {}
    for what, workplace_id, slot_id, starts_on, ends_on, supervisor_id, n in rows:
        book = ledgers.setdefault(workplace_id, Ledger(0))
        if what == "receives":
            book.capacity = n
        elif what == "week":
            book.other_weeks[starts_on] = n
        elif what == "load":
            book.loads[supervisor_id] = n
        else:
            book.enter(Room(slot_id, 0, starts_on, ends_on, supervisor_id=supervisor_id), n)
    return ledgers


@dataclass(frozen=True)
class Books:
    """What a reservation needs, locked: the workplaces' accounts, requests, and busy learners."""

    accounts: Accounts
    requests: dict[UUID, Request]
    busy: dict[UUID, list[Days]]
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
    busy: dict[UUID, list[Days]] = {}
    learners = list({row.learner_id for row in by_id.values()})
    active = await session.execute(_BUSY, {"learners": learners, "homes": list(homes)})
    for learner_id, starts_on, ends_on, weekdays in active:
        busy.setdefault(learner_id, []).append(Days(starts_on, ends_on, frozenset(weekdays)))
    at_home = via is None and len(homes | set(workplaces.values())) == 1
    agreements = [] if at_home else list(await session.scalars(select(SharingAgreement)))
    return Books(accounts, by_id, busy, agreements)


def take_seat(accounts: Accounts, slot: Slot, *, published: bool, cause_id: UUID | None = None) -> Seat:
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
        published=published,
    )
    accounts.given.append(seat)
    accounts.ledgers[slot.workplace_id].enter(slot.room)
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
    if is_busy(books.busy.get(request.learner_id, ()), slot.days):
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
        accounts.ledgers[seat.workplace_id].leave(seat.room)
        if seat.published:
            tell(
                session,
                SeatReleased(seat_id=seat.seat_id, slot_id=seat.slot_id, reason=reason),
                municipality=seat.municipality,
                revision=2,
            )
    await accounts.settle(session)
