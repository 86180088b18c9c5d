"""The page of a round, for everybody: what was optimised, on which terms, who was served how, and where more
seats would help. It stands alone in one file, so that it can be kept and published as it is."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, select_autoescape

from kompetensnav_chassis.codes import occupation_name
from kompetensnav_chassis.identity import Caller, May, municipalities
from kompetensnav_matching.actions.questions import read_served, round_to_read
from kompetensnav_matching.domain import SMALLEST, few, shown
from kompetensnav_matching.edges.texts import texts

router = APIRouter(prefix="/{municipality}")
SHOWN = 12
"""Bars in the picture of bottlenecks."""
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=select_autoescape()
)
_templates.filters["number"] = lambda value: f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")


@router.get("/rounds/{round_id}/page", response_class=HTMLResponse)
async def show(
    caller: Annotated[Caller, Depends(May("coordinator", "guidance_counsellor"))],
    round_id: UUID,
    lang: Annotated[str, Query(pattern="^(sv|en)$")] = "sv",
) -> HTMLResponse:
    """How the round was placed, as a page that may be published."""
    page = _templates.get_template("round.html")
    async with round_to_read(caller, round_id) as (session, row):
        served, by_hand = await read_served(session, row)
        every = row.bottlenecks or []
        found = [b for b in every if b["learners"] >= SMALLEST]
        html = page.render(
            t=texts(lang)["page"], language=lang, round=row, proof=row.proof, served=served, by_hand=by_hand,
            bottlenecks=found, bars=_bars(found), town=_town, occupation=occupation_name,
            fewer=len(every) - len(found), few=few, shown=shown,
        )  # fmt: skip
    return HTMLResponse(html)


def _town(code: str) -> str:
    return municipalities().get(code, code)


def _bars(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The weightiest, with the length of each bar as a share of the longest."""
    longest = max((b["learners"] for b in found), default=1)
    return [
        {
            "label": f"{occupation_name(b['occupation'])}, {_town(b['municipality'])}",
            "week": b["week"],
            "learners": b["learners"],
            "share": b["learners"] / longest,
        }
        for b in found[:SHOWN]
    ]
