"""Reports over HTTP, as JSON and CSV."""

import csv
import io
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from sqlalchemy import select
from starlette.responses import Response

from kompetensnav_chassis.db import Scope
from kompetensnav_chassis.errors import NotFound, Problem
from kompetensnav_chassis.identity import Caller, May
from kompetensnav_chassis.security import note
from kompetensnav_contracts.vocabulary import PlacementType
from kompetensnav_reporting import actions, domain
from kompetensnav_reporting.tables import PublishedReport

router = APIRouter(prefix="/{municipality}/reports")
Reader = Annotated[Caller, Depends(May("coordinator", "guidance_counsellor", "funder", "partner"))]
Coordinator = Annotated[Caller, Depends(May("coordinator"))]
STAFF = {"coordinator", "guidance_counsellor"}
Dimension = Literal["placement_type", "occupation", "week"]


class LineView(BaseModel):
    """One line; a suppressed count is null."""

    placement_type: str | None = None
    occupation: str | None = None
    week: str | None = None
    slots: int | None
    seats: int | None
    requests: int | None
    matched: int | None
    confirmed: int | None
    declined: int | None
    interrupted: int | None
    completed: int | None
    fill_rate: float | None
    placed_share: float | None
    median_days_to_place: float | None


class ReportView(BaseModel):
    """A report, and whether small counts are hidden in it."""

    municipality: str
    by: list[str]
    suppressed: bool
    lines: list[LineView]


class PublishedView(BaseModel):
    """A published report."""

    report_id: UUID
    up_to: date
    sha256: str
    content: dict[str, Any]


@router.get("/placements", response_model=None, responses={200: {"model": ReportView}})
async def placements(
    caller: Reader,
    by: Annotated[list[Dimension] | None, Query()] = None,
    first: Annotated[date | None, Query(description="First week.")] = None,
    last: Annotated[date | None, Query(description="Last week.")] = None,
    placement_type: Annotated[PlacementType | None, Query()] = None,
    every_administration: Annotated[
        bool, Query(description="Count all; small counts are then hidden.")
    ] = False,
    format: Annotated[Literal["json", "csv"], Query()] = "json",
) -> ReportView | Response:
    """Slots, seats, requests, matched, confirmed, declined, interrupted, completed, and what follows from
    them.

    Staff see exact numbers for the learners of their own administrations; everyone else, and every count
    over all administrations, has learner counts under five hidden. Hidden counts are chosen in the whole
    table, so there a limit can only leave out lines: it needs its dimension in `by`.
    """
    dimensions = list(dict.fromkeys(by or []))
    staff = bool(caller.identity.roles & STAFF)
    kind = placement_type and placement_type.value
    if staff and not every_administration:
        lines = await _count(
            caller, caller.identity.scope, dimensions, first=first, last=last, placement_type=kind
        )
        view = _view(caller, dimensions, lines, suppressed=False)
    else:
        for limit, dimension in ((first or last, "week"), (kind, "placement_type")):
            if limit and dimension not in dimensions:
                raise Problem(
                    f"With small counts hidden, ask by={dimension} to limit it.",
                    f"När små tal döljs krävs by={dimension} för att avgränsa.",
                )
        lines = await _suppressed(caller, dimensions, staff)
        view = _view(caller, dimensions, lines, suppressed=True)
        view.lines = [line for line in view.lines if _within(line, first, last, kind)]
    return _csv(view) if format == "csv" else view


@router.post("/placements/publish", status_code=201)
async def publish(caller: Coordinator) -> PublishedView:
    """Publish the report over all administrations, by placement type, with small counts hidden."""
    by = ["placement_type"]
    view = _view(caller, by, await _suppressed(caller, by, staff=False), suppressed=True)
    async with caller.begin() as session:
        row = await actions.publish(
            session, municipality=caller.municipality, content=view.model_dump(mode="json")
        )
        await session.flush()
        return PublishedView(report_id=row.report_id, up_to=row.up_to, sha256=row.sha256, content=row.content)


@router.get("/published/{report_id}")
async def show_published(caller: Reader, report_id: UUID) -> PublishedView:
    """A published report, as it was."""
    async with caller.begin() as session:
        row = await session.scalar(
            select(PublishedReport).where(
                PublishedReport.report_id == report_id, PublishedReport.municipality == caller.municipality
            )
        )
        if row is None:
            raise NotFound("There is no such report.", "Det finns ingen sådan rapport.")
        return PublishedView(report_id=row.report_id, up_to=row.up_to, sha256=row.sha256, content=row.content)


async def _count(caller: Caller, scope: Scope, by: list[Any], **limits: Any) -> list[domain.Line]:
    async with caller.begin(scope) as session:
        return await actions.report(session, municipality=caller.municipality, by=by, **limits)


async def _suppressed(caller: Caller, by: list[Any], staff: bool) -> list[domain.Line]:
    """Counted over all administrations, which needs all of their rows; what leaves here is suppressed. Staff
    know their own administrations' numbers exactly."""
    every = await _count(caller, Scope((caller.municipality,), (), ("*",)), by)
    own = await _count(caller, caller.identity.scope, by) if staff else []
    return domain.suppress(every, own)


def _within(line: LineView, first: date | None, last: date | None, placement_type: str | None) -> bool:
    week = date.fromisoformat(line.week) if line.week else None
    return (
        (first is None or (week is not None and week >= domain.monday(first)))
        and (last is None or (week is not None and week <= last))
        and (placement_type is None or line.placement_type == placement_type)
    )


def _view(caller: Caller, by: list[Any], lines: list[domain.Line], *, suppressed: bool) -> ReportView:
    return ReportView(
        municipality=caller.municipality,
        by=by,
        suppressed=suppressed,
        lines=[_line(by, line) for line in lines],
    )


def _line(by: list[str], line: domain.Line) -> LineView:
    return LineView(
        **dict(zip(by, line.key, strict=True)),
        **line.counts,
        fill_rate=line.fill_rate,
        placed_share=line.placed_share,
        median_days_to_place=line.median_days,
    )


def _csv(view: ReportView) -> Response:
    note("export")
    out = io.StringIO()
    columns = [*view.by, *(c for c in LineView.model_fields if c not in domain.DIMENSIONS)]
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for line in view.lines:
        values = line.model_dump()
        writer.writerow(
            {c: ("<5" if values[c] is None and c in domain.ABOUT_LEARNERS else values[c]) for c in columns}
        )
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8")
