"""Workplaces, whom to write to there, the supervisors, and how many learners a workplace receives."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import cast
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import select, update

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import NotFound, Problem
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import WorkplaceRegistered
from kompetensnav_registry.actors.actions.employers import find_employer
from kompetensnav_registry.actors.domain.values import (
    ContactValues,
    SupervisorValues,
    Whereabouts,
    WorkplaceValues,
)
from kompetensnav_registry.actors.tables import Contact, Home
from kompetensnav_registry.ground.domain.editing import change
from kompetensnav_registry.ledger.actions import ledger, listing
from kompetensnav_registry.ledger.actions.places import find_supervisor, find_workplace
from kompetensnav_registry.ledger.domain.ledger import (
    Ledger,
    SupervisorIsFull,
    WorkplaceIsFull,
    monday_of,
    weeks,
)
from kompetensnav_registry.ledger.tables.slots import Seat
from kompetensnav_registry.ledger.tables.workplaces import ReceptionWeek, Supervisor, Workplace


async def register_workplace(
    session: Session,
    *,
    municipality: str,
    employer_id: UUID,
    contact: ContactValues,
    about: WorkplaceValues,
) -> Workplace:
    """A new workplace with its contact. Raises NotFound for an unknown employer."""
    employer = await find_employer(session, employer_id=employer_id)
    return add_workplace(
        session,
        municipality=municipality,
        employer_id=employer.employer_id,
        is_home=employer.is_sole_trader,
        contact=contact,
        about=about,
    )


def add_workplace(
    session: Session,
    *,
    municipality: str,
    employer_id: UUID,
    contact: ContactValues,
    about: WorkplaceValues,
    is_home: bool = False,
    ref: str | None = None,
) -> Workplace:
    """A workplace of an employer that is known to be there; its name, locality and capacity are said."""
    place = where(about)
    row = Workplace(
        workplace_id=uuids.uuid7(),
        municipality=municipality,
        ref=ref,
        employer_id=employer_id,
        name=about["name"],
        locality=about["locality"],
        reception_capacity=about["reception_capacity"],
        cfar=about.get("cfar"),
        revision=1,
        **({} if is_home else place),
    )
    session.add(row)
    if is_home and any(place.values()):
        session.add(Home(workplace_id=row.workplace_id, municipality=municipality, **place))
    session.add(
        Contact(
            contact_id=uuids.uuid7(),
            municipality=municipality,
            role="employer",
            workplace_id=row.workplace_id,
            is_main=True,
            **contact,
        )
    )
    tell(
        session,
        WorkplaceRegistered(
            workplace_id=row.workplace_id,
            employer_id=employer_id,
            locality=row.locality,
            reception_capacity=row.reception_capacity,
        ),
        municipality=municipality,
        revision=1,
    )
    return row


def where(about: WorkplaceValues) -> Whereabouts:
    """Of what is said of a workplace, where it is."""
    said = {name: value for name, value in about.items() if name in Whereabouts.__annotations__}
    return cast(Whereabouts, said)


async def change_workplace(
    session: Session, *, municipality: str, workplace_id: UUID, seen: int, changes: WorkplaceValues
) -> Workplace:
    """Corrects a workplace. Raises NotFound, ChangedMeanwhile, or WorkplaceIsFull when more learners are held
    in a week than it would receive."""
    accounts = await ledger.open_accounts(session, {workplace_id: municipality})
    row = await find_workplace(session, municipality=municipality, workplace_id=workplace_id)
    employer = await find_employer(session, employer_id=row.employer_id)
    place, said = where(changes), dict[str, object](changes)
    if employer.is_sole_trader and place:
        home = await session.get(Home, workplace_id) or Home(
            workplace_id=workplace_id, municipality=municipality
        )
        session.add(home)
        for name, value in place.items():
            setattr(home, name, value)
        said = {name: value for name, value in said.items() if name not in place}
    if change(row, seen, said) & {"name", "latitude", "longitude"}:
        offered = [s.slot_id for s in accounts.slots.values() if not s.withdrawn_at]
        await listing.show_again(session, municipality=municipality, slot_ids=offered)
    accounts.ledgers[workplace_id].capacity = row.reception_capacity
    _not_overfull(accounts, workplace_id)
    await accounts.settle(session)
    return row


async def set_reception(
    session: Session, *, municipality: str, workplace_id: UUID, weeks: Mapping[date, int | None]
) -> None:
    """Says how many learners the workplace receives in certain weeks (Mondays); None = as usual again.

    Raises NotFound, Problem for a day that is no Monday, or WorkplaceIsFull.
    """
    wrong = [day for day in weeks if day.weekday() != 0]
    if wrong:
        raise Problem(
            f"A week is named by its Monday; {wrong[0]} is none.",
            f"En vecka anges med sin måndag; {wrong[0]} är ingen måndag.",
        )
    accounts = await ledger.open_accounts(session, {workplace_id: municipality})
    await find_workplace(session, municipality=municipality, workplace_id=workplace_id)
    for week, learners in sorted(weeks.items()):
        there = await session.get(ReceptionWeek, (workplace_id, week))
        if learners is None:
            accounts.ledgers[workplace_id].other_weeks.pop(week, None)
            if there:
                await session.delete(there)
            continue
        accounts.ledgers[workplace_id].other_weeks[week] = learners
        if there is None:
            there = ReceptionWeek(workplace_id=workplace_id, week=week, municipality=municipality)
            session.add(there)
        there.learners = learners
    _not_overfull(accounts, workplace_id)
    await accounts.settle(session)


def _not_overfull(accounts: ledger.Accounts, workplace_id: UUID) -> None:
    full = accounts.ledgers[workplace_id].overfull(datetime.now(UTC).date())
    if full:
        raise WorkplaceIsFull(f"{full[0]}: {accounts.ledgers[workplace_id].in_week[full[0]]}")


async def reception(
    session: Session, *, municipality: str, workplace_id: UUID, starts_on: date, ends_on: date
) -> list[tuple[date, int, int]]:
    """(Monday, how many it receives, how many are held) of each week in a period, over all placement types,
    administrations and municipalities."""
    row = await find_workplace(session, municipality=municipality, workplace_id=workplace_id)
    book = Ledger(row.reception_capacity)
    other = await session.execute(
        select(ReceptionWeek.week, ReceptionWeek.learners).where(
            ReceptionWeek.workplace_id == workplace_id, ReceptionWeek.municipality == municipality
        )
    )
    book.other_weeks.update({week: learners for week, learners in other})
    held = await session.scalars(
        select(Seat).where(
            Seat.workplace_id == workplace_id,
            Seat.municipality == municipality,
            Seat.released_at.is_(None),
            Seat.ends_on >= monday_of(starts_on),
        )
    )
    for seat in held:
        book.enter(seat.room)
    return [(week, book.receives(week), book.in_week[week]) for week in weeks(starts_on, ends_on)]


async def add_contact(
    session: Session,
    *,
    municipality: str,
    role: str,
    workplace_id: UUID | None,
    is_main: bool,
    person: ContactValues,
) -> Contact:
    """Someone more to write to; the main one is the one that is written to."""
    if workplace_id:
        await find_workplace(session, municipality=municipality, workplace_id=workplace_id, lock=True)
    others = (  # the main one, of that municipality
        Contact.municipality == municipality,
        Contact.role == role,
        Contact.workplace_id == workplace_id if workplace_id else Contact.workplace_id.is_(None),
        Contact.is_main,
    )
    if is_main:  # the municipality's
        await session.execute(update(Contact).where(*others).values(is_main=False))
    elif await session.scalar(select(Contact.contact_id).where(*others)) is None:
        is_main = True  # the first one of a workplace or municipality is
    row = Contact(
        contact_id=uuids.uuid7(),
        municipality=municipality,
        role=role,
        workplace_id=workplace_id,
        is_main=is_main,
        **person,
    )
    session.add(row)
    return row


async def name_coordinator(
    session: Session, *, municipality: str, name: str, email: str, speaks: str
) -> Contact:
    """Says whom the municipality's digests go to."""
    people = await list_contacts(session, municipality=municipality, role="coordinator", workplace_id=None)
    row = next((p for p in people if p.email == email), None)
    if row is None:
        person = ContactValues(name=name, email=email, speaks=speaks)
        return await add_contact(
            session,
            municipality=municipality,
            role="coordinator",
            workplace_id=None,
            is_main=True,
            person=person,
        )
    for other in people:
        other.is_main = False
    await session.flush()
    row.name, row.speaks, row.is_main = name, speaks, True
    return row


async def list_contacts(
    session: Session, *, municipality: str, role: str, workplace_id: UUID | None
) -> Sequence[Contact]:
    """Whom to write to at a workplace, or the municipality's coordinators; the main one first."""
    found = await session.scalars(
        select(Contact)
        .where(
            Contact.municipality == municipality,
            Contact.role == role,
            Contact.workplace_id == workplace_id if workplace_id else Contact.workplace_id.is_(None),
        )
        .order_by(Contact.is_main.desc(), Contact.contact_id)
    )
    return found.all()


async def remove_contact(session: Session, *, municipality: str, contact_id: UUID) -> None:
    """Forgets a contact. Raises NotFound, or Problem for the only one that is written to."""
    row = await session.scalar(
        select(Contact).where(Contact.contact_id == contact_id, Contact.municipality == municipality)
    )
    if row is None:
        raise NotFound("There is no such contact.", "Det finns ingen sådan kontakt.")
    if row.is_main:
        raise Problem(
            "Make another contact the main one first.", "Gör en annan kontakt till huvudkontakt först."
        )
    await session.delete(row)


async def add_supervisor(
    session: Session, *, municipality: str, workplace_id: UUID, person: SupervisorValues
) -> Supervisor:
    """A named supervisor of a workplace. Raises NotFound."""
    await find_workplace(session, municipality=municipality, workplace_id=workplace_id)
    row = Supervisor(
        supervisor_id=uuids.uuid7(),
        municipality=municipality,
        workplace_id=workplace_id,
        revision=1,
        **person,
    )
    session.add(row)
    return row


async def change_supervisor(
    session: Session, *, municipality: str, supervisor_id: UUID, seen: int, changes: SupervisorValues
) -> Supervisor:
    """Corrects a supervisor. Raises NotFound, ChangedMeanwhile, or SupervisorIsFull when more learners are
    held than the supervisor would take."""
    row = await find_supervisor(session, municipality=municipality, supervisor_id=supervisor_id)
    accounts = await ledger.open_accounts(session, {row.workplace_id: municipality})
    await session.refresh(row, with_for_update=True)
    change(row, seen, changes)
    book = accounts.ledgers[row.workplace_id]
    if book.most_with(supervisor_id, datetime.now(UTC).date()) > row.most_at_once:
        raise SupervisorIsFull
    await session.flush()
    await (await ledger.open_accounts(session, {row.workplace_id: municipality})).settle(session)
    return row


async def supervisors_of(
    session: Session, *, municipality: str, workplace_id: UUID
) -> list[tuple[Supervisor, int]]:
    """The supervisors of a workplace, each with the most learners it has in any week from now on."""
    people = await session.scalars(
        select(Supervisor)
        .where(Supervisor.workplace_id == workplace_id, Supervisor.municipality == municipality)
        .order_by(Supervisor.name, Supervisor.supervisor_id)
    )
    book = Ledger(0)
    held = await session.scalars(
        select(Seat).where(
            Seat.workplace_id == workplace_id, Seat.municipality == municipality, Seat.released_at.is_(None)
        )
    )
    for seat in held:
        book.enter(seat.room)
    today = datetime.now(UTC).date()
    return [(person, book.most_with(person.supervisor_id, today)) for person in people]
