"""Employers and workplaces of a file."""

from collections.abc import Iterable, Mapping
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, literal, select

from kompetensnav_registry.actors.actions import employers, workplaces
from kompetensnav_registry.actors.domain.values import ContactValues, EmployerValues, WorkplaceValues
from kompetensnav_registry.actors.tables import Contact, Employer
from kompetensnav_registry.ledger.actions import ledger, listing
from kompetensnav_registry.ledger.tables.slots import Slot
from kompetensnav_registry.ledger.tables.workplaces import Workplace
from kompetensnav_registry.people.actions.imports.batch import Batch, by_ref, write_changes
from kompetensnav_registry.people.actions.imports.rows import EmployerRow, WorkplaceRow


async def take_employers(batch: Batch, rows: list[tuple[int, EmployerRow]]) -> None:
    """Employers of a file; one that is there already is corrected."""
    there = await _employers(batch, (row.org_number for _, row in rows))
    batch.faults.raise_any()
    renamed: dict[UUID, str] = {}
    for _, row in rows:
        old = there.get(row.org_number)
        if old is None:
            employers.add_employer(
                batch.session,
                municipality=batch.municipality,
                org_number=row.org_number,
                about=cast(EmployerValues, row.model_dump(exclude={"org_number"})),
            )
            batch.counts["created"] += 1
        elif old.org_number != row.org_number:
            batch.counts["unchanged"] += 1  # merged into another registration, which stays as it is
        else:
            before = old.name
            batch.counts[write_changes(old, row.model_dump(exclude={"org_number"}, exclude_unset=True))] += 1
            if old.name != before:
                renamed[old.employer_id] = old.name
    for employer_id, name in renamed.items():
        await employers.rename(batch.session, employer_id=employer_id, name=name)


async def _employers(batch: Batch, numbers: Iterable[str]) -> dict[str, Employer]:
    """Organisation number -> the employer; of a merged one, the one that was kept."""
    found = await batch.session.scalars(select(Employer).where(Employer.org_number.in_(set(numbers))))
    return {str(row.org_number): await employers.kept(batch.session, row) for row in found.all()}


async def take_workplaces(batch: Batch, rows: list[tuple[int, WorkplaceRow]]) -> None:
    """Workplaces of a file with their contacts; capacity never falls below what is held."""
    found = await _employers(batch, (row.org_number for _, row in rows))
    employer_ids = {number: row.employer_id for number, row in found.items()}
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
            select(Contact).where(
                Contact.municipality == batch.municipality,
                Contact.role == "employer",
                Contact.is_main,
                Contact.workplace_id
                == any_(literal([old.workplace_id for old in there.values()], ARRAY(Uuid))),
            )
        )
    }
    batch.faults.raise_any()
    moved: list[UUID] = []
    for _, row in rows:
        old = there.get(row.ref)
        values = row.model_dump(exclude={"org_number"})
        if old is None:
            workplaces.add_workplace(
                batch.session,
                municipality=batch.municipality,
                employer_id=employer_ids[row.org_number],
                ref=row.ref,
                contact=cast(ContactValues, _of_contact(values)),
                about=cast(WorkplaceValues, values),
            )
            batch.counts["created"] += 1
            continue
        before = (old.name, old.locality)
        changed = write_changes(old, {k: values[k] for k in ("name", "locality", "reception_capacity")})
        if (old.name, old.locality) != before:
            moved.append(old.workplace_id)
        said = {k: v for k, v in values.items() if k in row.model_fields_set}
        also = write_changes(contacts[old.workplace_id], _of_contact(said))
        batch.counts["changed" if "changed" in (changed, also) else "unchanged"] += 1
        if old.workplace_id in accounts.ledgers:
            accounts.ledgers[old.workplace_id].capacity = row.reception_capacity
    await accounts.settle(batch.session)
    if moved:
        offered = await batch.session.scalars(
            select(Slot.slot_id).where(
                Slot.workplace_id.in_(moved),
                Slot.municipality == batch.municipality,
                Slot.withdrawn_at.is_(None),
            )
        )
        await listing.show_again(batch.session, municipality=batch.municipality, slot_ids=offered)


def _of_contact(values: Mapping[str, object]) -> dict[str, object]:
    return {k.removeprefix("contact_"): v for k, v in values.items() if k.startswith("contact_")}


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
