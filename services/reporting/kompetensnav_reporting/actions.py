"""Reports: facts taken in, lines counted in the database, and reports published."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import uuid_utils.compat as uuids
from sqlalchemy import Date, bindparam, text
from sqlalchemy.dialects.postgresql import insert as upsert

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts import Event
from kompetensnav_contracts.events import registry as events
from kompetensnav_contracts.events.matching import LearnerMatched
from kompetensnav_contracts.events.reporting import ReportPublished
from kompetensnav_reporting import domain
from kompetensnav_reporting.tables import FactRow, PublishedReport

EVENTS: tuple[type[Event], ...] = (
    events.SlotPosted, events.SlotChanged, events.SlotWithdrawn, events.RequestOpened, events.RequestChanged,
    events.RequestClosed, LearnerMatched, events.OfferDeclined, events.OfferExpired,
    events.PlacementConfirmed, events.PlacementInterrupted, events.PlacementCompleted,
)  # fmt: skip


def fact(event: Any) -> domain.Fact:
    """The event as it is counted."""
    thing = event.slot_id if event.name.startswith("registry.slot") else event.request_id
    wishes = getattr(event, "wishes", ())
    occupation = getattr(event, "occupation", None) or next(
        (w.occupation for w in wishes if w.occupation), ""
    )
    starts_on: date = getattr(event, "starts_on", event.envelope.time.date())
    number = getattr(event, "seats", getattr(event, "days_to_place", 1))
    return domain.Fact(
        event_id=event.envelope.id,
        name=event.name,
        thing_id=thing,
        revision=event.envelope.revision,
        placement_type=event.placement_type,
        occupation=occupation or "",
        week=domain.monday(starts_on),
        number=number,
    )


async def take_in(session: Session, events: Sequence[Event]) -> None:
    """Adds a fact for each event."""
    rows = []
    for event in events:
        counted = fact(event)
        rows.append(
            {
                **{name: getattr(counted, name) for name in counted.__dataclass_fields__},
                "municipality": event.envelope.municipality,
                "administration": event.envelope.administration,
                "at": event.envelope.time,
            }
        )
    await session.execute(upsert(FactRow).on_conflict_do_nothing(), rows)


_LINES = """
with newest as (
    select distinct on (case when name like 'registry.slot%' then 'slots' else 'requests' end, thing_id) *
    from fact where municipality = :municipality and name = any(:states)
    order by case when name like 'registry.slot%' then 'slots' else 'requests' end, thing_id, revision desc
), counted as (
    select placement_type, occupation, week, 'slots' as measure, 1 as n, null::integer as days
    from newest where name in ('registry.slot.posted.v1', 'registry.slot.changed.v1')
    union all select placement_type, occupation, week, 'seats', number, null
    from newest where name in ('registry.slot.posted.v1', 'registry.slot.changed.v1')
    union all select placement_type, occupation, week, 'requests', 1, null
    from newest where name in ('registry.request.opened.v1', 'registry.request.changed.v1')
    union all select placement_type, occupation, week,
        case name when 'matching.learner.matched.v1' then 'matched'
                  when 'registry.placement.confirmed.v1' then 'confirmed'
                  when 'registry.placement.interrupted.v1' then 'interrupted'
                  when 'registry.placement.completed.v1' then 'completed' else 'declined' end,
        1, case name when 'registry.placement.confirmed.v1' then number end
    from fact where municipality = :municipality and name = any(:counted)
)
select {by} {measures},
    percentile_cont(0.5) within group (order by days) as median_days
from counted where (cast(:first as date) is null or week >= :first)
    and (cast(:last as date) is null or week <= :last)
    and (cast(:placement_type as text) is null or placement_type = :placement_type)
{group}
"""


async def report(
    session: Session,
    *,
    municipality: str,
    by: Sequence[str] = (),
    first: date | None = None,
    last: date | None = None,
    placement_type: str | None = None,
) -> list[domain.Line]:
    """The lines of the placement report, counted in the database; the scope decides whose learners are
    counted.

    `by`: dimensions out of `domain.DIMENSIONS`; `first` and `last`: weeks by their Monday.
    """
    unknown = set(by) - set(domain.DIMENSIONS)
    if unknown:
        raise ValueError(f"unknown dimension {unknown}")
    columns = ", ".join(by)
    measures = ", ".join(
        f"coalesce(sum(n) filter (where measure = '{m}'), 0) as {m}" for m in domain.MEASURES
    )
    statement = text(
        _LINES.format(
            by=f"{columns}," if by else "",
            measures=measures,
            group=f"group by {columns} order by {columns}" if by else "",
        )
    ).bindparams(bindparam("first", type_=Date), bindparam("last", type_=Date))
    rows = await session.execute(
        statement,
        {
            "municipality": municipality,
            "states": list(domain.STATES),
            "counted": list(domain.COUNTED),
            "first": first and domain.monday(first),
            "last": last,
            "placement_type": placement_type,
        },
    )
    lines = []
    for row in rows.mappings():
        key = tuple(str(row[dimension]) for dimension in by)
        counts: Mapping[str, int | None] = {m: int(row[m]) for m in domain.MEASURES}
        median = row["median_days"]
        lines.append(domain.Line(key, counts, None if median is None else float(median)))
    return lines


async def publish(session: Session, *, municipality: str, content: Mapping[str, object]) -> PublishedReport:
    """Keeps a (suppressed) report for ever and tells that it is there."""
    body = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    row = PublishedReport(
        report_id=uuids.uuid7(),
        municipality=municipality,
        kind="placements",
        up_to=datetime.now(UTC).date(),
        content=dict(content),
        sha256=hashlib.sha256(body).hexdigest(),
    )
    session.add(row)
    tell(
        session,
        ReportPublished(report_id=row.report_id, kind=row.kind, up_to=row.up_to, sha256=row.sha256),
        municipality=municipality,
        revision=1,
    )
    return row
