"""Rules that will change, and whom each touches, over HTTP."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from kompetensnav_chassis.codes import Day
from kompetensnav_chassis.paging import Listed
from kompetensnav_registry.ground.api.views import Reader
from kompetensnav_registry.ledger.actions import cases
from kompetensnav_registry.rules.api import RuleView

router = APIRouter(prefix="/{municipality}/rules")


class Touched(BaseModel):
    """How many a change touches that begin after it: of learners, those of one's own administrations."""

    requests: int
    slots: int
    placements: int


class ChangeView(BaseModel):
    """A rule that will be another, and whom that touches."""

    id: str
    before: RuleView | None
    after: RuleView | None
    touches: Touched


@router.get("/changes")
async def list_changes(caller: Reader, on: Annotated[Day, Query()]) -> Listed[ChangeView]:
    """What will be other on a day than it is today, and whom it touches."""
    async with caller.begin() as session:
        found = await cases.what_changes(
            session, municipality=caller.municipality, today=datetime.now(UTC).date(), on=on
        )
    items = [
        ChangeView(
            id=change.id,
            before=RuleView.of(change.before) if change.before else None,
            after=RuleView.of(change.after) if change.after else None,
            touches=Touched(**touches),
        )
        for change, touches in found
    ]
    return Listed(items=items, total=len(items))
