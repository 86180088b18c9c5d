"""Files over HTTP: CSV and Excel, with a preview; and pulls from school administrative systems."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request
from pydantic import AfterValidator, BaseModel, Field, HttpUrl, SecretStr
from sqlalchemy import select

from kompetensnav_chassis.bounds import takes
from kompetensnav_chassis.codes import Administration, Code, Name
from kompetensnav_chassis.errors import Problem
from kompetensnav_chassis.paging import Limit, Listed, Offset
from kompetensnav_registry.ground.api.views import Coordinator, View, page_of, seal_of
from kompetensnav_registry.ground.edges.rows import Fault
from kompetensnav_registry.people.actions import ss12000
from kompetensnav_registry.people.actions.imports import import_rows, preview, read_file
from kompetensnav_registry.people.tables.sources import Ss12000Source

router = APIRouter(prefix="/{municipality}")

Kind = Literal["employers", "workplaces", "slots", "learners", "requests"]

Content = Annotated[bytes, Body(media_type="text/csv")]

Mapping = Annotated[
    tuple[str, ...],
    Query(max_length=200, description="`THEIRS=ours` for a column of the file; `THEIRS=` leaves it out."),
]


class Imported(BaseModel):
    """How many rows became what."""

    created: int
    changed: int
    unchanged: int


class Previewed(BaseModel):
    """How a file would be read; nothing is written."""

    columns: dict[str, str | None] = Field(description="Column of the file -> ours; null = not recognised.")
    missing: list[str] = Field(description="Our columns that must be there and are not.")
    rows: int
    first: list[dict[str, str]]
    faults: list[Fault]


def _one_word(token: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[\x21-\x7e]+", token.get_secret_value()):
        raise ValueError("a token is one word of ASCII characters")
    return token


class NewSource(BaseModel):
    """A school administrative system that speaks SS 12000."""

    administration: Administration
    url: HttpUrl = Field(description="Base address; https, or http in a network that is named as its own.")
    token: Annotated[SecretStr, AfterValidator(_one_word)] = Field(max_length=4000)
    locality: Code = Field(description="Where learners are taken to live until something else is known.")
    case_worker: Name | None = Field(None, description="Who takes care of protected learners.")


class SourceView(View):
    """A source; its token is shown to nobody."""

    source_id: UUID
    administration: str
    url: str
    locality: str
    case_worker: str | None
    modified_after: datetime | None
    failed: list[str]
    pulled_at: datetime | None


class Pulled(BaseModel):
    """What a pull came to. A person that does not fit is named by the system's own id, never by values."""

    schools: int
    created: int
    changed: int
    unchanged: int
    left: int
    faults: list[dict[str, str]]


def _mapping(pairs: Sequence[str]) -> dict[str, str]:
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise Problem("A mapping is written THEIRS=ours.", "En kolumn anges som DERAS=vår.")
    return dict(pair.split("=", 1) for pair in pairs)


@router.post("/imports/{kind}")
@takes("import_bytes")
async def import_file(
    request: Request, caller: Coordinator, kind: Kind, content: Content, column: Mapping = ()
) -> Imported:
    """Import a CSV (UTF-8) or Excel file: all of it, or nothing. The same file twice changes nothing."""
    file = await read_file(kind, content, _mapping(column))
    async with caller.begin() as session:
        counts = await import_rows(
            session,
            file=file,
            municipality=caller.municipality,
            administrations=frozenset(caller.identity.administrations),
            seal=seal_of(request),
            by=caller.identity.subject,
        )
    return Imported(**counts)


@router.post("/imports/{kind}/preview")
@takes("import_bytes")
async def preview_file(caller: Coordinator, kind: Kind, content: Content, column: Mapping = ()) -> Previewed:
    """See how a file would be read: what its columns become, its first rows, and what does not fit."""
    found = await preview(kind=kind, content=content, mapping=_mapping(column))
    return Previewed(**vars(found))


@router.post("/sources", status_code=201)
async def add_source(request: Request, caller: Coordinator, new: NewSource) -> SourceView:
    """Register a school administrative system; its token goes into the vault."""
    caller.acts_for(new.administration)
    async with caller.begin() as session:
        row = await ss12000.add_source(
            session,
            municipality=caller.municipality,
            administration=new.administration,
            url=str(new.url),
            token=new.token.get_secret_value(),
            locality=new.locality,
            case_worker=new.case_worker,
            seal=seal_of(request),
            inside=request.app.state.networks,
        )
        return SourceView.model_validate(row)


@router.get("/sources")
async def list_sources(caller: Coordinator, limit: Limit = 100, offset: Offset = 0) -> Listed[SourceView]:
    """The school administrative systems of one's own administrations."""
    shown = select(Ss12000Source).where(Ss12000Source.municipality == caller.municipality)
    return await page_of(caller, SourceView, shown, Ss12000Source.source_id, limit, offset)


@router.post("/sources/{source_id}/pull")
async def pull_source(request: Request, caller: Coordinator, source_id: UUID) -> Pulled:
    """Pull what has changed since the last time: schools, learners, and who has left."""
    done = await ss12000.pull(
        request.app.state.sessions,
        caller.identity.scope,
        municipality=caller.municipality,
        source_id=source_id,
        seal=seal_of(request),
        inside=request.app.state.networks,
    )
    return Pulled(**vars(done))
