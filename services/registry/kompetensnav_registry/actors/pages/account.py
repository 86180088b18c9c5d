"""A workplace's account as a page to print."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from kompetensnav_chassis.codes import Day
from kompetensnav_chassis.identity import Caller, May
from kompetensnav_registry.actors.actions.account import account_of, term
from kompetensnav_registry.ground.pages.frame import PAGES

router = APIRouter(prefix="/{municipality}")


@router.get("/workplaces/{workplace_id}/account/page", response_class=HTMLResponse)
async def show(
    request: Request,
    caller: Annotated[Caller, Depends(May("coordinator", "guidance_counsellor", "operator", "admin"))],
    workplace_id: UUID,
    starts_on: Annotated[Day | None, Query()] = None,
    ends_on: Annotated[Day | None, Query()] = None,
) -> HTMLResponse:
    """The ledger of a workplace over a period, to print; the current term when none is given."""
    first, last = term(datetime.now(UTC).date())
    first, last = starts_on or first, ends_on or last
    async with caller.begin() as session:
        account = await account_of(
            session,
            municipality=caller.municipality,
            workplace_id=workplace_id,
            starts_on=first,
            ends_on=last,
        )
        return PAGES.render(
            request, "account.html", municipality=caller.municipality, account=account, starts_on=first,
            ends_on=last,
        )  # fmt: skip
