"""The page of a round, for everybody: what was optimised, on which terms, who was served how, and where more
seats would help. It stands alone in one file, so that it can be kept and published as it is."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from kompetensnav_chassis.codes import occupation_name
from kompetensnav_chassis.identity import Caller, May, municipalities
from kompetensnav_matching.actions.questions import read_served, round_to_read
from kompetensnav_matching.domain import SMALLEST, few, shown
from kompetensnav_pages.pages import Pages

router = APIRouter(prefix="/{municipality}")
SHOWN = 12
"""Bars in the picture of bottlenecks."""
PAGES = Pages("kompetensnav_matching")


@router.get("/rounds/{round_id}/page", response_class=HTMLResponse)
async def show(
    request: Request,
    caller: Annotated[Caller, Depends(May("coordinator", "guidance_counsellor"))],
    round_id: UUID,
) -> HTMLResponse:
    """How the round was placed, as a page that may be published."""
    async with round_to_read(caller, round_id) as (session, row):
        served, by_hand = await read_served(session, row)
        every = row.bottlenecks or []
        found = [b for b in every if b["learners"] >= SMALLEST]
        return PAGES.render(
            request, "round.html", municipality=caller.municipality, alone=True, round=row, proof=row.proof,
            served=served, by_hand=by_hand, bottlenecks=found, bars=_bars(found), town=_town,
            fewer=len(every) - len(found), few=few, shown=shown,
        )  # fmt: skip


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
