"""Cooperation agreements and their documents over HTTP."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy import select

from kompetensnav_chassis.bounds import takes
from kompetensnav_chassis.codes import Day, Name
from kompetensnav_chassis.paging import Limit, Listed, Offset
from kompetensnav_chassis.security import note
from kompetensnav_registry.actors.actions import agreements
from kompetensnav_registry.actors.tables import CooperationAgreement, Document
from kompetensnav_registry.ground.api.views import Coordinator, Reader, View, page_of

router = APIRouter(prefix="/{municipality}")

MediaType = Literal["application/pdf", "image/png", "image/jpeg", "text/plain"]


class NewCooperation(BaseModel):
    """A cooperation agreement that has been signed."""

    employer_id: UUID
    signed_on: Day
    valid_from: Day
    valid_to: Day | None = None
    seats_per_year: int = Field(0, ge=0, le=100_000)
    outside_the_system: bool = Field(
        True, description="Signed on paper or elsewhere; this is a record of it."
    )


class Renewal(BaseModel):
    """The terms of a renewal."""

    signed_on: Day
    valid_from: Day
    valid_to: Day | None = None
    seats_per_year: int = Field(0, ge=0, le=100_000)
    outside_the_system: bool = True


class Ending(BaseModel):
    """The last day of an agreement that ends early."""

    ended_on: Day


class CooperationView(View):
    """A cooperation agreement."""

    agreement_id: UUID
    employer_id: UUID
    signed_on: date
    valid_from: date
    valid_to: date | None
    seats_per_year: int
    outside_the_system: bool
    renews: UUID | None
    ended_on: date | None
    revision: int


class Kept(CooperationView):
    """A cooperation agreement, and how far it is kept."""

    seats_this_year: int = Field(description="Seats the employer has offered that start this year.")


class DocumentView(View):
    """A file that belongs to an agreement."""

    document_id: UUID
    kind: str
    name: str
    media_type: str
    sha256: str
    size: int
    added_on: date

    @classmethod
    def of(cls, row: Document, size: int) -> "DocumentView":
        """From the row, whose content is so many bytes."""
        return cls(
            document_id=row.document_id,
            kind=row.kind,
            name=row.name,
            media_type=row.media_type,
            sha256=row.sha256,
            size=size,
            added_on=row.added_on,
        )


@router.post("/cooperation-agreements", status_code=201)
async def sign_agreement(caller: Coordinator, new: NewCooperation) -> CooperationView:
    """Record a cooperation agreement that has been signed."""
    async with caller.begin() as session:
        row = await agreements.sign_agreement(session, municipality=caller.municipality, **new.model_dump())
        return CooperationView.model_validate(row)


@router.get("/cooperation-agreements")
async def list_cooperation_agreements(
    caller: Reader,
    valid_on: Annotated[Day | None, Query()] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Listed[CooperationView]:
    """The municipality's cooperation agreements; those that run out first come first."""
    shown = select(CooperationAgreement).where(CooperationAgreement.municipality == caller.municipality)
    if valid_on:
        shown = shown.where(
            CooperationAgreement.valid_from <= valid_on,
            CooperationAgreement.valid_to.is_(None) | (CooperationAgreement.valid_to >= valid_on),
            CooperationAgreement.ended_on.is_(None) | (CooperationAgreement.ended_on >= valid_on),
        )
    order = (CooperationAgreement.valid_to.asc().nulls_last(), CooperationAgreement.agreement_id)
    return await page_of(caller, CooperationView, shown, order, limit, offset)


@router.get("/cooperation-agreements/{agreement_id}")
async def show_cooperation_agreement(caller: Reader, agreement_id: UUID) -> Kept:
    """A cooperation agreement, and how many seats it has led to this year."""
    async with caller.begin() as session:
        row = await agreements.find_agreement(
            session, municipality=caller.municipality, agreement_id=agreement_id
        )
        seats = await agreements.seats_in_year(
            session,
            municipality=caller.municipality,
            employer_id=row.employer_id,
            year=datetime.now(UTC).year,
        )
        return Kept(**CooperationView.model_validate(row).model_dump(), seats_this_year=seats)


@router.post("/cooperation-agreements/{agreement_id}/renew", status_code=201)
async def renew_agreement(caller: Coordinator, agreement_id: UUID, renewal: Renewal) -> CooperationView:
    """Record that an agreement has been renewed."""
    async with caller.begin() as session:
        before = await agreements.find_agreement(
            session, municipality=caller.municipality, agreement_id=agreement_id
        )
        row = await agreements.sign_agreement(
            session,
            municipality=caller.municipality,
            employer_id=before.employer_id,
            renews=agreement_id,
            **renewal.model_dump(),
        )
        return CooperationView.model_validate(row)


@router.post("/cooperation-agreements/{agreement_id}/end")
async def end_agreement(caller: Coordinator, agreement_id: UUID, ending: Ending) -> CooperationView:
    """Say that an agreement ends early."""
    async with caller.begin() as session:
        row = await agreements.end_agreement(
            session, municipality=caller.municipality, agreement_id=agreement_id, on=ending.ended_on
        )
        return CooperationView.model_validate(row)


@router.post("/cooperation-agreements/{agreement_id}/documents", status_code=201)
@takes(agreements.LARGEST)
async def add_document(
    caller: Coordinator,
    agreement_id: UUID,
    name: Annotated[Name, Query()],
    content: Annotated[bytes, Body(media_type="application/octet-stream")],
    media_type: Annotated[MediaType, Query()] = "application/pdf",
) -> DocumentView:
    """Keep a file with an agreement, such as a scanned signature."""
    async with caller.begin() as session:
        await agreements.find_agreement(session, municipality=caller.municipality, agreement_id=agreement_id)
        row = await agreements.add_document(
            session,
            municipality=caller.municipality,
            administration=None,
            about_id=agreement_id,
            kind="cooperation_agreement",
            content=content,
            name=name,
            media_type=media_type,
        )
        return DocumentView.of(row, len(content))


@router.get("/cooperation-agreements/{agreement_id}/documents")
async def list_documents(caller: Reader, agreement_id: UUID) -> Listed[DocumentView]:
    """The files of an agreement."""
    async with caller.begin() as session:
        rows = await agreements.documents_of(session, municipality=caller.municipality, about_id=agreement_id)
        return Listed(items=[DocumentView.model_validate(r) for r in rows], total=len(rows))


@router.get("/documents/{document_id}", response_class=Response)
async def show_document(caller: Coordinator, document_id: UUID) -> Response:
    """The file itself, to be saved; never shown in place."""
    async with caller.begin() as session:
        row = await agreements.find_document(
            session, municipality=caller.municipality, document_id=document_id
        )
        note("export")
        headers = {"content-disposition": f"attachment; filename={row.document_id}"}
        return Response(row.content, media_type=row.media_type, headers=headers)
