"""The SCB month file of a project, from the vault: monthly, in order, and again after a correction."""

import csv
import hashlib
import hmac
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import select

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import Conflict, NotFound, Problem
from kompetensnav_registry.ground.actions import protected
from kompetensnav_registry.ground.edges.seal import Seal
from kompetensnav_registry.ground.tables.learners import Learner
from kompetensnav_registry.ledger.tables.offers import Placement, Presence
from kompetensnav_registry.people.domain.esf import (
    days_of,
    hours_in,
    may_make,
    month_of,
    next_month,
    to_send_again,
)
from kompetensnav_registry.people.tables.vault import EsfMonth, EsfParticipation

COLUMNS = ("month", "project", "identity_number", "starts_on", "ends_on", "hours")


@dataclass(frozen=True)
class MonthFile:
    """A file and how it stands."""

    about: EsfMonth
    text: str
    again: list[str]
    """Months that must be sent again after this one."""


async def join_project(
    session: Session, *, learner: Learner, project: str, starts_on: date, ends_on: date | None
) -> EsfParticipation:
    """A learner, whom the caller has locked, takes part in a project, in one at a time: an hour is counted to
    one. Raises Problem for a learner without any number, Conflict for overlapping participation, or for a
    protected learner, whom the case worker reports on paper."""
    if learner.security_marking != "none":
        raise Conflict(
            "A protected learner is in no file; report on paper.",
            "En skyddad person finns inte i någon fil; rapportera på papper.",
        )
    if learner.sealed is None:
        raise Problem(
            "The learner has no identity number; a temporary one (YYYYMMDD-TFnn) will do.",
            "Personen saknar nummer; ett TF-nummer (ÅÅÅÅMMDD-TFnn) räcker.",
        )
    if ends_on and ends_on < starts_on:
        raise Problem("The period ends before it begins.", "Perioden slutar innan den börjar.")
    made = EsfParticipation(
        participation_id=uuids.uuid7(),
        municipality=learner.municipality,
        administration=learner.administration,
        learner_id=learner.learner_id,
        project=project,
        starts_on=starts_on,
        ends_on=ends_on,
    )
    await _in_one_project(session, made)
    session.add(made)
    return made


async def _in_one_project(session: Session, part: EsfParticipation) -> None:
    """Raises Conflict where the learner takes part in something else in the same days."""
    there = await session.scalars(
        select(EsfParticipation).where(
            EsfParticipation.learner_id == part.learner_id,
            EsfParticipation.municipality == part.municipality,
            EsfParticipation.participation_id != part.participation_id,
        )
    )
    for row in there:
        if part.starts_on <= (row.ends_on or date.max) and row.starts_on <= (part.ends_on or date.max):
            raise Conflict(
                f"The learner takes part in {row.project} then already; end that first.",
                f"Personen deltar redan i {row.project} då; avsluta det först.",
            )


async def end_participation(
    session: Session, *, municipality: str, participation_id: UUID, ends_on: date
) -> EsfParticipation:
    """The last day of a learner in a project; it may be corrected. Raises NotFound, also for a protected
    learner's, Problem for a day before the first, or Conflict for overlapping participation."""
    row = await session.scalar(
        select(EsfParticipation)
        .join(Learner, Learner.learner_id == EsfParticipation.learner_id)
        .where(
            EsfParticipation.participation_id == participation_id,
            EsfParticipation.municipality == municipality,
            protected.shown_learner(None),
        )
        .with_for_update()
    )
    if row is None:
        raise NotFound("There is no such participation.", "Det finns inget sådant deltagande.")
    if ends_on < row.starts_on:
        raise Problem("The period ends before it begins.", "Perioden slutar innan den börjar.")
    row.ends_on = ends_on
    await _in_one_project(session, row)
    return row


async def make_month(
    session: Session, *, municipality: str, administration: str, project: str, month: str, seal: Seal
) -> MonthFile:
    """The file of a month. Raises OutOfOrder while an earlier month is not made, or Conflict for a project
    that nobody takes part in, or a month that is not over."""
    if month >= month_of(datetime.now(UTC).date()):
        raise Conflict("The month is not over yet.", "Månaden är inte slut än.")
    everyone = await _participations(session, municipality, administration, project)
    if not everyone:
        raise Conflict("Nobody takes part in the project.", "Ingen deltar i projektet.")
    made = {row.month: row for row in await months_of(session, municipality, administration, project)}
    may_make(month, made, month_of(min(p.starts_on for p, _ in everyone)))
    text, rows, hours = await _text(session, everyone, project, month, seal)
    key = seal.index(municipality, f"{project} {month}")
    digest = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    about = made.get(month)
    again: list[str] = []
    if about is None:
        about = EsfMonth(
            municipality=municipality,
            administration=administration,
            project=project,
            month=month,
            revision=0,
            digest="",
        )
        session.add(about)
    if about.digest != digest:
        if about.revision:
            again = to_send_again(month, list(made))
            for later in again:
                made[later].send_again = True
        about.revision += 1
    about.rows, about.hours, about.digest, about.send_again = rows, hours, digest, False
    about.made_at = datetime.now(UTC)
    return MonthFile(about, text, again)


async def months_of(
    session: Session, municipality: str, administration: str, project: str
) -> Sequence[EsfMonth]:
    """The months that have been made, in order."""
    rows = await session.scalars(
        select(EsfMonth)
        .where(
            EsfMonth.municipality == municipality,
            EsfMonth.administration == administration,
            EsfMonth.project == project,
        )
        .order_by(EsfMonth.month)
    )
    return rows.all()


async def first_month(session: Session, municipality: str, administration: str, project: str) -> str | None:
    """The month that comes next; None for a project that nobody takes part in."""
    made = await months_of(session, municipality, administration, project)
    if made:
        return next_month(made[-1].month)
    everyone = await _participations(session, municipality, administration, project)
    return month_of(min(p.starts_on for p, _ in everyone)) if everyone else None


async def _participations(
    session: Session, municipality: str, administration: str, project: str
) -> list[tuple[EsfParticipation, Learner]]:
    rows = await session.execute(
        select(EsfParticipation, Learner)
        .join(Learner, Learner.learner_id == EsfParticipation.learner_id)
        .where(
            EsfParticipation.municipality == municipality,
            EsfParticipation.administration == administration,
            EsfParticipation.project == project,
            Learner.security_marking == "none",
            Learner.sealed.is_not(None),
        )
        .order_by(EsfParticipation.starts_on, EsfParticipation.participation_id)
    )
    return [(participation, learner) for participation, learner in rows]


async def _text(
    session: Session,
    everyone: Sequence[tuple[EsfParticipation, Learner]],
    project: str,
    month: str,
    seal: Seal,
) -> tuple[str, int, Decimal]:
    first, last = days_of(month)
    there = [
        (p, learner)
        for p, learner in everyone
        if p.starts_on <= last and (p.ends_on is None or p.ends_on >= first)
    ]
    weeks: dict[UUID, dict[date, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    found = await session.execute(
        select(Placement.learner_id, Presence.week, Presence.hours)
        .join(Presence, Presence.placement_id == Placement.placement_id)
        .where(
            Placement.learner_id.in_({p.learner_id for p, _ in there}),
            Placement.municipality.in_({p.municipality for p, _ in there}),
        )
    )
    for learner_id, week, hours in found:
        weeks[learner_id][week] += hours
    rows: list[tuple[Any, ...]] = []
    total = Decimal(0)
    for participation, learner in there:
        assert learner.sealed is not None
        assert learner.wrapped_key is not None
        number = seal.open(learner.municipality, str(learner.learner_id), learner.sealed, learner.wrapped_key)
        hours = hours_in(
            month, weeks[learner.learner_id], since=participation.starts_on, until=participation.ends_on
        )
        total += hours
        rows.append((month, project, number, participation.starts_on, participation.ends_on or "", hours))
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(COLUMNS)
    rows.sort(key=lambda row: (row[2], row[3]))
    writer.writerows(rows)
    return out.getvalue(), len(rows), total
