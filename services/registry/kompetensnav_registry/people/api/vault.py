"""The vault over HTTP: found by number, protected learners, the fund's month files, access and erasure."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import select

from kompetensnav_chassis.codes import Administration, Code, Day, Name
from kompetensnav_chassis.db import nudge
from kompetensnav_chassis.errors import Problem
from kompetensnav_chassis.paging import Limit, Listed, Offset
from kompetensnav_chassis.security import note
from kompetensnav_registry.ground.actions import protected
from kompetensnav_registry.ground.api.views import (
    CaseWorker,
    Coordinator,
    Following,
    Reader,
    View,
    case_worker_of,
    page_of,
    seal_of,
)
from kompetensnav_registry.ground.edges.numbers import identity_number
from kompetensnav_registry.ground.tables.learners import Learner
from kompetensnav_registry.people.actions import erasure, esf, learners, marking
from kompetensnav_registry.people.api.learners import LearnerView, learner_of
from kompetensnav_registry.people.tables.vault import Erasure, EsfParticipation, Retention

router = APIRouter(prefix="/{municipality}")

Month = Annotated[str, Path(pattern=r"^20\d{2}-(0[1-9]|1[0-2])$")]

Project = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]

DocumentType = Literal[
    "view_log", "background_check", "document", "placement_agreement", "presence", "invitation"
]


class Number(BaseModel):
    """A number to look up; sent in the body, so that it reaches no address and no log."""

    identity_number: str = Field(max_length=20)


class Viewed(View):
    """Who has looked at a protected learner."""

    viewed_by: str
    what: str
    viewed_at: datetime


class HandOver(BaseModel):
    """Who takes over."""

    to: Name = Field(description="Subject of the other case worker.")


class NewParticipation(BaseModel):
    """A learner takes part in a project."""

    learner_id: UUID
    project: Code
    starts_on: Day
    ends_on: Day | None = None


class LastDay(BaseModel):
    """The last day of a participation."""

    ends_on: Day


class ParticipationView(View):
    """A learner in a project."""

    participation_id: UUID
    learner_id: UUID
    project: str
    starts_on: date
    ends_on: date | None


class MonthView(View):
    """A month's file as it was made; the file itself is only given when it is made."""

    month: str
    revision: int
    rows: int
    hours: Decimal
    send_again: bool
    made_at: datetime


class AnswerView(View):
    """What one service has answered."""

    service: str
    answer: str
    ground: str | None
    until: date | None
    rows: int
    answered_at: datetime


class ErasureView(View):
    """An erasure: who must answer, who has, and by when."""

    erasure_id: UUID
    learner_id: UUID
    requested_at: datetime
    answer_by: date
    asked: list[str]
    answers: list[AnswerView] = []
    waiting: list[str] = []
    overdue: bool = False


class Kept(BaseModel):
    """How long a type of document is kept, in an administration of one's own."""

    administration: Administration
    months: int = Field(ge=0, le=1200)
    decided_by: Name = Field(description="The decision's reference (gallringsbeslut).")


class RetentionView(View):
    """How long a type of document is kept, by which decision."""

    administration: str
    document_type: str
    months: int
    decided_by: str


@router.post("/learners/find")
async def find_by_number(request: Request, caller: Following, number: Number) -> Listed[LearnerView]:
    """The learner with a number, in one's own administrations."""
    try:
        wanted = identity_number(number.identity_number)
    except ValueError as bad:
        raise Problem(
            "It is not a valid personal, coordination or temporary number.",
            "Det är inget giltigt person-, samordnings- eller TF-nummer.",
        ) from bad
    worker = case_worker_of(caller)
    async with caller.begin() as session:
        found = await learners.by_number(
            session,
            municipality=caller.municipality,
            administrations=caller.identity.administrations,
            number=wanted,
            seal=seal_of(request),
        )
        rows = [row for row in found if row.security_marking == "none" or row.case_worker == worker]
        if worker:
            await protected.log_views(session, learners=rows, viewed_by=worker, what="found")
        return Listed(items=[LearnerView.model_validate(r) for r in rows], total=len(rows))


@router.get("/learners/{learner_id}/views")
async def list_views(caller: CaseWorker, learner_id: UUID) -> Listed[Viewed]:
    """Who has looked at a protected learner, the latest first."""
    async with caller.begin() as session:
        await learner_of(session, caller, learner_id)
        await session.flush()
        rows = await marking.views_of(session, municipality=caller.municipality, learner_id=learner_id)
        return Listed(items=[Viewed.model_validate(r) for r in rows], total=len(rows))


@router.post("/learners/{learner_id}/hand-over", status_code=204)
async def hand_over(caller: CaseWorker, learner_id: UUID, over: HandOver) -> None:
    """Let another case worker take over a protected learner."""
    async with caller.begin() as session:
        row = await marking.hand_over(
            session,
            municipality=caller.municipality,
            learner_id=learner_id,
            case_worker=caller.identity.subject,
            to=over.to,
        )
        await protected.log_views(
            session, learners=[row], viewed_by=caller.identity.subject, what="handed_over"
        )


@router.post("/participations", status_code=201)
async def join_project(caller: Coordinator, new: NewParticipation) -> ParticipationView:
    """Say that a learner takes part in a project that is counted to the European Social Fund."""
    async with caller.begin() as session:
        learner = await learners.find_learner(
            session, municipality=caller.municipality, learner_id=new.learner_id, lock="update"
        )
        row = await esf.join_project(
            session, learner=learner, project=new.project, starts_on=new.starts_on, ends_on=new.ends_on
        )
        return ParticipationView.model_validate(row)


@router.get("/participations")
async def list_participations(
    caller: Coordinator, limit: Limit = 100, offset: Offset = 0
) -> Listed[ParticipationView]:
    """Who takes part in projects, in one's own administrations."""
    shown = (
        select(EsfParticipation)
        .join(Learner, Learner.learner_id == EsfParticipation.learner_id)
        .where(EsfParticipation.municipality == caller.municipality, protected.shown_learner(None))
    )
    order = (EsfParticipation.starts_on, EsfParticipation.participation_id)
    return await page_of(caller, ParticipationView, shown, order, limit, offset)


@router.put("/participations/{participation_id}/end")
async def end_participation(caller: Coordinator, participation_id: UUID, last: LastDay) -> ParticipationView:
    """Say which day was a learner's last in a project, or correct it."""
    async with caller.begin() as session:
        row = await esf.end_participation(
            session,
            municipality=caller.municipality,
            participation_id=participation_id,
            ends_on=last.ends_on,
        )
        return ParticipationView.model_validate(row)


@router.get("/administrations/{administration}/projects/{project}/months")
async def list_months(
    caller: Coordinator, administration: Annotated[Administration, Path()], project: Project
) -> Listed[MonthView]:
    """The month files that have been made, and which must be sent again after a correction."""
    caller.acts_for(administration)
    async with caller.begin() as session:
        rows = await esf.months_of(session, caller.municipality, administration, project)
        return Listed(items=[MonthView.model_validate(r) for r in rows], total=len(rows))


@router.post("/administrations/{administration}/projects/{project}/months/{month}", response_class=Response)
async def make_month(
    request: Request,
    caller: Coordinator,
    administration: Annotated[Administration, Path()],
    project: Project,
    month: Month,
) -> Response:
    """Make the file of a month for SCB (CSV: month, project, number, first and last day, hours). Months are
    made in order; after a correction the header `Send-Again` names the later months to send again."""
    caller.acts_for(administration)
    async with caller.begin() as session:
        made = await esf.make_month(
            session,
            municipality=caller.municipality,
            administration=administration,
            project=project,
            month=month,
            seal=seal_of(request),
        )
        note("export")
        headers = {
            "content-disposition": f"attachment; filename={project}-{month}-{made.about.revision}.csv",
            "send-again": ", ".join(made.again),
        }
        return Response(made.text.encode("utf-8-sig"), media_type="text/csv", headers=headers)


@router.get("/learners/{learner_id}/access-export", response_class=Response)
async def export_access(request: Request, caller: Following, learner_id: UUID) -> Response:
    """Everything that is kept about a learner, to hand over to them (registerutdrag)."""
    async with caller.begin() as session:
        learner = await learner_of(session, caller, learner_id)
        export = await erasure.access_export(session, learner=learner, seal=seal_of(request))
    note("export")
    headers = {"content-disposition": f"attachment; filename={learner_id}.json"}
    return Response(erasure.as_json(export), media_type="application/json", headers=headers)


@router.post("/learners/{learner_id}/erasure", status_code=201)
async def request_erasure(request: Request, caller: Following, learner_id: UUID) -> ErasureView:
    """Forget a learner: the registry erases at once what no law keeps, and asks the other services."""
    async with caller.begin() as session:
        learner = await learner_of(session, caller, learner_id, lock="update")
        row = await erasure.request_erasure(
            session,
            learner=learner,
            requested_by=caller.identity.subject,
            now=datetime.now(UTC),
            seal=seal_of(request),
        )
        await session.flush()
        return await _erasure(session, caller, row.erasure_id)


async def _erasure(session: Any, caller: Any, erasure_id: UUID) -> ErasureView:
    row, answers = await erasure.find_erasure(
        session,
        municipality=caller.municipality,
        erasure_id=erasure_id,
        case_worker=case_worker_of(caller),
    )
    waiting = sorted(set(row.asked) - {a.service for a in answers})
    return ErasureView.model_validate(row).model_copy(
        update={
            "answers": [AnswerView.model_validate(a) for a in answers],
            "waiting": waiting,
            "overdue": bool(waiting) and row.answer_by < datetime.now(UTC).date(),
        }
    )


@router.get("/erasures")
async def list_erasures(caller: Following, limit: Limit = 100, offset: Offset = 0) -> Listed[ErasureView]:
    """The erasures of one's own administrations, the latest first."""
    shown = erasure.shown_erasures(caller.municipality, case_worker_of(caller))
    order = (Erasure.requested_at.desc(), Erasure.erasure_id)
    return await page_of(caller, ErasureView, shown, order, limit, offset)


@router.get("/erasures/{erasure_id}")
async def show_erasure(caller: Following, erasure_id: UUID) -> ErasureView:
    """An erasure with every service's answer."""
    async with caller.begin() as session:
        return await _erasure(session, caller, erasure_id)


@router.put("/retention/{document_type}")
async def decide_retention(caller: Coordinator, document_type: DocumentType, kept: Kept) -> RetentionView:
    """Record how long one's own administration keeps a type of document; what nobody has decided about is
    kept."""
    note("retention")
    caller.acts_for(kept.administration)
    key = (caller.municipality, kept.administration, document_type)
    async with caller.begin() as session:
        row = await session.get(Retention, key, with_for_update=True)
        if row is None:
            row = Retention(
                municipality=caller.municipality,
                administration=kept.administration,
                document_type=document_type,
                revision=0,
            )
            session.add(row)
        row.months, row.decided_by, row.revision = kept.months, kept.decided_by, row.revision + 1
        nudge(session, erasure.FORGET)
        return RetentionView.model_validate(row)


@router.get("/retention")
async def list_retention(caller: Reader, limit: Limit = 100, offset: Offset = 0) -> Listed[RetentionView]:
    """How long each type of document is kept in one's own administrations."""
    shown = select(Retention).where(Retention.municipality == caller.municipality)
    order = (Retention.document_type, Retention.administration)
    return await page_of(caller, RetentionView, shown, order, limit, offset)
