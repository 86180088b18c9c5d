"""Employers: registered, changed, and two registrations of one employer made one (or two again)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import func, select, update

from kompetensnav_chassis.db import EVERYONE, Session, rescope
from kompetensnav_chassis.errors import Conflict, Forbidden, NotFound
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import EmployerMerged, EmployerParted, EmployerRegistered
from kompetensnav_registry.actors.domain.values import EmployerValues
from kompetensnav_registry.actors.tables import (
    CooperationAgreement,
    Demand,
    Employer,
    EmployerMerge,
    SoleTrader,
)
from kompetensnav_registry.ground.domain.editing import change
from kompetensnav_registry.ground.edges.numbers import is_sole_trader
from kompetensnav_registry.ground.edges.seal import Seal
from kompetensnav_registry.ledger.actions import slots
from kompetensnav_registry.ledger.actions.listing import query_of
from kompetensnav_registry.ledger.tables.listing import Listing
from kompetensnav_registry.ledger.tables.slots import Slot
from kompetensnav_registry.ledger.tables.workplaces import Workplace

UNNAMED = "Enskild firma"
"""What a sole trader is called in the listed table: the name of the firm may be the person's."""

OF_AN_EMPLOYER: dict[str, tuple[Any, Any]] = {
    "workplace": (Workplace, Workplace.workplace_id),
    "slot": (Slot, Slot.slot_id),
    "demand": (Demand, Demand.demand_id),
    "cooperation_agreement": (CooperationAgreement, CooperationAgreement.agreement_id),
}
"""What hangs on an employer, and moves with it."""


async def register_employer(
    session: Session, *, municipality: str, org_number: str, name: str, seal: Seal, about: EmployerValues
) -> tuple[Employer, bool]:
    """The employer with that number, and whether it is new. A sole trader's number and name go into the
    vault."""
    if is_sole_trader(org_number):
        return await _register_sole_trader(session, municipality, org_number, name, seal, about)
    there = await session.scalar(select(Employer).where(Employer.org_number == org_number))
    if there:
        return await kept(session, there), False
    about = about | EmployerValues(name=name)
    made = add_employer(session, municipality=municipality, org_number=org_number, about=about)
    await session.flush()
    return made, True


async def _register_sole_trader(
    session: Session, municipality: str, org_number: str, name: str, seal: Seal, about: EmployerValues
) -> tuple[Employer, bool]:
    index = seal.index(municipality, org_number)
    there = await session.scalar(
        select(Employer)
        .join(SoleTrader, SoleTrader.employer_id == Employer.employer_id)
        .where(SoleTrader.blind_index == index, SoleTrader.municipality == municipality)
    )
    if there:
        return await kept(session, there), False
    row = add_employer(
        session,
        municipality=municipality,
        org_number=None,
        about=about | EmployerValues(name=UNNAMED, sni=None, employees=None),
        is_sole_trader=True,
    )
    await session.flush()
    sealed = seal.seal(municipality, str(row.employer_id), org_number)
    session.add(
        SoleTrader(
            employer_id=row.employer_id,
            municipality=municipality,
            name=name,
            sealed=sealed.sealed,
            wrapped_key=sealed.wrapped_key,
            blind_index=sealed.blind_index,
        )
    )
    return row, True


def add_employer(
    session: Session,
    *,
    municipality: str,
    org_number: str | None,
    about: EmployerValues,
    is_sole_trader: bool = False,
) -> Employer:
    """An employer that is known to be new; its name and sector are said."""
    row = Employer(
        employer_id=uuids.uuid7(),
        org_number=org_number,
        name=about["name"],
        sector=about["sector"],
        kind=about.get("kind", "company"),
        sni=about.get("sni"),
        employees=about.get("employees"),
        is_sole_trader=is_sole_trader,
        revision=1,
    )
    session.add(row)
    event = EmployerRegistered(
        employer_id=row.employer_id,
        org_number=org_number,
        sector=row.sector,
        kind=row.kind,
        sni=row.sni,
        employees=row.employees,
    )
    tell(session, event, municipality=municipality, revision=1)
    return row


async def find_employer(session: Session, *, employer_id: UUID, lock: bool = False) -> Employer:
    """The employer; the one that was kept, when it has been merged. Raises NotFound."""
    row = await session.get(Employer, employer_id, with_for_update=lock)
    if row is None:
        raise NotFound("There is no such employer.", "Det finns ingen sådan arbetsgivare.")
    return await kept(session, row)


async def kept(session: Session, row: Employer) -> Employer:
    """The employer, or the one it has been merged into."""
    while row.merged_into is not None:
        row = await session.get_one(Employer, row.merged_into)
    return row


async def change_employer(
    session: Session, *, employer_id: UUID, seen: int, changes: EmployerValues
) -> Employer:
    """Corrects an employer. A sole trader's name goes into the vault, and the trade and size of one are not
    kept. Raises NotFound, ChangedMeanwhile, Conflict for a merged one, or Forbidden for a sole trader of
    another municipality."""
    row = await session.get(Employer, employer_id, with_for_update=True)
    if row is None:
        raise NotFound("There is no such employer.", "Det finns ingen sådan arbetsgivare.")
    if row.merged_into:
        raise Conflict("It has been merged into another.", "Arbetsgivaren har gått upp i en annan.")
    if row.is_sole_trader:
        return await _change_sole_trader(session, row, seen, changes)
    if "name" in change(row, seen, changes):
        await rename(session, employer_id=employer_id, name=row.name)
    return row


async def _change_sole_trader(
    session: Session, row: Employer, seen: int, changes: EmployerValues
) -> Employer:
    person = await session.get(SoleTrader, row.employer_id, with_for_update=True)
    if person is None:  # row-level security shows one's own municipality's only
        raise Forbidden(
            "A sole trader is corrected by the municipality that registered them.",
            "En enskild firma rättas av den kommun som har registrerat den.",
        )
    listed = {k: v for k, v in changes.items() if k not in ("name", "sni", "employees")}
    changed = change(row, seen, listed)
    if changes.get("name", person.name) != person.name:
        person.name = changes["name"]
        row.revision += not changed
    return row


async def merge(
    session: Session, *, municipality: str, own: Sequence[str], gone: UUID, kept: UUID, by: str
) -> EmployerMerge:
    """Makes two registrations one: what hangs on `gone` hangs on `kept` from now on.

    The caller must act for every municipality with something that moves. Raises NotFound, Conflict or
    Forbidden.
    """
    if gone == kept:
        raise Conflict("It is the same registration.", "Det är samma registrering.")
    rows = {
        row.employer_id: row
        for row in await session.scalars(
            select(Employer)
            .where(Employer.employer_id.in_((gone, kept)))
            .order_by(Employer.employer_id)
            .with_for_update()
        )
    }
    if len(rows) < 2:
        raise NotFound("There is no such employer.", "Det finns ingen sådan arbetsgivare.")
    if rows[gone].merged_into or rows[kept].merged_into:
        raise Conflict("One of them has been merged already.", "En av dem har redan gått upp i en annan.")
    moved, where = await _hanging_on(session, gone)
    beyond = where - set(own)
    if beyond:
        raise Forbidden(
            f"It also has workplaces in {', '.join(sorted(beyond))}; somebody who acts there too must do it.",
            f"Den har arbetsställen även i {', '.join(sorted(beyond))}; den som är behörig där får göra det.",
        )
    await _move(session, moved, to=kept)
    rows[gone].merged_into, rows[gone].revision = kept, rows[gone].revision + 1
    published = await _published(session, gone)
    made = EmployerMerge(
        merge_id=uuids.uuid7(),
        kept=kept,
        gone=gone,
        moved=moved,
        municipalities=sorted(where),
        merged_by=by,
        merged_at=datetime.now(UTC),
    )
    session.add(made)
    event = EmployerMerged(employer_id=gone, kept_employer_id=kept)
    tell(session, event, municipality=municipality, revision=published + 1)
    return made


async def undo_merge(
    session: Session, *, municipality: str, own: Sequence[str], merge_id: UUID
) -> EmployerMerge:
    """Parts them again: just what was moved goes back. Raises NotFound, Conflict or Forbidden."""
    made = await session.get(EmployerMerge, merge_id, with_for_update=True)
    if made is None:
        raise NotFound("There is no such merge.", "Det finns ingen sådan sammanslagning.")
    if made.undone_at:
        raise Conflict("It has been undone already.", "Den är redan ångrad.")
    if not set(made.municipalities) <= set(own):
        raise Forbidden("It moved things in other municipalities too.", "Den rör även andra kommuner.")
    gone = await session.get_one(Employer, made.gone, with_for_update=True)
    kept = await session.get_one(Employer, made.kept, with_for_update=True)
    if gone.merged_into != made.kept or kept.merged_into:
        raise Conflict(
            "A later merge builds on it; undo that first.",
            "En senare sammanslagning bygger på den; ångra den först.",
        )
    published = await _published(session, made.gone)
    moved = dict(made.moved)
    since = await session.scalars(
        select(Slot.slot_id).where(
            Slot.workplace_id.in_([UUID(id) for id in moved["workplace"]]),
            Slot.municipality.in_(made.municipalities),
        )
    )
    # A workplace takes the slots with it that were posted since.
    moved["slot"] = sorted({*moved["slot"], *map(str, since)})
    await _move(session, moved, to=made.gone)
    gone.merged_into, gone.revision = None, gone.revision + 1
    made.undone_at = datetime.now(UTC)
    event = EmployerParted(employer_id=made.gone, kept_employer_id=made.kept)
    tell(session, event, municipality=municipality, revision=published + 1)
    return made


async def _published(session: Session, employer_id: UUID) -> int:
    """How many events of the employer were published: registered, then merged and parted in turn. Corrections
    are not published."""
    merges = await session.scalars(select(EmployerMerge.undone_at).where(EmployerMerge.gone == employer_id))
    return 1 + sum(2 if undone_at else 1 for undone_at in merges)


async def _hanging_on(session: Session, employer_id: UUID) -> tuple[dict[str, list[str]], set[str]]:
    """Table -> ids of what hangs on the employer, in the whole stack, and in which municipalities."""
    before = session.info["scope"]
    await rescope(session, EVERYONE)
    moved: dict[str, list[str]] = {}
    where: set[str] = set()
    for name, (table, key) in OF_AN_EMPLOYER.items():
        found = await session.execute(
            select(key, table.municipality).where(table.employer_id == employer_id).order_by(key)
        )
        rows = found.all()
        moved[name] = [str(id) for id, _ in rows]
        where |= {municipality for _, municipality in rows}
    await rescope(session, before)
    return moved, where


async def _move(session: Session, moved: dict[str, list[str]], to: UUID) -> None:
    for name, (table, key) in OF_AN_EMPLOYER.items():
        ids = [UUID(id) for id in moved.get(name, [])]
        if ids and table is not Slot:
            await session.execute(
                update(table)  # the municipalities that the caller was held against
                .where(key.in_(ids))
                .values(employer_id=to)
            )
    await slots.change_employer(session, [UUID(id) for id in moved.get("slot", [])], to=to)


async def find_employers(
    session: Session, *, words: str, limit: int, offset: int
) -> tuple[list[Employer], int]:
    """Employers by words of their names, the best first; those that were merged are left out."""
    query = query_of(words)
    fits = Employer.words.op("@@")(query)
    shown = select(Employer).where(fits, Employer.merged_into.is_(None))
    rows = await session.scalars(
        shown.order_by(func.ts_rank(Employer.words, query).desc(), Employer.name, Employer.employer_id)
        .limit(limit)
        .offset(offset)
    )
    total = await session.scalar(select(func.count()).select_from(shown.subquery()))
    return list(rows), total or 0


async def rename(session: Session, *, employer_id: UUID, name: str) -> None:
    """An employer is called something else."""
    await session.execute(
        update(Listing)  # in every municipality: the listing is free of row-level security
        .where(Listing.employer_id == employer_id)
        .values(employer=name)
    )
