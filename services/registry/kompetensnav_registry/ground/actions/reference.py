"""Reference data taken in from official exports: what is new is added, what has changed corrected; nothing is
deleted, for slots may name it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from kompetensnav_chassis.db import Session
from kompetensnav_registry.ground.edges import taxonomy
from kompetensnav_registry.ground.tables.reference import (
    ClassificationCode,
    Locality,
    Occupation,
    OccupationGroup,
    PostalCode,
    Substitution,
)

CHUNK = 1_000

Progress = Callable[[str, int, int], None]
"""Told (what, rows done, rows in all) as it goes."""


async def take_taxonomy(session: Session, folder: Path, progress: Progress) -> dict[str, int]:
    """JobTech's taxonomy; table -> rows. Raises BadExport."""
    groups, occupations = taxonomy.groups(folder)
    parts: list[tuple[str, Any, list[taxonomy.Row], list[str]]] = [
        ("occupation groups", OccupationGroup, groups, ["code"]),
        ("occupations", Occupation, occupations, ["concept_id"]),
        ("relations", Substitution, taxonomy.substitutions(folder), ["wanted", "substitute"]),
        ("codes", ClassificationCode, taxonomy.codes(folder), ["classification", "code"]),
    ]
    return {what: await _write(session, what, table, rows, key, progress) for what, table, rows, key in parts}


async def take_places(
    session: Session, localities: Path | None, postal_codes: Path | None, progress: Progress
) -> dict[str, int]:
    """Localities and postal codes; table -> rows. Raises BadExport."""
    done = {}
    if localities:
        rows = taxonomy.places(localities)
        done["localities"] = await _write(session, "localities", Locality, rows, ["code"], progress)
    if postal_codes:
        rows = taxonomy.posts(postal_codes)
        done["postal codes"] = await _write(
            session, "postal codes", PostalCode, rows, ["postal_code"], progress
        )
    return done


async def _write(
    session: Session,
    what: str,
    table: Any,
    rows: Sequence[taxonomy.Row],
    key: list[str],
    progress: Progress,
) -> int:
    if not rows:
        return 0
    new = insert(table)
    others = {name: new.excluded[name] for name in rows[0] if name not in key}
    statement = new.on_conflict_do_update(index_elements=key, set_=others)
    for start in range(0, len(rows), CHUNK):
        await session.execute(statement, list(rows[start : start + CHUNK]))
        progress(what, min(start + CHUNK, len(rows)), len(rows))
    return len(rows)
