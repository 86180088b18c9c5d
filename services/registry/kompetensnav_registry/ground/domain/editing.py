"""Two people at the same thing: the second is told."""

from collections.abc import Mapping
from typing import Any, Protocol


class ChangedMeanwhile(Exception):
    """Someone else has changed it since you looked. Look again, and change what is left to change. | Någon
    annan har ändrat sedan du tittade. Titta igen och ändra det som återstår."""


class Revised(Protocol):
    """A row that counts its changes."""

    revision: Any


def change(row: Revised, seen: int, values: Mapping[str, object]) -> set[str]:
    """Writes values into a locked row whose revision the editor has seen; the names that changed.

    Raises ChangedMeanwhile when the row is at another revision. A change of nothing counts as none.
    """
    if row.revision != seen:
        raise ChangedMeanwhile
    changed = {name for name, value in values.items() if getattr(row, name) != value}
    for name in changed:
        setattr(row, name, values[name])
    if changed:
        row.revision += 1
    return changed
