"""Employers over HTTP: registered, changed, merged and parted."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import select

from kompetensnav_chassis.codes import Name
from kompetensnav_chassis.db import Session
from kompetensnav_chassis.paging import Limit, Listed, Offset, page
from kompetensnav_registry.actors.actions import employers
from kompetensnav_registry.actors.domain.values import EmployerValues
from kompetensnav_registry.actors.tables import Employer, EmployerMerge, SoleTrader
from kompetensnav_registry.ground.api.views import Coordinator, Reader, Seen, View, seal_of
from kompetensnav_registry.ground.edges.numbers import organisation_number

router = APIRouter(prefix="/{municipality}")

Sector = Literal["private", "municipal", "regional", "state", "association"]

Kind = Literal["company", "organisation"]

Sni = Annotated[str, Field(pattern=r"^\d{2,5}$", description="Industry, SNI 2007.")]

Employees = Annotated[int, Field(ge=0, le=1_000_000)]


class NewEmployer(BaseModel):
    """An employer to register."""

    org_number: Annotated[str, AfterValidator(organisation_number)] = Field(
        description="Ten digits; a sole trader's is kept in the vault and shown to nobody."
    )
    name: Name
    sector: Sector = "private"
    kind: Kind = "company"
    sni: Sni | None = None
    employees: Employees | None = None


class EmployerChanges(Seen):
    """What to correct; what is left out stays."""

    name: Name | None = None
    sector: Sector | None = None
    kind: Kind | None = None
    sni: Sni | None = None
    employees: Employees | None = None


class EmployerView(View):
    """An employer. Of a sole trader the number is not shown, and the name only in its own municipality."""

    employer_id: UUID
    org_number: str | None
    name: str
    sector: str
    kind: str
    sni: str | None
    employees: int | None
    is_sole_trader: bool
    merged_into: UUID | None
    revision: int


class Merge(BaseModel):
    """The registration to keep."""

    into: UUID


class MergeView(View):
    """A merge, and how to find it again to undo it."""

    merge_id: UUID
    kept: UUID
    gone: UUID
    municipalities: list[str]
    merged_at: datetime
    undone_at: datetime | None


async def named(session: Session, municipality: str, rows: list[Employer]) -> list[EmployerView]:
    """Views; sole traders of the municipality under their own names."""
    ids = [row.employer_id for row in rows if row.is_sole_trader]
    names: dict[UUID, Any] = {}
    if ids:
        found = await session.execute(
            select(SoleTrader.employer_id, SoleTrader.name).where(
                SoleTrader.employer_id.in_(ids), SoleTrader.municipality == municipality
            )
        )
        names = {id: name for id, name in found}
    views = []
    for row in rows:
        view = EmployerView.model_validate(row)
        views.append(view.model_copy(update={"name": names.get(row.employer_id, row.name)}))
    return views


@router.post("/employers", status_code=201)
async def register_employer(request: Request, caller: Coordinator, new: NewEmployer) -> EmployerView:
    """Register an employer; one that is there already is returned as it is."""
    async with caller.begin() as session:
        row, _ = await employers.register_employer(
            session,
            municipality=caller.municipality,
            org_number=new.org_number,
            name=new.name,
            seal=seal_of(request),
            about=EmployerValues(sector=new.sector, kind=new.kind, sni=new.sni, employees=new.employees),
        )
        return (await named(session, caller.municipality, [row]))[0]


@router.get("/employers")
async def list_employers(caller: Reader, limit: Limit = 100, offset: Offset = 0) -> Listed[EmployerView]:
    """Every employer of the stack, by name; those that were merged into another are left out."""
    shown = select(Employer).where(Employer.merged_into.is_(None))
    async with caller.begin() as session:
        rows, total = await page(session, shown, (Employer.name, Employer.employer_id), limit, offset)
        return Listed(items=await named(session, caller.municipality, list(rows)), total=total)


@router.get("/employers/{employer_id}")
async def show_employer(caller: Reader, employer_id: UUID) -> EmployerView:
    """One employer; after a merge the one that was kept."""
    async with caller.begin() as session:
        row = await employers.find_employer(session, employer_id=employer_id)
        return (await named(session, caller.municipality, [row]))[0]


@router.patch("/employers/{employer_id}")
async def change_employer(caller: Coordinator, employer_id: UUID, changes: EmployerChanges) -> EmployerView:
    """Correct an employer."""
    async with caller.begin() as session:
        row = await employers.change_employer(
            session, employer_id=employer_id, seen=changes.revision, changes=changes.given(EmployerValues)
        )
        return (await named(session, caller.municipality, [row]))[0]


@router.post("/employers/{employer_id}/merge", status_code=201)
async def merge_employer(caller: Coordinator, employer_id: UUID, merge: Merge) -> MergeView:
    """Say that the employer is the same as another, which is kept: its workplaces, slots, needs and
    agreements move there. Can be undone."""
    async with caller.begin() as session:
        made = await employers.merge(
            session,
            municipality=caller.municipality,
            own=caller.identity.municipalities,
            gone=employer_id,
            kept=merge.into,
            by=caller.identity.subject,
        )
        return MergeView.model_validate(made)


@router.get("/merges")
async def list_merges(caller: Coordinator, limit: Limit = 100, offset: Offset = 0) -> Listed[MergeView]:
    """Merges of employers in the stack, the latest first."""
    shown = select(EmployerMerge)  # a listed reference table: every municipality
    async with caller.begin() as session:
        rows, total = await page(
            session, shown, (EmployerMerge.merged_at.desc(), EmployerMerge.merge_id), limit, offset
        )
        return Listed(items=[MergeView.model_validate(r) for r in rows], total=total)


@router.post("/merges/{merge_id}/undo")
async def undo_merge(caller: Coordinator, merge_id: UUID) -> MergeView:
    """Part two employers that were merged by mistake."""
    async with caller.begin() as session:
        made = await employers.undo_merge(
            session,
            municipality=caller.municipality,
            own=caller.identity.municipalities,
            merge_id=merge_id,
        )
        return MergeView.model_validate(made)
