"""The page on which an employer offers last period's slots again, with everything filled in."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from kompetensnav_chassis.db import EVERYONE, transaction
from kompetensnav_chassis.errors import NotFound, Problem
from kompetensnav_chassis.identity import open_to_all
from kompetensnav_registry.actors.actions import repeat_slots
from kompetensnav_registry.actors.actions.repeat_slots import Filled
from kompetensnav_registry.ground.pages.frame import PAGES, fault_of, from_our_own_page, gone, links_of

router = APIRouter(dependencies=[Depends(open_to_all)], include_in_schema=False)

MOST = 1_000


@router.get("/answer/again/{token}")
async def show(request: Request, token: str) -> HTMLResponse:
    """The slots, filled in."""
    return await _page(request, token, None)


@router.post("/answer/again/{token}")
async def send(request: Request, token: str) -> HTMLResponse:
    """Posts what was kept of them."""
    from_our_own_page(request)
    return await _page(request, token, dict(await request.form()))


async def _page(request: Request, token: str, form: Mapping[str, Any] | None) -> HTMLResponse:
    # The link itself is the authority, for just the workplace and the slots it names.
    async with transaction(request.app.state.sessions, EVERYONE) as session:
        try:
            purpose = links_of(request).read(token, "again")
            workplace_id, asking_id = UUID(str(purpose.workplace_id)), UUID(str(purpose.asking_id))
            row, place = await repeat_slots.find_asking(
                session, workplace_id=workplace_id, asking_id=asking_id, lock=form is not None
            )
        except NotFound as bad:
            return gone(request, bad)
        filled = await repeat_slots.filled_in(session, row)
        posted, wrong, is_first = 0, None, form is not None and not row.answered_at
        if form is not None and is_first:
            try:
                chosen = [_read(slot, form) for slot in filled if f"keep-{slot.before.slot_id}" in form]
                posted = len(await repeat_slots.offer_again(session, row=row, workplace=place, chosen=chosen))
            except Problem as bad:
                wrong = fault_of(request, bad)
        return PAGES.render(
            request, "again.html", 422 if wrong else 200, municipality=place.municipality, slots=filled,
            workplace=place.name, posted=posted, wrong=wrong, sent=is_first and not wrong, form=form or {},
            answered=bool(row.answered_at) and not wrong,
        )  # fmt: skip


def _read(slot: Filled, form: Mapping[str, Any]) -> Filled:
    id = slot.before.slot_id
    field = f"starts-{id}"
    try:
        starts_on = date.fromisoformat(str(form[field]))
        field = f"ends-{id}"
        ends_on = date.fromisoformat(str(form[field]))
        field = f"seats-{id}"
        seats = int(str(form[field]))
    except (KeyError, ValueError) as bad:
        raise Problem(
            "A day is written 2027-09-06 and seats as a number.",
            "Skriv dag som 2027-09-06 och antal som tal.",
            errors=[{"where": field}],
        ) from bad
    if not 1 <= seats <= MOST or ends_on < starts_on or ends_on.year > 2100:
        raise Problem(
            f"There are 1 to {MOST} seats, and the last day is not before the first.",
            f"Antalet är 1 till {MOST}, och sista dagen är inte före den första.",
            errors=[{"where": field if not 1 <= seats <= MOST else f"ends-{id}"}],
        )
    return Filled(slot.before, starts_on, ends_on, seats)
