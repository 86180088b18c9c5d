"""CSV files: every row is checked before any is used, and each fault is told with line, column and value."""

import csv
import io
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kompetensnav_chassis.errors import BadRows
from kompetensnav_registry.edges.numbers import masked

R = TypeVar("R", bound=BaseModel)
MOST_FAULTS = 200


class Faults:
    """Collects what does not fit; `raise_any` raises BadRows with all of it."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []

    def add(self, line: int, column: str, value: Any, reason: str) -> None:
        """One fault: line 1 is the header. A person's number is never repeated."""
        if column == "identity_number":
            value = ""
        if len(self.found) < MOST_FAULTS:
            self.found.append(
                {"line": line, "column": column, "value": masked(str(value))[:100], "reason": reason}
            )

    def raise_any(self) -> None:
        """Raises BadRows when something did not fit."""
        if self.found:
            lines = len({fault["line"] for fault in self.found})
            raise BadRows(
                f"{lines} row(s) do not fit; nothing was imported.",
                f"{lines} rad(er) passar inte; inget har importerats.",
                errors=self.found,
            )


def read(text: str, row: type[R], faults: Faults) -> list[tuple[int, R]]:
    """(line number, row) of every row that fits; the others become faults. Raises BadRows for a bad
    header."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    columns = list(row.model_fields)
    try:
        header = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = header
        for column in (name for name in header if name not in columns):
            faults.add(1, column, column, f"unknown column; known are {', '.join(columns)}")
        for column in (n for n, f in row.model_fields.items() if f.is_required() and n not in header):
            faults.add(1, column, "", "the column is missing")
        faults.raise_any()
        good = []
        for values in reader:
            if extra := values.pop(None, None):
                faults.add(reader.line_num, "", ",".join(extra), "more values than columns")
                continue
            given = {name: value.strip() for name, value in values.items() if value and value.strip()}
            try:
                good.append((reader.line_num, row.model_validate(given)))
            except ValidationError as bad:
                for error in bad.errors():
                    column = str(error["loc"][0]) if error["loc"] else ""
                    faults.add(reader.line_num, column, values.get(column, ""), error["msg"])
    except csv.Error as bad:
        faults.add(reader.line_num, "", "", f"not CSV: {bad}")
    return good
