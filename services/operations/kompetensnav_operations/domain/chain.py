"""The audit is a chain: each entry is sealed with the seal of the one before it, so that whoever changes,
takes away, adds or moves one breaks every seal after it. What the end was is published outside the database
as well, so that a cut end is seen."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

FIRST = "0" * 64
"""What stands for the seal before the first entry."""


@dataclass(frozen=True)
class Entry:
    """Who did what, to what, when, why, and what came of it. `at` in ISO 8601 with microseconds, UTC."""

    number: int
    at: str
    actor: str
    roles: tuple[str, ...]
    act: str
    target: str
    reason: str
    result: str
    detail: Mapping[str, Any]
    previous: str
    seal: str


def seal(entry: Entry) -> str:
    """SHA-256, hexadecimal, of everything in the entry but its seal."""
    said = {
        "number": entry.number,
        "at": entry.at,
        "actor": entry.actor,
        "roles": list(entry.roles),
        "act": entry.act,
        "target": entry.target,
        "reason": entry.reason,
        "result": entry.result,
        "detail": entry.detail,
        "previous": entry.previous,
    }
    return hashlib.sha256(
        json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    ).hexdigest()


@dataclass(frozen=True)
class Break:
    """An entry that does not fit, and why."""

    number: int
    why: str


def breaks(entries: Iterable[Entry], anchors: Mapping[int, str]) -> list[Break]:
    """Where the chain is broken; empty when it holds. `anchors`: number -> seal, as told elsewhere."""
    found: list[Break] = []
    expected, previous, seals = 1, FIRST, {}
    for entry in entries:
        if entry.number != expected:
            found.append(Break(expected, f"is missing: the next one there is {entry.number}"))
        if entry.previous != previous:
            found.append(Break(entry.number, "does not follow the entry before it"))
        if entry.seal != seal(entry):
            found.append(Break(entry.number, "is not as it was written"))
        expected, previous = entry.number + 1, entry.seal
        seals[entry.number] = entry.seal
    for number, anchored in sorted(anchors.items()):
        if number not in seals:
            found.append(Break(number, "was anchored, and is not there"))
        elif seals[number] != anchored:
            found.append(Break(number, "is another than the one that was anchored"))
    return found
