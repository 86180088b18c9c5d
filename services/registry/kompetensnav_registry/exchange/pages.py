"""The page on which an employer answers about a learner from another stack, from a signed link."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from kompetensnav_chassis.db import EVERYONE, transaction
from kompetensnav_chassis.errors import Problem
from kompetensnav_chassis.identity import municipalities, open_to_all
from kompetensnav_registry.exchange.actions import guests
from kompetensnav_registry.ground.pages.frame import PAGES, from_our_own_page, gone, links_of
from kompetensnav_registry.ledger.tables.guests import Guest
from kompetensnav_registry.ledger.tables.slots import Slot
from kompetensnav_registry.ledger.tables.workplaces import Workplace

router = APIRouter(dependencies=[Depends(open_to_all)], include_in_schema=False)


@router.get("/answer/guest/{token}")
async def show(request: Request, token: str) -> HTMLResponse:
    """What is asked, and where it stands."""
    return await _page(request, token, "")


@router.post("/answer/guest/{token}")
async def send(request: Request, token: str) -> HTMLResponse:
    """Takes the answer."""
    from_our_own_page(request)
    form = await request.form()
    return await _page(request, token, str(form.get("answer", "")))


async def _page(request: Request, token: str, said: str) -> HTMLResponse:
    try:
        purpose = links_of(request).read(token, "guest")
    except Problem as bad:
        return gone(request, bad)
    # The link itself is the authority, for just the seat it names.
    async with transaction(request.app.state.sessions, EVERYONE) as session:
        result = ""
        found = (
            select(Guest, Slot, Workplace.name)  # every municipality: a signed link
            .join(Slot, Slot.slot_id == Guest.slot_id)
            .join(Workplace, Workplace.workplace_id == Guest.workplace_id)
            .where(Guest.reference == purpose.reference)
        )
        line = (await session.execute(found)).first()
        if line is None:
            return gone(request)
        guest, slot, place = line
        if said in ("yes", "no"):
            done = await guests.answer(
                session,
                reference=guest.reference,
                municipality=guest.municipality,
                says_yes=said == "yes",
            )
            result = said if done else "settled"
            await session.flush()
            await session.refresh(guest)
        sender = municipalities().get(guest.sent_by, guest.sent_by)
        return PAGES.render(
            request, "guest.html", municipality=guest.municipality, guest=guest, slot=slot, workplace=place,
            sender=sender, result=result, may_answer=guest.state == "held" and guest.answer_by is not None,
        )  # fmt: skip
