"""Pages for employers and learners: answer an offer from a signed link, without an account.

Opening a link changes nothing; answers are sent from the page, and each can be given once.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import Select, select

from kompetensnav_chassis.codes import occupation_name
from kompetensnav_chassis.db import EVERYONE, Session, transaction
from kompetensnav_chassis.errors import Problem
from kompetensnav_chassis.identity import open_to_all
from kompetensnav_contracts.vocabulary import Party
from kompetensnav_registry.ground.actions import protected
from kompetensnav_registry.ground.edges.links import Purpose
from kompetensnav_registry.ground.pages.frame import PAGES, from_our_own_page, gone, links_of
from kompetensnav_registry.ground.tables.learners import Learner
from kompetensnav_registry.ledger.actions import offers
from kompetensnav_registry.ledger.domain.offers import NotYours, OfferIsSettled
from kompetensnav_registry.ledger.tables.offers import Offer
from kompetensnav_registry.ledger.tables.offers import Request as LearnerRequest
from kompetensnav_registry.ledger.tables.workplaces import Workplace

router = APIRouter(dependencies=[Depends(open_to_all)], include_in_schema=False)


@router.get("/answer/{token}")
async def show(request: Request, token: str) -> HTMLResponse:
    """The offers behind a link, and the questions."""
    return await _page(request, token, {})


@router.post("/answer/{token}")
async def send(request: Request, token: str) -> HTMLResponse:
    """Takes the answers; says what became of each."""
    from_our_own_page(request)
    form = await request.form()
    given = {name: str(value) for name, value in form.items() if name in form and value in ("yes", "no")}
    return await _page(request, token, given)


async def _page(request: Request, token: str, given: dict[str, str]) -> HTMLResponse:
    try:
        purpose = links_of(request).read(token)
    except Problem as bad:
        return gone(request, bad)
    results: dict[UUID, str] = {}
    # The link itself is the authority, for just the offers it names; they may belong to learners of several
    # municipalities and administrations, so the transaction's scope cannot be a token's.
    async with transaction(request.app.state.sessions, EVERYONE) as session:
        found = (await session.execute(_offers(purpose))).all()
        if given:
            await offers.lock_offers(session, [row for row, _, _ in found])
        found = [line for line in found if purpose.party in (*line[0].must_answer, *line[0].are_told)]
        for row, _, _ in found:
            if answer := given.get(f"offer-{row.offer_id}"):
                results[row.offer_id] = await _answer(session, row, purpose.party, answer)
        names = await _given_names(session, [row for row, _, _ in found], purpose.party)
        views = [_view(row, asked, purpose.party, names) for row, asked, _ in found]
        name = found[0][2] if found else ""
    views.sort(key=lambda view: (not view["open"], str(view["offer_id"])))
    status = 200 if found else 404
    return PAGES.render(
        request, "answer.html", status, municipality=found[0][0].municipality if found else "",
        offers=views, results=results, workplace=name, party=purpose.party,
    )  # fmt: skip


async def _answer(session: Session, row: Offer, party: str, answer: str) -> str:
    try:
        if answer == "yes":
            await offers.accept(session, offer=row, party=party)
        else:
            await offers.decline(session, offer=row, party=party)
    except (OfferIsSettled, NotYours):
        return "settled"
    return answer


def _offers(purpose: Purpose) -> Select[Offer, LearnerRequest, str]:
    """The offers behind a link, each with its request and the workplace's name."""
    found = (  # every municipality: a signed link
        select(Offer, LearnerRequest, Workplace.name)
        .join(LearnerRequest, LearnerRequest.request_id == Offer.request_id)
        .join(Workplace, Workplace.workplace_id == Offer.workplace_id)
        .where(protected.open_to_links(Offer))
        .order_by(Offer.offer_id)
    )
    if purpose.offer_id:
        return found.where(Offer.offer_id == purpose.offer_id)
    return found.where(Offer.workplace_id == purpose.workplace_id, Offer.round_id == purpose.round_id)


async def _given_names(session: Session, rows: Sequence[Offer], party: str) -> dict[UUID, str]:
    """What an employer may know once everything is agreed."""
    agreed = {row.learner_id for row in rows if row.state == "confirmed" and party == Party.EMPLOYER}
    if not agreed:
        return {}
    names = await session.execute(
        select(Learner.learner_id, Learner.given_name).where(  # every municipality: those of the offers above
            Learner.learner_id.in_(agreed), Learner.security_marking == "none"
        )
    )
    return {id: name for id, name in names}


def _view(row: Offer, asked: LearnerRequest, party: str, names: Mapping[UUID, str]) -> dict[str, Any]:
    """What the party may see."""
    is_employer = party == Party.EMPLOYER
    return {
        "offer_id": row.offer_id,
        "placement_type": row.placement_type,
        "occupation": occupation_name(row.occupation),
        "starts_on": row.starts_on,
        "ends_on": row.ends_on,
        "answer_by": row.answer_by,
        "state": row.state,
        "mine": row.answers.get(party),
        "has_a_say": party in row.must_answer,
        "open": row.state == "open" and party in row.must_answer and party not in row.answers,
        "needs": asked.needs if is_employer else [],
        "language": asked.language if is_employer else "",
        "given_name": names.get(row.learner_id),
    }
