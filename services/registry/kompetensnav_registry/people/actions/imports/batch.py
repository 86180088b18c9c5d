"""One import on its way: where it writes, what did not fit, and what was there before."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, String, any_, literal, select

from kompetensnav_chassis.db import Session
from kompetensnav_registry.ground.actions.locks import Lock, locked
from kompetensnav_registry.ground.edges.rows import Faults
from kompetensnav_registry.ground.edges.seal import Seal
from kompetensnav_registry.ground.tables.learners import Learner
from kompetensnav_registry.ledger.tables.offers import Request


@dataclass
class Batch:
    """One import on its way: where it writes, and what did not fit."""

    session: Session
    municipality: str
    administrations: frozenset[str]
    seal: Seal
    faults: Faults
    counts: Counter[str]
    by: str
    """Who imports."""

    def stays(self, line: int, column: str, value: str, before: Any, now: Any) -> None:
        """What another row hangs on is not moved by an import."""
        if before != now:
            self.faults.add(line, column, value, "is another one than before; it cannot be changed here")

    def mine(self, line: int, row: Any) -> None:
        """A learner's row may only be written for an administration of the token."""
        if row.administration not in self.administrations:
            self.faults.add(line, "administration", row.administration, "the token does not act for it")


async def by_ref(batch: Batch, table: Any, refs: Iterable[str], *, lock: Lock = None) -> dict[Any, Any]:
    """The municipality's rows with these references: by reference, or (administration, reference) where
    learners are concerned."""
    wanted = select(table).where(
        table.municipality == batch.municipality,
        table.ref == any_(literal(sorted(set(refs)), ARRAY(String))),
    )
    ids = table.__mapper__.primary_key
    rows = await batch.session.scalars(locked(wanted.order_by(*ids), lock))
    per_administration = table in (Learner, Request)
    return {((row.administration, row.ref) if per_administration else row.ref): row for row in rows}


def write_changes(row: Any, values: Mapping[str, object]) -> str:
    """Writes values into a row: `changed` or `unchanged`. Somebody who has the row before them is told when
    they save."""
    changed = {name for name, value in values.items() if getattr(row, name) != value}
    for name in changed:
        setattr(row, name, values[name])
    if changed and hasattr(row, "revision"):
        row.revision += 1
    return "changed" if changed else "unchanged"
