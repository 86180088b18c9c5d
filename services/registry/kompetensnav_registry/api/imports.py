"""CSV files over HTTP."""

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel

from kompetensnav_chassis.errors import Problem
from kompetensnav_registry.actions.imports import import_rows
from kompetensnav_registry.api.views import Coordinator, seal_of

router = APIRouter(prefix="/{municipality}/imports")


class Imported(BaseModel):
    """How many rows became what."""

    created: int
    changed: int
    unchanged: int


@router.post("/{kind}")
async def import_file(
    request: Request,
    caller: Coordinator,
    kind: Literal["employers", "workplaces", "slots", "learners", "requests"],
    content: Annotated[bytes, Body(media_type="text/csv")],
) -> Imported:
    """Import a UTF-8 CSV file: all of it, or nothing. The same file twice changes nothing."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as bad:
        raise Problem(
            f"The file is not UTF-8 (byte {bad.start}). Save it as CSV UTF-8.",
            f"Filen är inte UTF-8 (byte {bad.start}). Spara den som CSV UTF-8.",
        ) from bad
    async with caller.begin() as session:
        counts = await import_rows(
            session,
            kind=kind,
            text=text,
            municipality=caller.municipality,
            administrations=frozenset(caller.identity.administrations),
            seal=seal_of(request),
        )
    return Imported(**counts)
