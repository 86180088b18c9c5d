"""Employers, workplaces, their contacts, and sharing agreements."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import uuid_utils.compat as uuids
from organisationsnummer.organisationsnummer import Organisationsnummer, OrganisationsnummerException
from sqlalchemy import select

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import Conflict, NotFound, Problem
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import EmployerRegistered, SharingAgreed, WorkplaceRegistered
from kompetensnav_registry.tables import Contact, Employer, SharingAgreement, Workplace


def legal_person(number: str) -> str:
    """The ten digits of a legal person's organisation number. Raises ValueError with what is wrong."""
    digits = number.replace("-", "").strip()
    try:
        Organisationsnummer(digits)
    except OrganisationsnummerException as bad:
        raise ValueError("not a valid organisation number (ogiltigt organisationsnummer)") from bad
    digits = digits.removeprefix("16") if len(digits) == 12 else digits
    if digits[2] < "2":
        raise ValueError(
            "a sole trader's number is a personal number and is not accepted here (enskild firma)"
        )
    return digits


async def register_employer(
    session: Session, *, municipality: str, org_number: str, name: str, sector: str
) -> tuple[Employer, bool]:
    """The employer with that number, and whether it is new."""
    there = await session.scalar(select(Employer).where(Employer.org_number == org_number))
    if there:
        return there, False
    return add_employer(
        session, municipality=municipality, org_number=org_number, name=name, sector=sector
    ), True


def add_employer(session: Session, *, municipality: str, org_number: str, name: str, sector: str) -> Employer:
    """An employer that is known to be new."""
    row = Employer(employer_id=uuids.uuid7(), org_number=org_number, name=name, sector=sector, revision=1)
    session.add(row)
    tell(
        session,
        EmployerRegistered(employer_id=row.employer_id, org_number=org_number, sector=sector),
        municipality=municipality,
        revision=1,
    )
    return row


async def register_workplace(
    session: Session,
    *,
    municipality: str,
    employer_id: UUID,
    name: str,
    locality: str,
    reception_capacity: int,
    contact_name: str,
    contact_email: str,
    contact_speaks: str = "sv",
    ref: str | None = None,
) -> Workplace:
    """A new workplace with its contact. Raises NotFound for an unknown employer."""
    if not await session.get(Employer, employer_id):
        raise NotFound("There is no such employer.", "Det finns ingen sådan arbetsgivare.")
    return add_workplace(
        session,
        municipality=municipality,
        employer_id=employer_id,
        name=name,
        locality=locality,
        reception_capacity=reception_capacity,
        contact={"name": contact_name, "email": contact_email, "speaks": contact_speaks},
        ref=ref,
    )


def add_workplace(
    session: Session,
    *,
    municipality: str,
    employer_id: UUID,
    name: str,
    locality: str,
    reception_capacity: int,
    contact: dict[str, str],
    ref: str | None = None,
) -> Workplace:
    """A workplace of an employer that is known to be there."""
    row = Workplace(
        workplace_id=uuids.uuid7(),
        municipality=municipality,
        ref=ref,
        employer_id=employer_id,
        name=name,
        locality=locality,
        reception_capacity=reception_capacity,
        revision=1,
    )
    person = Contact(
        contact_id=uuids.uuid7(),
        municipality=municipality,
        role="employer",
        workplace_id=row.workplace_id,
        **contact,
    )
    session.add_all([row, person])
    tell(
        session,
        WorkplaceRegistered(
            workplace_id=row.workplace_id,
            employer_id=employer_id,
            locality=locality,
            reception_capacity=reception_capacity,
        ),
        municipality=municipality,
        revision=1,
    )
    return row


async def name_coordinator(
    session: Session, *, municipality: str, name: str, email: str, speaks: str
) -> Contact:
    """Says whom the municipality's digests go to; replaces the one before."""
    row = await session.scalar(
        select(Contact).where(
            Contact.municipality == municipality,
            Contact.role == "coordinator",
            Contact.workplace_id.is_(None),
        )
    )
    if row is None:
        row = Contact(
            contact_id=uuids.uuid7(), municipality=municipality, role="coordinator", workplace_id=None
        )
        session.add(row)
    row.name, row.email, row.speaks = name, email, speaks
    return row


async def agree_to_share(
    session: Session,
    *,
    lead: str,
    municipalities: Sequence[str],
    placement_types: Sequence[str],
    valid_from: date,
    valid_to: date | None,
) -> SharingAgreement:
    """Records a signed sharing agreement. Raises Problem when the lead is not one of those who signed."""
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
        placement_types=sorted(set(placement_types)),
        valid_from=valid_from,
        valid_to=valid_to,
        revision=1,
    )
    session.add(row)
    tell(
        session,
        SharingAgreed(
            agreement_id=row.agreement_id,
            lead=lead,
            municipalities=tuple(row.municipalities),
            placement_types=tuple(row.placement_types),
            valid_from=valid_from,
            valid_to=valid_to,
        ),
        municipality=lead,
        revision=1,
    )
    return row
