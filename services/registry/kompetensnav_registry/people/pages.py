"""The page on which a party reads and signs the agreement of a placement."""

from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from kompetensnav_chassis.db import EVERYONE, transaction
from kompetensnav_chassis.errors import Problem
from kompetensnav_chassis.identity import open_to_all
from kompetensnav_registry.ground.actions import protected
from kompetensnav_registry.ground.pages.frame import PAGES, from_our_own_page, gone, links_of
from kompetensnav_registry.ledger.tables.offers import Offer, Placement
from kompetensnav_registry.people.actions import agreements
from kompetensnav_registry.people.domain.agreements import NotAParty, SignedAlready, places
from kompetensnav_registry.people.tables.agreements import PlacementAgreement

router = APIRouter(dependencies=[Depends(open_to_all)], include_in_schema=False)

LONGEST = 200


@router.get("/answer/sign/{token}")
async def show(request: Request, token: str) -> HTMLResponse:
    """The terms, and where to sign."""
    return await _page(request, token, "")


@router.post("/answer/sign/{token}")
async def send(request: Request, token: str) -> HTMLResponse:
    """Takes a signature."""
    from_our_own_page(request)
    form = await request.form()
    return await _page(request, token, " ".join(str(form.get("name", "")).split())[:LONGEST])


async def _page(request: Request, token: str, name: str) -> HTMLResponse:
    try:
        purpose = links_of(request).read(token, "sign")
    except Problem as bad:
        return gone(request, bad)
    # The link itself is the authority, for just the placement it names.
    async with transaction(request.app.state.sessions, EVERYONE) as session:
        found = await session.execute(
            select(PlacementAgreement, Offer)  # every municipality: a signed link
            .join(Placement, Placement.placement_id == PlacementAgreement.placement_id)
            .join(Offer, Offer.offer_id == Placement.offer_id)
            .where(
                PlacementAgreement.placement_id == purpose.placement_id, protected.open_to_links(Placement)
            )
            .with_for_update(of=PlacementAgreement)
        )
        line = found.first()
        if line is None:
            return gone(request)
        row, offer = line
        said = None
        if name:
            today = datetime.now(UTC).date()
            try:
                await agreements.sign(
                    session,
                    row=row,
                    party=purpose.party,
                    name=name,
                    signed_on=today,
                    outside_the_system=False,
                )
                await session.flush()
                said = "signed"
            except (SignedAlready, NotAParty):
                said = "already"
        signed = await agreements.signatures_of(session, row)
        given = {(s.party, s.place) for s in signed if s.of_revision == row.revision}
        wanted = {p for p in places(row.must_sign, row.second_signer) if p[0] == purpose.party}
        return PAGES.render(
            request, "sign.html", municipality=row.municipality, agreement=row, offer=offer, said=said,
            party=purpose.party, may_sign=bool(wanted - given), given=given,
        )  # fmt: skip
