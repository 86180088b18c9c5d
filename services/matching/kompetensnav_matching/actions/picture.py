"""What a round is solved from: learners, slots, travel, and what people have decided."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select

from kompetensnav_chassis.db import Session, among
from kompetensnav_matching import domain
from kompetensnav_matching.tables import (
    Forbidden,
    Locality,
    OpenRequest,
    Proposal,
    Round,
    TravelTime,
    open_requests,
    open_slots,
)


@dataclass(frozen=True)
class Picture:
    """A round as the rules see it."""

    rows: dict[UUID, OpenRequest]
    slots: list[domain.Slot]
    travel: domain.Travel
    terms: dict[str, Any]
    """What `domain.propose` takes beside these."""
    pinned: dict[UUID, str]
    """Request -> by whom, of what people keep."""

    @property
    def requests(self) -> list[domain.Request]:
        """The learners' requests."""
        return [row.request for row in self.rows.values()]


@dataclass(frozen=True)
class Solved:
    """A draft with what it was worked out from."""

    draft: domain.Draft
    requests: dict[UUID, OpenRequest]
    slots: list[domain.Slot]
    pinned: dict[UUID, str]


async def work_out(
    session: Session, row: Round, before: Sequence[Proposal] = (), *, lock: bool = False
) -> Solved:
    """Solves a round and writes nothing; `before` is its draft so far. `lock` holds the requests until the
    transaction ends."""
    seen = await read_picture(session, row, before, lock=lock)
    draft = await asyncio.to_thread(
        domain.propose, seen.requests, seen.slots, seen.travel, compare=row.repairs is None, **seen.terms
    )
    return Solved(draft, seen.rows, seen.slots, seen.pinned)


async def read_picture(
    session: Session, row: Round, before: Sequence[Proposal] = (), *, lock: bool = False
) -> Picture:
    """A repair looks only at learners who could want one of the slots that are left: nobody else can be
    placed by it."""
    slots = await free_slots(session, row)
    pinned = [p for p in before if p.pinned]
    asked = open_requests(row)
    if row.repairs:
        could = OpenRequest.wanted.overlap(domain.meets(slots))
        asked = asked.where(or_(could, among(OpenRequest.request_id, [p.request_id for p in pinned])))
    if lock:
        asked = asked.order_by(OpenRequest.request_id).with_for_update()
    rows = {r.request_id: r for r in await session.scalars(asked)}
    pairs = await session.execute(
        select(Forbidden.request_id, Forbidden.slot_id).where(
            among(Forbidden.request_id, rows), Forbidden.municipality.in_(row.municipalities)
        )
    )
    fixed = domain.that_fit(
        {p.request_id: p.slot_id for p in pinned if p.slot_id and p.request_id in rows}, slots
    )
    kept = {p.request_id: p.slot_id for p in before if p.slot_id and p.request_id not in fixed}
    if row.repairs:
        kept = {}  # solved again at every change, mostly unseen: the optimum of what is left
    travel = await read_travel(session, {r.locality for r in rows.values()} | {s.locality for s in slots})
    terms = {
        "forbidden": [(r, s) for r, s in pairs if fixed.get(r) != s],
        "fixed": fixed,
        "kept": kept,
        "mode": row.mode,
        "new_field": row.new_field_minutes,
        "seed": row.proof["seed"] if row.proof else None,
    }
    return Picture(rows, slots, travel, terms, {p.request_id: p.by for p in pinned if p.request_id in fixed})


async def read_draft(session: Session, row: Round) -> Sequence[Proposal]:
    """The rows of a round's draft."""
    found = await session.scalars(
        select(Proposal)
        .where(Proposal.round_id == row.round_id, Proposal.municipality.in_(row.municipalities))
        .order_by(Proposal.proposal_id)
    )
    return found.all()


async def free_slots(session: Session, row: Round) -> list[domain.Slot]:
    """Slots with the seats that are neither taken nor waited for; a repair needs only those with some."""
    found = await session.execute(open_slots(row))
    return [slot.with_seats(free) for slot, free in found if free or row.repairs is None]


async def read_travel(session: Session, localities: Collection[str]) -> domain.Travel:
    """The travel table between these localities."""
    places = await session.execute(
        select(Locality.locality, Locality.latitude, Locality.longitude).where(
            Locality.locality.in_(localities)
        )
    )
    if len(set(localities)) < 2:
        return domain.Travel({name: (latitude, longitude) for name, latitude, longitude in places}, {})
    times = await session.execute(
        select(TravelTime.home, TravelTime.work, TravelTime.minutes).where(
            TravelTime.home.in_(localities), TravelTime.work.in_(localities)
        )
    )
    return domain.Travel(
        {name: (latitude, longitude) for name, latitude, longitude in places},
        {(home, work): minutes for home, work, minutes in times},
    )
