"""Imports of files: all rows checked before any is written; the same file twice changes nothing."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel

from kompetensnav_chassis.db import Session
from kompetensnav_registry.actions.imports.actors import take_employers, take_workplaces
from kompetensnav_registry.actions.imports.batch import Batch
from kompetensnav_registry.actions.imports.learners import take_learners, take_requests
from kompetensnav_registry.actions.imports.rows import (
    EmployerRow,
    LearnerRow,
    RequestRow,
    SlotRow,
    WorkplaceRow,
)
from kompetensnav_registry.actions.imports.slots import take_slots
from kompetensnav_registry.edges.rows import Faults, read
from kompetensnav_registry.edges.seal import Seal


async def import_rows(
    session: Session,
    *,
    kind: str,
    text: str,
    municipality: str,
    administrations: frozenset[str],
    seal: Seal,
) -> dict[str, int]:
    """Imports a file; returns how many rows were created, changed and unchanged.

    `kind` is a key of KINDS. Raises BadRows with every fault, and then nothing is written.
    """
    batch = Batch(
        session, municipality, administrations, seal, Faults(), Counter(created=0, changed=0, unchanged=0)
    )
    row, work = KINDS[kind]
    rows = read(text, row, batch.faults)
    await work(batch, rows)
    batch.faults.raise_any()
    return dict(batch.counts)


Work = Callable[[Batch, Any], Awaitable[None]]
KINDS: dict[str, tuple[type[BaseModel], Work]] = {
    "employers": (EmployerRow, take_employers),
    "workplaces": (WorkplaceRow, take_workplaces),
    "slots": (SlotRow, take_slots),
    "learners": (LearnerRow, take_learners),
    "requests": (RequestRow, take_requests),
}
