"""Employers and workplaces of a file."""

from typing import Any

from sqlalchemy import select

from kompetensnav_registry.actions import employers, ledger, workplaces
from kompetensnav_registry.actions.imports.batch import Batch, by_ref, write_changes
from kompetensnav_registry.actions.imports.rows import EmployerRow, WorkplaceRow
from kompetensnav_registry.tables import Contact, Employer, Workplace


async def take_employers(batch: Batch, rows: list[tuple[int, EmployerRow]]) -> None:
    """Employers of a file; one that is there already is corrected."""
    batch.once(rows, "org_number")
    there = {
        e.org_number: e
        for e in await batch.session.scalars(
            select(Employer).where(Employer.org_number.in_([r.org_number for _, r in rows]))
        )
    }
    batch.faults.raise_any()
    for _, row in rows:
        old = there.get(row.org_number)
        if old is None:
            employers.add_employer(batch.session, municipality=batch.municipality, **row.model_dump())
            batch.counts["created"] += 1
        else:
            batch.counts[write_changes(old, row.model_dump(exclude={"org_number"}))] += 1


async def take_workplaces(batch: Batch, rows: list[tuple[int, WorkplaceRow]]) -> None:
    """Workplaces of a file with their contacts; capacity never falls below what is held."""
    batch.once(rows, "ref")
    employer_ids = {
        number: id
        for number, id in (
            await batch.session.execute(
                select(Employer.org_number, Employer.employer_id).where(
                    Employer.org_number.in_([r.org_number for _, r in rows])
                )
            )
        ).all()
    }
    for line, row in rows:
        if row.org_number not in employer_ids:
            batch.faults.add(line, "org_number", row.org_number, "no such employer; import employers first")
    there = await by_ref(batch, Workplace, (row.ref for _, row in rows))
    accounts = await _accounts(batch, rows, there)
    for line, row in rows:
        if (old := there.get(row.ref)) and row.org_number in employer_ids:
            batch.stays(line, "org_number", row.org_number, old.employer_id, employer_ids[row.org_number])
            if old.workplace_id in accounts.ledgers:
                held = accounts.ledgers[old.workplace_id].busiest
                if row.reception_capacity < held:
                    reason = f"{held} seats are held in one week"
                    batch.faults.add(line, "reception_capacity", row.reception_capacity, reason)
    contacts = {
        c.workplace_id: c
        for c in await batch.session.scalars(
            select(Contact).where(Contact.municipality == batch.municipality, Contact.role == "employer")
        )
    }
    batch.faults.raise_any()
    for _, row in rows:
        old = there.get(row.ref)
        values = row.model_dump(exclude={"org_number"})
        if old is None:
            contact = {
                k.removeprefix("contact_"): values.pop(k) for k in list(values) if k.startswith("contact_")
            }
            workplaces.add_workplace(
                batch.session,
                municipality=batch.municipality,
                employer_id=employer_ids[row.org_number],
                contact=contact,
                **values,
            )
            batch.counts["created"] += 1
            continue
        changed = write_changes(old, {k: values[k] for k in ("name", "locality", "reception_capacity")})
        contact = {k.removeprefix("contact_"): v for k, v in values.items() if k.startswith("contact_")}
        also = write_changes(contacts[old.workplace_id], contact)
        batch.counts["changed" if "changed" in (changed, also) else "unchanged"] += 1
        if old.workplace_id in accounts.ledgers:
            accounts.ledgers[old.workplace_id].capacity = row.reception_capacity
    accounts.settle(batch.session)


async def _accounts(
    batch: Batch, rows: list[tuple[int, WorkplaceRow]], there: dict[Any, Workplace]
) -> ledger.Accounts:
    """The accounts of the workplaces whose capacity changes."""
    moved = {
        old.workplace_id: old.municipality
        for _, row in rows
        if (old := there.get(row.ref)) and old.reception_capacity != row.reception_capacity
    }
    return await ledger.open_accounts(batch.session, moved)
