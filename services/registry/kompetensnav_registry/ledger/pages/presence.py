"""The page on which a supervisor or the school confirms presence and hours, week by week."""

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from kompetensnav_chassis.db import EVERYONE, transaction
from kompetensnav_chassis.errors import Problem
from kompetensnav_chassis.identity import open_to_all
from kompetensnav_registry.ground.actions import protected
from kompetensnav_registry.ground.pages.frame import PAGES, fault_of, from_our_own_page, gone, links_of
from kompetensnav_registry.ledger.actions import presence
from kompetensnav_registry.ledger.actions.presence import Week
from kompetensnav_registry.ledger.tables.offers import Offer, Placement
from kompetensnav_registry.ledger.tables.workplaces import Workplace

router = APIRouter(dependencies=[Depends(open_to_all)], include_in_schema=False)


@router.get("/answer/presence/{token}")
async def show(request: Request, token: str) -> HTMLResponse:
    """The weeks, and what has been confirmed."""
    return await _page(request, token, None)


@router.post("/answer/presence/{token}")
async def send(request: Request, token: str) -> HTMLResponse:
    """Confirms the weeks that are filled in."""
    from_our_own_page(request)
    form = await request.form()
    return await _page(request, token, {name: str(value).strip() for name, value in form.items()})


async def _page(request: Request, token: str, form: dict[str, str] | None) -> HTMLResponse:
    today = datetime.now(UTC).date()
    try:
        purpose = links_of(request).read(token, "presence")
    except Problem as bad:
        return gone(request, bad)
    # The link itself is the authority, for just the placement it names.
    async with transaction(request.app.state.sessions, EVERYONE) as session:
        found = await session.execute(
            select(Placement, Offer, Workplace.name)  # every municipality: a signed link
            .join(Offer, Offer.offer_id == Placement.offer_id)
            .join(Workplace, Workplace.workplace_id == Offer.workplace_id)
            .where(Placement.placement_id == purpose.placement_id, protected.open_to_links(Placement))
            .with_for_update(of=Placement)
        )
        line = found.first()
        if line is None:
            return gone(request)
        row, offer, place = line
        weeks = presence.weeks_to_confirm(row, today)
        wrong, saved = None, False
        if form is not None:
            try:
                said = _read(form, weeks)
                saved = bool(
                    await presence.confirm(
                        session, placement=row, weeks=said, party=purpose.party, today=today
                    )
                )
                await session.flush()
            except Problem as bad:
                wrong = fault_of(request, bad)
        there = {p.week: p for p in await presence.presence_of(session, row)}
        return PAGES.render(
            request, "presence.html", 422 if wrong else 200, municipality=offer.municipality, weeks=weeks,
            there=there, offer=offer, workplace=place, wrong=wrong, saved=saved,
            form=form if wrong and form else {},
        )  # fmt: skip


def _read(form: dict[str, str], weeks: list[date]) -> dict[date, Week]:
    said = {}
    for week in weeks:
        days, hours = form.get(f"days-{week}", ""), form.get(f"hours-{week}", "").replace(",", ".")
        if not days and not hours:
            continue
        try:
            read = Decimal(hours).quantize(Decimal("0.1"))
            if not read.is_finite():
                raise ValueError("no number of hours")
            said[week] = Week(int(days), read)
        except (ValueError, InvalidOperation) as bad:
            raise Problem(
                f"In the week of {week}, days and hours are numbers.",
                f"Veckan {week}: skriv dagar och timmar som tal.",
                errors=[{"where": f"{'hours' if days.isdecimal() else 'days'}-{week}"}],
            ) from bad
    return said
