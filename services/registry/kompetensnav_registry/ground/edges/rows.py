"""Rows of files: each is checked before any is used; a fault is told with its line, column and value."""

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ValidationError
from typing_extensions import TypedDict

from kompetensnav_chassis.errors import BadRows, Problem
from kompetensnav_registry.ground.edges.numbers import masked
from kompetensnav_registry.ground.edges.sheet import Sheet, Unclear, guess


class Row(BaseModel):
    """A row of a file."""

    KEYS: ClassVar[tuple[str, ...]]
    """The columns that name it, once in a file: the last one, within those before it."""


R = TypeVar("R", bound=Row)

MOST_FAULTS = 200

SECRET = {"identity_number"}
"""Columns whose values are never repeated."""

PROTECTING = {"security_marking", "case_worker", "shared_with"}
"""Columns that keep somebody or something from others."""


class Fault(TypedDict):
    """What does not fit, and where; line 1 is the header."""

    line: int
    column: str
    value: str
    reason: str


class Faults:
    """Collects what does not fit; `raise_any` raises BadRows with all of it."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, line: int, column: str, value: Any, reason: str) -> None:
        """One fault: line 1 is the header. A person's number is never repeated."""
        if len(self.found) < MOST_FAULTS:
            shown = "" if column in SECRET else masked(str(value))[:100]
            found = Fault(line=line, column=masked(column)[:100], value=shown, reason=reason)
            self.found.append(found)

    def raise_any(self) -> None:
        """Raises BadRows when something did not fit."""
        if self.found:
            lines = len({fault["line"] for fault in self.found})
            raise BadRows(
                f"{lines} row(s) do not fit; nothing was imported.",
                f"{lines} rad(er) passar inte; inget har importerats.",
                errors=self.found,
            )


def mapping_of(sheet: Sheet, row: type[Row], given: Mapping[str, str]) -> dict[str, str | None]:
    """Column of the file -> our column; `given` wins over the guess, an empty name leaves it out."""
    found: dict[str, str | None] = guess(sheet.header, row.model_fields)
    for theirs, ours in given.items():
        if theirs in found:
            if ours:
                found = {k: None if v == ours else v for k, v in found.items()}
            found[theirs] = ours or None
    return found


def names_columns(columns: Mapping[str, str | None], row: type[Row]) -> bool:
    """Whether the first line of a file names at least half of the columns that are needed. If not, what
    stands there may be somebody's row: no error repeats it."""
    required = {name for name, about in row.model_fields.items() if about.is_required()}
    return len(required & {*columns.values()}) * 2 >= len(required)


def check_names(sheet: Sheet) -> None:
    """Raises Problem when two columns are called the same."""
    twice = sorted({name for name in sheet.header if sheet.header.count(name) > 1})
    if twice:
        shown = masked(", ".join(name or "(empty)" for name in twice))
        raise Problem(
            f"These columns stand twice: {shown}. Name each once.",
            f"Dessa kolumner finns två gånger: {shown}. Ge varje kolumn ett eget namn.",
        )


def read(
    sheet: Sheet, row: type[R], faults: Faults, given: Mapping[str, str] | None = None
) -> list[tuple[int, R]]:
    """(line number, row) of every row that fits; the others become faults. Raises BadRows for a bad header:
    without a mapping every column must be known."""
    given = given or {}
    columns = mapping_of(sheet, row, given)
    known = list(row.model_fields)
    required = [name for name, about in row.model_fields.items() if about.is_required()]
    if not names_columns(columns, row):
        faults.add(1, "", "", f"the first line does not name the columns; needed are {', '.join(required)}")
        faults.raise_any()
    check_names(sheet)
    for theirs, ours in columns.items():
        if ours is None and theirs not in given:
            faults.add(1, theirs, theirs, f"unknown column; known are {', '.join(known)}")
        elif ours is not None and ours not in row.model_fields:
            faults.add(1, theirs, ours, f"no such column; known are {', '.join(known)}")
    for column in (name for name in required if name not in columns.values()):
        faults.add(1, column, "", "the column is missing")
    for theirs in given.keys() - columns.keys():
        faults.add(1, theirs, theirs, "the file has no such column")
    faults.raise_any()
    names = list(columns.values())
    good = []
    for line, values in sheet.rows:
        if len(values) > len(names):
            extra = [v for v in values[len(names) :] if v.strip()]
            if extra:
                faults.add(line, "", ",".join(extra), "more values than columns")
                continue
        given = {n: v for n, v in zip(names, values, strict=False) if n}
        if _is_unclear(line, given, faults):
            continue
        texts = {n: v.strip() for n, v in given.items() if v.strip()}
        try:
            good.append((line, row.model_validate(texts)))
        except ValidationError as bad:
            for error in bad.errors():
                column = str(error["loc"][0]) if error["loc"] else ""
                faults.add(line, column, texts.get(column, ""), error["msg"])
    _once(good, row.KEYS, faults)
    return good


def _is_unclear(line: int, given: Mapping[str, str], faults: Faults) -> bool:
    """Whether a cell's value is not in the file: such a row is refused, for what protects somebody must never
    be taken to be empty."""
    unclear = {n: str(v) for n, v in given.items() if isinstance(v, Unclear)}
    unclear |= {
        n: "holds nothing but spaces" for n in PROTECTING & given.keys() if given[n] and not given[n].strip()
    }
    for name, why in unclear.items():
        faults.add(line, name, "", why)
    return bool(unclear)


def _once(rows: list[tuple[int, R]], keys: tuple[str, ...], faults: Faults) -> None:
    seen: dict[Any, int] = {}
    for line, row in rows:
        value = tuple(getattr(row, key) for key in keys)
        if value in seen:
            faults.add(line, keys[-1], value[-1], f"stands on line {seen[value]} already")
        seen.setdefault(value, line)
