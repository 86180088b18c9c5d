"""Administrations, education providers, schools, learning centres, and who shares what with whom."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import TypedDict
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import select

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import Conflict, Forbidden, NotFound, Problem
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import SharingAgreed
from kompetensnav_registry.ground.domain.editing import change
from kompetensnav_registry.ground.tables.organisations import (
    Administration,
    Delegation,
    EducationProvider,
    LearningCentre,
    School,
    SharingAgreement,
)


async def put_administration(
    session: Session, *, municipality: str, code: str, name: str, committee: str
) -> Administration:
    """An administration, new or as it is called from now on."""
    row = await session.get(Administration, (municipality, code), with_for_update=True)
    if row is None:
        row = Administration(municipality=municipality, code=code, name=name, committee=committee, revision=1)
        session.add(row)
        return row
    change(row, row.revision, {"name": name, "committee": committee})
    return row


async def register_provider(session: Session, *, org_number: str, name: str, kind: str) -> EducationProvider:
    """The education provider with that number; registered when it is new."""
    row = await session.scalar(
        select(EducationProvider).where(EducationProvider.org_number == org_number)
    )  # every municipality
    if row is None:
        row = EducationProvider(
            provider_id=uuids.uuid7(), org_number=org_number, name=name, kind=kind, revision=1
        )
        session.add(row)
    return row


async def school_of(session: Session, *, municipality: str, code: str) -> School:
    """The school unit, registered the first time it is named."""
    row = await session.get(School, (municipality, code))
    if row is None:
        row = School(municipality=municipality, code=code, cohort_id=uuids.uuid4(), revision=1)
        session.add(row)
        await session.flush()
    return row


class SchoolValues(TypedDict, total=False):
    """What may be said of a school unit; what is left out stays as it is."""

    name: str
    administration: str | None
    provider_id: UUID | None
    school_forms: list[str]


async def put_school(
    session: Session,
    *,
    municipality: str,
    code: str,
    about: SchoolValues,
    administrations: Collection[str],
) -> School:
    """What a school unit is called, whose it is and which school forms it has. A unit that is an
    administration's is changed, and given away, by that one alone. Raises Forbidden, or NotFound for an
    unknown provider."""
    provider_id = about.get("provider_id")
    if provider_id and await session.get(EducationProvider, provider_id) is None:
        raise NotFound("There is no such education provider.", "Det finns ingen sådan huvudman.")
    row = await school_of(session, municipality=municipality, code=code)
    if row.administration and row.administration not in administrations:
        raise Forbidden("The school is another administration's.", "Skolan är en annan förvaltnings.")
    change(row, row.revision, about)
    return row


async def put_learning_centre(session: Session, *, municipality: str, code: str, name: str) -> LearningCentre:
    """A learning centre of the municipality. Raises Conflict when the code is another municipality's."""
    row = await session.get(LearningCentre, code, with_for_update=True)
    if row is None:
        row = LearningCentre(code=code, name=name, lies_in=municipality, revision=1)
        session.add(row)
        return row
    if row.lies_in != municipality:
        raise Conflict("Another municipality has that code.", "En annan kommun har den koden.")
    change(row, row.revision, {"name": name})
    return row


async def delegate(
    session: Session,
    *,
    municipality: str,
    administration: str,
    school: str,
    centre: str,
    valid_from: date,
    valid_to: date | None,
) -> Delegation:
    """A school lets a learning centre place its learners. Raises NotFound, or Problem for a period that ends
    before it begins."""
    if await session.get(LearningCentre, centre) is None:
        raise NotFound("There is no such learning centre.", "Det finns inget sådant lärcentrum.")
    unit = await session.get(School, (municipality, school))
    if unit is None:
        raise NotFound("There is no such school unit.", "Det finns ingen sådan skolenhet.")
    if unit.administration and unit.administration != administration:
        raise Forbidden("The school is another administration's.", "Skolan är en annan förvaltnings.")
    if valid_to and valid_to < valid_from:
        raise Problem("The period ends before it begins.", "Perioden slutar innan den börjar.")
    row = Delegation(
        delegation_id=uuids.uuid7(),
        centre=centre,
        granted_by=municipality,
        administration=administration,
        school=school,
        valid_from=valid_from,
        valid_to=valid_to,
        revision=1,
    )
    session.add(row)
    return row


async def end_delegation(
    session: Session, *, municipality: str, delegation_id: UUID, administrations: Sequence[str], on: date
) -> Delegation:
    """The last day of a delegation. Raises NotFound, also for another administration's."""
    row = await session.get(Delegation, delegation_id, with_for_update=True)
    if row is None or row.granted_by != municipality or row.administration not in administrations:
        raise NotFound("There is no such delegation.", "Det finns ingen sådan delegation.")
    change(row, row.revision, {"valid_to": on})
    return row


async def delegations_to(session: Session, *, centre: str, on: date) -> Sequence[Delegation]:
    """What schools have delegated to a learning centre on a day."""
    found = await session.scalars(
        select(Delegation)
        .where(
            Delegation.centre == centre,
            Delegation.valid_from <= on,
            Delegation.valid_to.is_(None) | (Delegation.valid_to >= on),
        )
        .order_by(Delegation.granted_by, Delegation.school, Delegation.delegation_id)
    )
    return found.all()


async def agree_to_share(
    session: Session,
    *,
    lead: str,
    municipalities: Sequence[str],
    elsewhere: Collection[str],
    placement_types: Sequence[str],
    valid_from: date,
    valid_to: date | None,
) -> SharingAgreement:
    """Records a signed sharing agreement; `elsewhere` are those of the municipalities whose registry is
    another stack's, which records it too. Raises Problem when the lead is not one of those who signed."""
    if lead not in municipalities:
        raise Problem(
            "The lead must be one of the municipalities.", "Den ledande kommunen måste ingå i avtalet."
        )
    if valid_to and valid_to < valid_from:
        raise Conflict("It ends before it begins.", "Avtalet slutar innan det börjar.")
    row = SharingAgreement(
        agreement_id=uuids.uuid7(),
        lead=lead,
        municipalities=sorted(set(municipalities)),
        elsewhere=sorted(elsewhere),
        placement_types=sorted(set(placement_types)),
        valid_from=valid_from,
        valid_to=valid_to,
        revision=1,
    )
    session.add(row)
    _tell_agreed(session, row)
    return row


async def end_sharing(
    session: Session, *, municipality: str, agreement_id: UUID, on: date
) -> SharingAgreement:
    """The last day of a sharing agreement, as any who signed it may say. What is lent under it beyond that
    day is recalled; seats that are held stay held. Raises NotFound, and Conflict when it has ended."""
    row = await session.get(SharingAgreement, agreement_id, with_for_update=True)
    if row is None or municipality not in row.municipalities:
        raise NotFound("There is no such agreement.", "Det finns inget sådant avtal.")
    if row.valid_to is not None and row.valid_to <= on:
        raise Conflict("It has ended already.", "Avtalet har redan upphört.")
    row.valid_to, row.revision = max(on, row.valid_from), row.revision + 1
    _tell_agreed(session, row)
    return row


def _tell_agreed(session: Session, row: SharingAgreement) -> None:
    agreed = SharingAgreed(
        agreement_id=row.agreement_id,
        lead=row.lead,
        municipalities=tuple(row.municipalities),
        placement_types=tuple(row.placement_types),
        valid_from=row.valid_from,
        valid_to=row.valid_to,
    )
    tell(session, agreed, municipality=row.lead, revision=row.revision)
