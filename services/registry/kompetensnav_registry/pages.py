"""Pages for employers and learners: answer an offer from a signed link, without an account.

Opening a link changes nothing; answers are sent from the page, and each can be given once.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, select_autoescape
from sqlalchemy import Select, select

from kompetensnav_chassis.db import EVERYONE, Session, transaction
from kompetensnav_chassis.errors import Forbidden, Problem
from kompetensnav_chassis.identity import open_to_all
from kompetensnav_contracts.vocabulary import Party
from kompetensnav_registry import domain
from kompetensnav_registry.actions import asks, offers
from kompetensnav_registry.edges.links import Links, Purpose
from kompetensnav_registry.edges.texts import TEXTS
from kompetensnav_registry.tables import Learner, Offer
from kompetensnav_registry.tables import Request as LearnerRequest

router = APIRouter(dependencies=[Depends(open_to_all)], include_in_schema=False)
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(),
)


@router.get("/answer/{token}")
async def show(request: Request, token: str) -> HTMLResponse:
    """The offers behind a link, and the questions."""
    return await _page(request, token, {})


@router.post("/answer/{token}")
async def send(request: Request, token: str) -> HTMLResponse:
    """Takes the answers; says what became of each."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("Answers are sent from our own page.", "Svar skickas från vår egen sida.")
    form = await request.form()
    given = {name: str(value) for name, value in form.items() if name in form and value in ("yes", "no")}
    return await _page(request, token, given)


async def _page(request: Request, token: str, given: dict[str, str]) -> HTMLResponse:
    language = _language(request)
    try:
        purpose = _links(request).read(token)
    except Problem as bad:
        return _render("gone.html", language, 404, why=bad.sv if language == "sv" else bad.en)
    results: dict[UUID, str] = {}
    # The link itself is the authority, for just the offers it names; they may belong to learners of several
    # municipalities and administrations, so the transaction's scope cannot be a token's.
    async with transaction(request.app.state.sessions, EVERYONE) as session:
        found = await session.scalars(_offers(purpose, lock=bool(given)))
        rows = [row for row in found if purpose.party in (*row.must_answer, *row.are_told)]
        for row in rows:
            if answer := given.get(f"offer-{row.offer_id}"):
                results[row.offer_id] = await _answer(session, row, purpose.party, answer)
        asked, names = await _learners(session, rows, purpose.party)
        views = [_view(row, purpose.party, asked, names) for row in rows]
        name = ""
        if rows:
            name = await asks.workplace_name(
                session, municipality=rows[0].workplace_municipality, workplace_id=rows[0].workplace_id
            )
    views.sort(key=lambda view: (not view["open"], str(view["offer_id"])))
    status = 200 if rows else 404
    return _render(
        "answer.html", language, status, offers=views, results=results, workplace=name, party=purpose.party
    )


async def _answer(session: Session, row: Offer, party: str, answer: str) -> str:
    try:
        if answer == "yes":
            await offers.accept(session, offer=row, party=party)
        else:
            await offers.decline(session, offer=row, party=party)
    except (domain.OfferIsSettled, domain.NotYours):
        return "settled"
    return answer


def _offers(purpose: Purpose, lock: bool) -> Select[Offer]:
    if purpose.offer_id:
        found = select(Offer).where(Offer.offer_id == purpose.offer_id)  # every municipality: a signed link
    else:
        found = select(Offer).where(  # every municipality: a signed link
            Offer.workplace_id == purpose.workplace_id, Offer.round_id == purpose.round_id
        )
    found = found.order_by(Offer.offer_id)
    return found.with_for_update() if lock else found


async def _learners(
    session: Session, rows: Sequence[Offer], party: str
) -> tuple[dict[UUID, LearnerRequest], dict[UUID, str]]:
    """What an employer may know: the requests, and given names where everything is agreed."""
    if party != Party.EMPLOYER or not rows:
        return {}, {}
    homes = {row.municipality for row in rows}
    asked = await session.scalars(
        select(LearnerRequest).where(
            LearnerRequest.request_id.in_({row.request_id for row in rows}),
            LearnerRequest.municipality.in_(homes),
        )
    )
    agreed = {row.learner_id for row in rows if row.state == "confirmed"}
    names = await session.execute(
        select(Learner.learner_id, Learner.given_name).where(
            Learner.learner_id.in_(agreed), Learner.municipality.in_(homes)
        )
    )
    return {row.request_id: row for row in asked}, {id: name for id, name in names}


def _view(
    row: Offer, party: str, asked: Mapping[UUID, LearnerRequest], names: Mapping[UUID, str]
) -> dict[str, Any]:
    """What the party may see: an employer sees the learner's given name only once everything is agreed."""
    request = asked.get(row.request_id)
    return {
        "offer_id": row.offer_id,
        "placement_type": row.placement_type,
        "occupation": row.occupation,
        "starts_on": row.starts_on,
        "ends_on": row.ends_on,
        "answer_by": row.answer_by,
        "state": row.state,
        "mine": row.answers.get(party),
        "open": row.state == "open" and party in row.must_answer and party not in row.answers,
        "needs": request.needs if request else [],
        "language": request.language if request else "",
        "given_name": names.get(row.learner_id),
    }


def _render(template: str, language: str, status: int, **values: Any) -> HTMLResponse:
    page = _templates.get_template(template)
    html = page.render(t=TEXTS[language], language=language, **values)
    return HTMLResponse(html, status)


def _language(request: Request) -> str:
    wanted = request.query_params.get("lang") or request.headers.get("accept-language", "sv")
    return "en" if wanted.lower().startswith("en") else "sv"


def _links(request: Request) -> Links:
    links: Links = request.app.state.links
    return links
