"""Search over HTTP: slots and employers by words, occupation, distance, week and free seats."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from kompetensnav_chassis.codes import Code, Day
from kompetensnav_chassis.errors import NotFound, Problem
from kompetensnav_chassis.paging import Limit, Listed, Offset
from kompetensnav_contracts.vocabulary import PlacementType
from kompetensnav_registry.actors.actions import employers
from kompetensnav_registry.actors.api.employers import EmployerView, named
from kompetensnav_registry.ground.api.views import Reader
from kompetensnav_registry.ledger.actions import listing
from kompetensnav_registry.ledger.actions.listing import Wanted
from kompetensnav_registry.ledger.domain.ledger import monday_of

router = APIRouter(prefix="/{municipality}/search")

Words = Annotated[str, Query(max_length=200, description="Swedish words; `or`, quotes and minus work.")]


class Hit(BaseModel):
    """A slot that fits, and how near it is."""

    slot_id: UUID
    municipality: str
    workplace_id: UUID
    employer_id: UUID
    employer: str
    workplace: str
    placement_type: str
    occupation: str
    occupation_name: str
    related: int | None
    locality: str
    starts_on: date
    ends_on: date
    seats_left: int
    description: str | None
    km: float | None


@router.get("/slots")
async def search_slots(
    caller: Reader,
    q: Words = "",
    occupation: Annotated[str | None, Query(pattern=r"^\d{4}$", description="SSYK 2012.")] = None,
    related: Annotated[bool, Query(description="Occupations near it too (substitutability).")] = False,
    placement_type: Annotated[PlacementType | None, Query()] = None,
    near: Annotated[Code | None, Query(description="A locality.")] = None,
    km: Annotated[float | None, Query(gt=0, le=2000)] = None,
    week: Annotated[Day | None, Query(description="Any day of a week it must cover.")] = None,
    seats: Annotated[int, Query(ge=0, le=10_000, description="Free seats, at least.")] = 1,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    offset: Offset = 0,
) -> Listed[Hit]:
    """Slots with free seats that one may use, in one's own municipalities and those that share; the nearest
    or best first."""
    if km is not None and near is None:
        raise Problem(
            "A distance is from somewhere: say `near`.", "Ett avstånd är från någonstans: ange `near`."
        )
    async with caller.begin() as session:
        at = await listing.place_of(session, near) if near else None
        if near and at is None:
            raise NotFound("There is no such locality.", "Det finns ingen sådan ort.")
        groups = {}
        if occupation:
            groups = await listing.related_to(session, occupation) if related else {occupation: 100}
        wanted = Wanted(
            words=q,
            occupation=occupation,
            related=related,
            placement_type=placement_type.value if placement_type else None,
            latitude=at[0] if at else None,
            longitude=at[1] if at else None,
            km=km,
            week=monday_of(week) if week else None,
            seats=seats,
        )
        seen = listing.may_see(caller.identity.municipalities, caller.identity.administrations)
        rows, total = await listing.find(session, wanted, seen, groups, limit=limit, offset=offset)
    items = [
        Hit(
            **{name: getattr(row, name) for name in Hit.model_fields if hasattr(row, name)},
            municipality=row.home,
            related=groups.get(row.occupation) if occupation else None,
            km=round(distance, 1) if distance is not None else None,
        )
        for row, distance in rows
    ]
    return Listed(items=items, total=total)


@router.get("/employers")
async def search_employers(
    caller: Reader,
    q: Annotated[str, Query(min_length=1, max_length=200)],
    limit: Limit = 20,
    offset: Offset = 0,
) -> Listed[EmployerView]:
    """Employers by words of their names, the best first."""
    async with caller.begin() as session:
        rows, total = await employers.find_employers(session, words=q, limit=limit, offset=offset)
        return Listed(items=await named(session, caller.municipality, rows), total=total)
