"""Slots of a file."""

from typing import cast

from kompetensnav_registry.ground.domain.texts import ADVICE
from kompetensnav_registry.ground.edges.numbers import personal_parts
from kompetensnav_registry.ledger.actions import ledger, slots
from kompetensnav_registry.ledger.domain.slots import SlotValues
from kompetensnav_registry.ledger.tables.slots import Slot
from kompetensnav_registry.ledger.tables.workplaces import Workplace
from kompetensnav_registry.people.actions.imports.batch import Batch, by_ref
from kompetensnav_registry.people.actions.imports.rows import TERMS, SlotRow
from kompetensnav_registry.rules.edges import merged


async def take_slots(batch: Batch, rows: list[tuple[int, SlotRow]]) -> None:
    """Slots of a file; what was agreed stays while seats are taken."""
    workplaces = await by_ref(batch, Workplace, {row.workplace for _, row in rows})
    there = await by_ref(batch, Slot, (row.ref for _, row in rows))
    for line, row in rows:
        if row.workplace not in workplaces:
            batch.faults.add(line, "workplace", row.workplace, "no such workplace; import workplaces first")
        for part in personal_parts(row.description or ""):
            batch.faults.add(line, "description", "", ADVICE[part.what][0])
        old = there.get(row.ref)
        if old is not None and row.seats < old.taken:
            batch.faults.add(line, "seats", row.seats, f"{old.taken} seats are taken")
        if old is not None and old.taken:
            for column in sorted(slots.AGREED & row.model_fields_set):
                if getattr(row, column) != getattr(old, column):
                    batch.faults.add(line, column, getattr(row, column), f"{old.taken} seats are taken")
            if merged(old.terms, row.terms) != old.terms:
                batch.faults.add(line, "terms", "", f"{old.taken} seats are taken")
        if old is not None and row.workplace in workplaces:
            here = workplaces[row.workplace].workplace_id
            batch.stays(line, "workplace", row.workplace, old.workplace_id, here)
        if old is not None and old.withdrawn_at:
            batch.faults.add(line, "ref", row.ref, "the slot has been withdrawn")
    batch.faults.raise_any()
    asked = {row.workplace for _, row in rows}
    places = {w.workplace_id: w.municipality for ref, w in workplaces.items() if ref in asked}
    await ledger.lock_workplaces(batch.session, places)
    posted = []
    for _, row in rows:
        old = there.get(row.ref)
        apart = {"workplace", "ref", "starts_on", "ends_on", *TERMS}
        # Of a slot that is there, only what the file says is written.
        values = row.model_dump(mode="json", exclude=apart, exclude_unset=old is not None)
        terms = merged(old.terms if old else {}, row.terms)
        values |= {"starts_on": row.starts_on, "ends_on": row.ends_on, "terms": terms}
        if old is None:
            here = workplaces[row.workplace]
            posted.append(slots.post_slot(batch.session, workplace=here, ref=row.ref, **values))
            batch.counts["created"] += 1
            continue
        changes = {name: value for name, value in values.items() if getattr(old, name) != value}
        if changes:
            await slots.change_slot(
                batch.session,
                municipality=batch.municipality,
                slot_id=old.slot_id,
                changes=cast(SlotValues, changes),
            )
        batch.counts["changed" if changes else "unchanged"] += 1
    await ledger.settle_posted(batch.session, posted)
