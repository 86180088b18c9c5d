"""Pulls from school administrative systems: what has changed since the last time, one page a transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import uuid_utils.compat as uuids
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Select, select

from kompetensnav_chassis import outgoing
from kompetensnav_chassis.codes import Email
from kompetensnav_chassis.db import Scope, Session, Sessions, transaction
from kompetensnav_chassis.errors import Forbidden, NotFound, Problem
from kompetensnav_registry.ground.actions import organisations, protected
from kompetensnav_registry.ground.actions.locks import locked
from kompetensnav_registry.ground.edges.numbers import IdentityNumber, identity_number
from kompetensnav_registry.ground.edges.seal import Seal
from kompetensnav_registry.ground.tables.learners import Learner
from kompetensnav_registry.people.actions import learners
from kompetensnav_registry.people.actions.imports.batch import write_changes
from kompetensnav_registry.people.domain.learners import LearnerValues
from kompetensnav_registry.people.edges import MARKINGS, Bad, Client, Organisation, Person, SourceFailed
from kompetensnav_registry.people.tables.sources import SourceToken, Ss12000Source
from kompetensnav_registry.people.tables.vault import Erasure

OVERLAP = timedelta(minutes=5)
"""Asked for again each time, for clocks that differ; the same person twice changes nothing."""

MOST_FAILED = 500
"""Persons that are asked for again one by one."""

BY_SOURCE = "ss12000"
"""Who gives a number, when a pull does."""
FIRST = {"locality", "language", "speaks"}
"""What the system does not say: assumed of a new learner, and a person's to correct afterwards."""

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)


@dataclass
class Pulled:
    """What a pull came to."""

    schools: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    left: int = 0
    faults: list[dict[str, str]] = field(default_factory=list)

    def refuse(self, id: str, field: str, reason: str) -> None:
        """One person did not fit: said by the system's id, without any value."""
        self.faults.append({"id": id, "field": field, "reason": reason})


def _not_allowed(why: str) -> Problem:
    return Problem(
        f"The address is not allowed: {why}.",
        "Adressen är inte tillåten. Den ska vara https och leda till ett publikt nät, eller till ett av era.",
    )


async def add_source(
    session: Session,
    *,
    municipality: str,
    administration: str,
    url: str,
    token: str,
    locality: str,
    case_worker: str | None,
    seal: Seal,
    inside: Sequence[outgoing.Network],
) -> Ss12000Source:
    """A school administrative system. Raises Problem for an address that may not be asked."""
    try:
        await outgoing.checked(url, inside)
    except outgoing.NotAllowed as why:
        raise _not_allowed(str(why)) from None
    except UnicodeError:
        raise _not_allowed("no name of a server") from None
    except OSError:  # nobody knows the name now; it is checked again whenever it is asked
        if not url.startswith("https:"):
            raise _not_allowed("https is needed") from None
    row = Ss12000Source(
        source_id=uuids.uuid7(),
        municipality=municipality,
        administration=administration,
        url=url,
        locality=locality,
        case_worker=case_worker,
        failed=[],
    )
    session.add(row)
    await session.flush()
    sealed = seal.seal(municipality, str(row.source_id), token)
    session.add(
        SourceToken(
            source_id=row.source_id,
            municipality=municipality,
            administration=administration,
            sealed=sealed.sealed,
            wrapped_key=sealed.wrapped_key,
        )
    )
    return row


async def pull(
    sessions: Sessions,
    scope: Scope,
    *,
    municipality: str,
    source_id: UUID,
    seal: Seal,
    inside: Sequence[outgoing.Network],
) -> Pulled:
    """Pulls schools, then learners that have changed, then who has left. A person that does not fit is
    reported and asked for again the next time; the others are taken in. Raises NotFound or SourceFailed: what
    was taken in before stays, and the next pull begins where the last whole one did."""
    done, began = Pulled(), datetime.now(UTC)
    async with transaction(sessions, scope) as session:
        source, token = await _source(session, municipality, source_id, seal)
    since = source.modified_after
    failed: list[str] = []
    async with Client(source.url, token, inside) as client:
        schools: dict[UUID, str] = {}
        async for units in client.organisations(None):
            async with transaction(sessions, scope) as session:
                schools |= await _schools(session, source, units, done)
        for id in source.failed:
            try:
                again = await client.person(id)
            except SourceFailed:  # this one alone: asked for again the next time
                done.refuse(id, "", "the school system fails when it is asked for")
                failed.append(id)
                continue
            async with transaction(sessions, scope) as session:
                failed += await _persons(session, source, [again] if again else [], schools, seal, done)
        async for persons in client.persons(since):
            async with transaction(sessions, scope) as session:
                failed += await _persons(session, source, persons, schools, seal, done)
        if since:
            async for gone in client.deleted_persons(since):
                async with transaction(sessions, scope) as session:
                    done.left += await _left(session, source, gone, began)
    async with transaction(sessions, scope) as session:
        row = await session.get_one(Ss12000Source, source_id, with_for_update=True)
        row.pulled_at, row.failed = began, sorted(set(failed))[:MOST_FAILED]
        if len(set(failed)) <= MOST_FAILED:  # else all of them are asked for again
            row.modified_after = began - OVERLAP
    return done


async def _source(
    session: Session, municipality: str, source_id: UUID, seal: Seal
) -> tuple[Ss12000Source, str]:
    row = await session.scalar(
        select(Ss12000Source).where(
            Ss12000Source.source_id == source_id, Ss12000Source.municipality == municipality
        )
    )
    if row is None:
        raise NotFound("There is no such source.", "Det finns ingen sådan källa.")
    kept = await session.get_one(SourceToken, source_id)
    return row, seal.open(municipality, str(source_id), kept.sealed, kept.wrapped_key)


async def _schools(
    session: Session, source: Ss12000Source, units: Sequence[Organisation | Bad], done: Pulled
) -> dict[UUID, str]:
    found = {}
    for unit in units:
        if isinstance(unit, Bad):
            done.refuse(unit.id, unit.field, unit.reason)
            continue
        code = unit.school_unit_code.lower()
        try:
            await organisations.put_school(
                session,
                municipality=source.municipality,
                code=code,
                about={"name": unit.display_name, "administration": source.administration},
                administrations=[source.administration],
            )
        except Forbidden:
            done.refuse(str(unit.id), "schoolUnitCode", "the school is another administration's")
        found[unit.id] = code
        done.schools += 1
    return found


async def _persons(
    session: Session,
    source: Ss12000Source,
    persons: Sequence[Person | Bad],
    schools: dict[UUID, str],
    seal: Seal,
    done: Pulled,
) -> list[str]:
    """Takes persons in; returns the ids of those that did not fit."""
    failed, changed = [], []
    ids = [str(p.id) for p in persons]
    found = await session.scalars(_pupils(source, ids))
    there = {row.ref: row for row in found}
    hashed = [seal.index(source.municipality, id) for id in ids]
    gone = set(
        await session.scalars(
            select(Erasure.blind_ref).where(
                Erasure.municipality == source.municipality, Erasure.blind_ref.in_(hashed)
            )
        )
    )
    for person in persons:
        if isinstance(person, Bad):
            done.refuse(person.id, person.field, person.reason)
            failed.append(person.id)
            continue
        if person.enrolment is None:
            continue  # staff, or somebody who goes to no school now
        try:
            number, values = _values(source, person, schools)
        except ValueError as bad:
            done.refuse(str(person.id), *str(bad).split(": ", 1))
            failed.append(str(person.id))
            continue
        row = there.get(str(person.id))
        taken = await learners.by_number(
            session,
            municipality=source.municipality,
            administrations=[source.administration],
            number=number,
            seal=seal,
        )
        others = [other for other in taken if other is not row]
        hidden = bool(others) and not any(protected.is_shown(other, None) for other in others)
        if hidden:
            first = [await protected.note_attempt(session, learner=o, by=BY_SOURCE) for o in others]
            if row is None:
                done.created += any(first)
                done.unchanged += not any(first)
                continue
        if others and not hidden:
            done.refuse(str(person.id), "civicNo", "another learner has the number")
            failed.append(str(person.id))
            continue
        if row is None and seal.index(source.municipality, str(person.id)) in gone:
            done.refuse(str(person.id), "", "has been erased here, and is not taken in again by a pull")
            continue
        if row is None:
            row = learners.new_learner(source.municipality, source.administration, values)
            learners.seal_number(seal, row, number)
            session.add(row)
            done.created += 1
            continue
        if row.security_marking != "none" or person.security_marking is None:
            apart = FIRST | {"security_marking", "case_worker"}
        else:
            apart = FIRST
        kept = {name: value for name, value in values.items() if name not in apart}
        is_changed = write_changes(row, kept) == "changed"
        if (not hidden and learners.seal_number(seal, row, number)) or is_changed:
            changed.append(row)
            done.changed += 1
        else:
            done.unchanged += 1
    await session.flush()
    await learners.follow(session, changed)
    return failed


def _values(
    source: Ss12000Source, person: Person, schools: dict[UUID, str]
) -> tuple[IdentityNumber, LearnerValues]:
    """(number, columns). Raises ValueError `field: reason`, without any value."""
    try:
        number = identity_number(person.civic_no)
    except ValueError:
        raise ValueError("civicNo: not a valid number") from None
    enrolment = person.enrolment
    assert enrolment is not None
    if enrolment.school not in schools:
        raise ValueError("enrolments: an organisation that was not sent")
    said = person.security_marking or "Ingen"
    if said not in MARKINGS:
        raise ValueError("securityMarking: unknown")
    marking = MARKINGS[said]
    if marking != "none" and not source.case_worker:
        raise ValueError("securityMarking: the source names no case worker for protected learners")
    try:
        email = _EMAIL.validate_python(person.email) if person.email else None
    except ValidationError:
        raise ValueError("emails: not an address") from None
    return number, LearnerValues(
        ref=str(person.id),
        school=schools[enrolment.school],
        given_name=person.given_name,
        family_name=person.family_name,
        email=email,
        born_on=number.born_on,
        programme=enrolment.education_code.lower() if enrolment.education_code else None,
        study_year=enrolment.school_year,
        locality=source.locality,
        language="fluent",
        speaks="sv",
        security_marking=marking,
        case_worker=source.case_worker if marking != "none" else None,
        left_on=None,
    )


def _pupils(source: Ss12000Source, ids: Sequence[str]) -> Select[Learner]:
    """The learners of the system's ids that are here, locked."""
    wanted = select(Learner).where(
        Learner.municipality == source.municipality,
        Learner.administration == source.administration,
        Learner.ref.in_(list(ids)),
    )
    return locked(wanted.order_by(Learner.learner_id), "update")


async def _left(session: Session, source: Ss12000Source, ids: Sequence[str], now: datetime) -> int:
    """Those who have gone from the school's system: their open requests are closed; erasing is a person's
    decision."""
    found = await session.scalars(_pupils(source, ids).where(Learner.left_on.is_(None)))
    rows = found.all()
    for row in rows:
        row.left_on = now.date()
    await session.flush()
    await learners.close_all(
        session, learners=[row.learner_id for row in rows], municipality=source.municipality
    )
    return len(rows)
