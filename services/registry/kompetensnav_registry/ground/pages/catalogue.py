"""The page on which partners see what they can read: every public event, field by field, with an example."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse

import kompetensnav_contracts
from kompetensnav_chassis.errors import NotFound
from kompetensnav_chassis.identity import open_to_all
from kompetensnav_contracts import Event, subject
from kompetensnav_contracts.catalogue import catalogue, schema
from kompetensnav_registry.ground.pages.frame import PAGES

router = APIRouter(dependencies=[Depends(open_to_all)], include_in_schema=False)

EXAMPLES = Path(kompetensnav_contracts.__file__).parent / "examples"


@router.get("/catalogue")
async def show_catalogue(request: Request) -> HTMLResponse:
    """All of them; those of partners' packages that are installed here, too."""
    language = PAGES.language(request)
    events = [_shown(event, language) for event in _public().values()]
    return PAGES.render(request, "catalogue.html", events=events)


@router.get("/catalogue/{name}.json")
async def show_schema(name: str) -> JSONResponse:
    """The JSON Schema (2020-12) of a public event's body."""
    event = _public().get(name)
    if event is None:
        raise NotFound("There is no such public event.", "Det finns ingen sådan publik händelse.")
    return JSONResponse(schema(event), media_type="application/schema+json")


def _public() -> dict[str, type[Event]]:
    return {name: event for name, event in catalogue().items() if event.visibility == "pub"}


def _shown(event: type[Event], language: str) -> dict[str, Any]:
    example = min((EXAMPLES / event.name).glob("*.json"), default=None)
    return {
        "name": event.name,
        "anchor": event.name.replace(".", "-"),
        "what": (event.__doc__ or "").strip().splitlines()[0],
        "subject": subject(event).replace("*", "<kommun>" if language == "sv" else "<municipality>", 1),
        "fields": [
            {"name": name, "meaning": about.description, "needed": about.is_required()}
            for name, about in event.model_fields.items()
        ],
        "example": example.read_text().strip() if example else "",
    }
