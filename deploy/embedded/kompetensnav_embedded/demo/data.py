"""What a story needs: files to import, and what the round is for."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any


class CannotRead(Exception):
    """An input file is not there or does not fit; the message is one line for people."""


@dataclass
class Data:
    """Input of a story: CSV files by municipality and kind, in the order they are imported."""

    name: str
    lead: str
    placement_type: str
    starts_on: date
    ends_on: date
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    """Municipality -> kind -> CSV text."""
    localities: list[dict[str, Any]] = field(default_factory=list)
    standing_rule: bool = False

    @property
    def municipalities(self) -> list[str]:
        """Every municipality that takes part."""
        return sorted(self.files)

    def rows(self, kind: str) -> int:
        """How many rows there are of a kind."""
        return sum(files[kind].count("\n") - 1 for files in self.files.values())


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows as CSV text."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file. Raises CannotRead when it or a column is missing."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [c for c in columns if c not in (reader.fieldnames or [])]
            if missing:
                raise CannotRead(f"{path}: the column {missing[0]!r} is missing")
            return list(reader)
    except (OSError, UnicodeDecodeError) as bad:
        raise CannotRead(f"{path} cannot be read: {bad.__class__.__name__}") from bad


def org_number(n: int) -> str:
    """The n-th made-up organisation number of a limited company, with a right check digit (Luhn)."""
    digits = f"5599{n:05}"
    total = sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(digits))
    return digits + str(-total % 10)
