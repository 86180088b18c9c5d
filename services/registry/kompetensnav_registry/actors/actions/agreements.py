"""Cooperation agreements with employers, and the files that belong to agreements."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from kompetensnav_chassis.db import Session, nudge
from kompetensnav_chassis.errors import Conflict, NotFound, Problem
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import AgreementExpiring, AgreementSigned
from kompetensnav_registry.actors.actions.employers import find_employer
from kompetensnav_registry.actors.tables import CooperationAgreement, Document
from kompetensnav_registry.ledger.tables.slots import Slot

REMIND = "remind"
"""The job that tells of agreements that run out."""

NOTICE = timedelta(days=60)
"""How long before its last day it is told that an agreement runs out."""

LARGEST = 5_000_000
"""Bytes of a file."""


async def sign_agreement(
    session: Session,
    *,
    municipality: str,
    employer_id: UUID,
    signed_on: date,
    valid_from: date,
    valid_to: date | None,
    seats_per_year: int,
    outside_the_system: bool,
    renews: UUID | None = None,
) -> CooperationAgreement:
    """Records a signed cooperation agreement, or the renewal of one. Raises NotFound, Problem for a period
    that ends before it begins, or Conflict for one that has been renewed already."""
    if valid_to and valid_to < valid_from:
        raise Problem("The period ends before it begins.", "Perioden slutar innan den börjar.")
    employer = await find_employer(session, employer_id=employer_id)
    if renews:
        before = await find_agreement(session, municipality=municipality, agreement_id=renews)
        if before.employer_id != employer.employer_id:
            raise Problem("It is another employer's agreement.", "Avtalet gäller en annan arbetsgivare.")
        if await session.scalar(
            select(CooperationAgreement.agreement_id).where(
                CooperationAgreement.renews == renews, CooperationAgreement.municipality == municipality
            )
        ):
            raise Conflict("It has been renewed already.", "Avtalet är redan förnyat.")
    row = CooperationAgreement(
        agreement_id=uuids.uuid7(),
        municipality=municipality,
        employer_id=employer.employer_id,
        signed_on=signed_on,
        valid_from=valid_from,
        valid_to=valid_to,
        seats_per_year=seats_per_year,
        outside_the_system=outside_the_system,
        renews=renews,
        revision=1,
    )
    session.add(row)
    event = AgreementSigned(
        agreement_id=row.agreement_id,
        employer_id=row.employer_id,
        signed_on=signed_on,
        valid_from=valid_from,
        valid_to=valid_to,
        seats_per_year=seats_per_year,
        renews=renews,
    )
    tell(session, event, municipality=municipality, revision=1)
    nudge(session, REMIND)
    return row


async def find_agreement(session: Session, *, municipality: str, agreement_id: UUID) -> CooperationAgreement:
    """The agreement, locked. Raises NotFound."""
    row = await session.scalar(
        select(CooperationAgreement)
        .where(
            CooperationAgreement.agreement_id == agreement_id,
            CooperationAgreement.municipality == municipality,
        )
        .with_for_update()
    )
    if row is None:
        raise NotFound("There is no such agreement.", "Det finns inget sådant avtal.")
    return row


async def end_agreement(
    session: Session, *, municipality: str, agreement_id: UUID, on: date
) -> CooperationAgreement:
    """Its last day comes earlier than agreed. Raises NotFound."""
    row = await find_agreement(session, municipality=municipality, agreement_id=agreement_id)
    if row.ended_on is None:
        row.ended_on, row.revision = on, row.revision + 1
    return row


async def seats_in_year(session: Session, *, municipality: str, employer_id: UUID, year: int) -> int:
    """Seats that the employer has offered in the municipality in a year, to hold against what it promised."""
    seats = await session.scalar(
        select(func.coalesce(func.sum(Slot.seats), 0)).where(
            Slot.municipality == municipality,
            Slot.employer_id == employer_id,
            Slot.starts_on.between(date(year, 1, 1), date(year, 12, 31)),
            Slot.withdrawn_at.is_(None),
        )
    )
    return int(seats or 0)


async def remind(session: Session, *, today: date, most: int = 200) -> int:
    """Tells of agreements that run out soon and have not been renewed, each once; returns how many."""
    renewal = aliased(CooperationAgreement)
    rows = await session.scalars(
        select(CooperationAgreement)  # every municipality: a job
        .where(
            CooperationAgreement.valid_to.between(today, today + NOTICE),
            CooperationAgreement.ended_on.is_(None),
            CooperationAgreement.reminded_at.is_(None),
            ~select(renewal.agreement_id)  # in every municipality
            .where(renewal.renews == CooperationAgreement.agreement_id)
            .exists(),
        )
        .order_by(CooperationAgreement.valid_to, CooperationAgreement.agreement_id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    found = rows.all()
    for row in found:
        assert row.valid_to is not None
        row.reminded_at, row.revision = datetime.now(UTC), row.revision + 1
        event = AgreementExpiring(
            agreement_id=row.agreement_id,
            employer_id=row.employer_id,
            valid_to=row.valid_to,
            days_left=(row.valid_to - today).days,
        )
        tell(session, event, municipality=row.municipality, revision=row.revision)
    return len(found)


async def add_document(
    session: Session,
    *,
    municipality: str,
    administration: str | None,
    about_id: UUID,
    content: bytes,
    kind: str,
    media_type: str,
    name: str,
) -> Document:
    """Keeps a file that belongs to an agreement, in the vault: it may name persons. Raises Problem for an
    empty or too large one."""
    if not 0 < len(content) <= LARGEST:
        raise Problem(
            f"A file has between 1 and {LARGEST} bytes; this one has {len(content)}.",
            f"En fil har mellan 1 och {LARGEST} byte; den här har {len(content)}.",
        )
    row = Document(
        document_id=uuids.uuid7(),
        municipality=municipality,
        administration=administration,
        about_id=about_id,
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        added_on=datetime.now(UTC).date(),
        kind=kind,
        media_type=media_type,
        name=name,
    )
    session.add(row)
    return row


async def documents_of(session: Session, *, municipality: str, about_id: UUID) -> Sequence[Any]:
    """What is kept about an agreement, without the contents."""
    rows = await session.execute(
        select(
            Document.document_id,
            Document.kind,
            Document.name,
            Document.media_type,
            Document.sha256,
            func.length(Document.content).label("size"),
            Document.added_on,
        )
        .where(Document.about_id == about_id, Document.municipality == municipality)
        .order_by(Document.document_id)
    )
    return rows.all()


async def find_document(session: Session, *, municipality: str, document_id: UUID) -> Document:
    """The file. Raises NotFound, also for another administration's."""
    row = await session.scalar(
        select(Document).where(Document.document_id == document_id, Document.municipality == municipality)
    )
    if row is None:
        raise NotFound("There is no such document.", "Det finns inget sådant dokument.")
    return row
