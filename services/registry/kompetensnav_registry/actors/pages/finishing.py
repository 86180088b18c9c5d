"""The page on which an employer sees how many finish an education, and invites them to a visit."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from kompetensnav_chassis.db import EVERYONE, transaction
from kompetensnav_chassis.errors import Problem
from kompetensnav_chassis.identity import open_to_all
from kompetensnav_registry.actors.actions import needs
from kompetensnav_registry.ground.domain.finishing import Group, TooFew
from kompetensnav_registry.ground.pages.frame import PAGES, from_our_own_page, gone, links_of
from kompetensnav_registry.ledger.actions import listing

router = APIRouter(dependencies=[Depends(open_to_all)], include_in_schema=False)


@router.get("/answer/finishing/{token}")
async def show(request: Request, token: str) -> HTMLResponse:
    """How many finish, by occupation, town and half-year."""
    return await _page(request, token, [])


@router.post("/answer/finishing/{token}")
async def send(request: Request, token: str) -> HTMLResponse:
    """Invites the groups that were chosen."""
    from_our_own_page(request)
    form = await request.form()
    chosen = [str(value).split("|") for value in form.getlist("group")]
    return await _page(request, token, [Group(*parts) for parts in chosen if len(parts) == 3])


async def _page(request: Request, token: str, chosen: list[Group]) -> HTMLResponse:
    today = datetime.now(UTC).date()
    try:
        purpose = links_of(request).read(token, "finishing")
    except Problem as bad:
        return gone(request, bad)
    workplace_id = UUID(str(purpose.workplace_id))
    invited, too_few = 0, False
    # The link itself is the authority; what is read beyond the workplace's own municipality is only numbers.
    async with transaction(request.app.state.sessions, EVERYONE) as session:
        if chosen:
            try:
                made = await needs.invite(session, workplace_id=workplace_id, groups=chosen, today=today)
                invited = len(made)
            except TooFew:
                too_few = True
        groups = await needs.finishing(session, workplace_id=workplace_id, today=today)
        towns = await listing.names_of(session, {group.locality for group in groups})
    return PAGES.render(
        request,
        "finishing.html",
        409 if too_few else 200,
        groups=groups,
        invited=invited,
        too_few=too_few,
        towns=towns,
    )
