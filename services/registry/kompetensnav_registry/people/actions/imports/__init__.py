"""Imports of files: all rows checked before any is written; the same file twice changes nothing."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kompetensnav_chassis.db import Session
from kompetensnav_registry.ground.edges.numbers import masked
from kompetensnav_registry.ground.edges.rows import (
    SECRET,
    Fault,
    Faults,
    Row,
    check_names,
    mapping_of,
    names_columns,
    read,
)
from kompetensnav_registry.ground.edges.seal import Seal
from kompetensnav_registry.ground.edges.sheet import Sheet, open_sheet
from kompetensnav_registry.people.actions.imports.actors import take_employers, take_workplaces
from kompetensnav_registry.people.actions.imports.batch import Batch
from kompetensnav_registry.people.actions.imports.learners import take_learners, take_requests
from kompetensnav_registry.people.actions.imports.rows import (
    EmployerRow,
    LearnerRow,
    RequestRow,
    SlotRow,
    WorkplaceRow,
)
from kompetensnav_registry.people.actions.imports.slots import take_slots


@dataclass(frozen=True)
class File:
    """The rows of a file that fit, by their lines; and the faults of the others."""

    kind: str
    rows: list[tuple[int, Any]]
    faults: Faults


async def read_file(kind: str, content: bytes, mapping: Mapping[str, str] | None = None) -> File:
    """Reads a CSV or Excel file, beside what else the service does. `kind` is a key of KINDS; `mapping` names
    columns of the file as ours. Raises Problem for another format or encoding, BadRows for a bad header."""
    faults = Faults()
    row, _ = KINDS[kind]
    rows = await asyncio.to_thread(lambda: read(open_sheet(content), row, faults, mapping))
    return File(kind, rows, faults)


async def import_rows(
    session: Session,
    *,
    file: File,
    municipality: str,
    administrations: frozenset[str],
    seal: Seal,
    by: str,
) -> dict[str, int]:
    """Imports a file; returns how many rows were created, changed and unchanged. Raises BadRows with every
    fault, and then nothing is written."""
    counts = Counter(created=0, changed=0, unchanged=0)
    batch = Batch(session, municipality, administrations, seal, file.faults, counts, by)
    _, work = KINDS[file.kind]
    await work(batch, file.rows)
    batch.faults.raise_any()
    return dict(batch.counts)


@dataclass(frozen=True)
class Preview:
    """How a file would be read: its columns, what is missing, its first rows, what does not fit."""

    columns: dict[str, str | None]
    missing: list[str]
    rows: int
    first: list[dict[str, str]]
    faults: list[Fault]


async def preview(*, kind: str, content: bytes, mapping: Mapping[str, str]) -> Preview:
    """Reads a file and writes nothing; numbers of persons are blotted out. Raises Problem for another format
    or encoding."""
    return await asyncio.to_thread(_preview, KINDS[kind][0], content, mapping)


def _preview(row: type[Row], content: bytes, mapping: Mapping[str, str]) -> Preview:
    sheet = open_sheet(content)
    columns = mapping_of(sheet, row, mapping)
    if names_columns(columns, row):
        check_names(sheet)
    missing = [n for n, f in row.model_fields.items() if f.is_required() and n not in columns.values()]
    every = list(sheet.rows)
    first = [
        {
            ours: "•" * 8 if ours in SECRET and v.strip() else masked(v)
            for ours, v in zip(columns.values(), values, strict=False)
            if ours
        }
        for _, values in every[:5]
    ]
    faults = Faults()
    if not missing:
        left_out = {theirs: ours or "" for theirs, ours in columns.items()}
        read(Sheet(sheet.header, iter(every)), row, faults, left_out)
    columns = {masked(theirs): ours for theirs, ours in columns.items()}
    return Preview(columns, missing, len(every), first, faults.found[:20])


Work = Callable[[Batch, Any], Awaitable[None]]

KINDS: dict[str, tuple[type[Row], Work]] = {
    "employers": (EmployerRow, take_employers),
    "workplaces": (WorkplaceRow, take_workplaces),
    "slots": (SlotRow, take_slots),
    "learners": (LearnerRow, take_learners),
    "requests": (RequestRow, take_requests),
}
