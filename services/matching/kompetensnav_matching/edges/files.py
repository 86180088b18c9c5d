"""Tables in CSV or Parquet files: read as columns; what is wrong is told with its line and value."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kompetensnav_matching.engine.instance import MOST, Instance

Int32s = NDArray[np.int32]
Ints = NDArray[np.int64]


class BadFile(ValueError):
    """A file cannot be used; the message says which, where in it, what, and what to do."""


@dataclass(frozen=True)
class Problem:
    """Pairs as they were read, by number, and the names that the numbers stand for."""

    seats: Int32s
    """Shape (slots,)."""
    learner: Int32s
    """Shape (pairs,), as slot and cost."""
    slot: Int32s
    cost: Int32s
    tier: Int32s
    """Shape (learners,)."""
    learners: list[str]
    slots: list[str]

    def instance(self) -> Instance:
        """Grouped and sorted. Raises BadInstance."""
        return Instance.of(len(self.learners), self.seats, self.learner, self.slot, self.cost)


def read_table(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> pl.DataFrame:
    """The columns as text, the optional ones where the file has them. Raises BadFile."""
    try:
        if path.suffix == ".parquet":
            frame = pl.read_parquet(path).cast(pl.String)
        else:
            frame = pl.read_csv(path, infer_schema=False)
            frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    except FileNotFoundError:
        raise BadFile(f"{path}: there is no such file") from None
    except pl.exceptions.NoDataError:
        raise BadFile(f"{path}: is empty; its first line must be {','.join(columns)}") from None
    except OSError as error:
        raise BadFile(f"{path}: cannot be read: {error.strerror or 'unknown error'}") from None
    except pl.exceptions.PolarsError:
        raise _ragged(path) or BadFile(f"{path}: cannot be read as {path.suffix[1:] or 'CSV'}") from None
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise BadFile(f"{path} line 1: the column {missing[0]} is missing; needed: {','.join(columns)}")
    return frame.select(*columns, *(name for name in optional if name in frame.columns))


def numbers(path: Path, frame: pl.DataFrame, column: str, *, low: int = 0, high: int = MOST) -> Ints:
    """A column of whole numbers from `low` to below `high`. Raises BadFile with the line and the value."""
    values = frame[column].str.strip_chars().cast(pl.Int64, strict=False)
    wrong = (values.is_null() | (values < low) | (values >= high)).arg_true()
    if len(wrong):
        row = int(wrong[0])
        raise BadFile(
            f"{path} line {line_of(path, row)}: {column} is {_shown(frame[column][row])}; it must be a"
            f" whole number from {low} to {high - 1}"
        )
    return values.to_numpy()


def decimals(path: Path, frame: pl.DataFrame, column: str, low: float, high: float) -> NDArray[np.float64]:
    """A column of finite numbers from `low` to `high`. Raises BadFile with the line and the value."""
    values = frame[column].str.strip_chars().cast(pl.Float64, strict=False)
    wrong = (values.is_null() | ~values.is_finite() | (values < low) | (values > high)).arg_true()
    if len(wrong):
        row = int(wrong[0])
        raise BadFile(
            f"{path} line {line_of(path, row)}: {column} is {_shown(frame[column][row])}; it must be a number"
            f" from {low:g} to {high:g}"
        )
    return values.to_numpy()


def _shown(value: str | None) -> str:
    return "missing" if value is None else repr(value)


def names(path: Path, frame: pl.DataFrame, column: str) -> list[str]:
    """A column of names, each once. Raises BadFile for an empty one or one that is there twice."""
    column_of = frame[column].str.strip_chars()
    wrong = ((column_of == "") | column_of.is_null() | ~column_of.is_first_distinct()).arg_true()
    if len(wrong):
        row = int(wrong[0])
        what = f"{column_of[row]!r} is there twice" if column_of[row] else "has no name"
        raise BadFile(f"{path} line {line_of(path, row)}: {column} {what}")
    return column_of.to_list()


def line_of(path: Path, row: int) -> int:
    """The line (from 1) of a row (from 0, the header not counted; lines without anything are no rows)."""
    if path.suffix == ".parquet":
        return row + 1
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        seen = -2
        for fields in reader:
            seen += bool(fields)
            if seen == row:
                return reader.line_num
    return row + 2


def _ragged(path: Path) -> BadFile | None:
    """The first line of a CSV file whose number of fields is not the header's."""
    if path.suffix == ".parquet":
        return None
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.reader(file)
        try:
            header = next(reader, [])
            for fields in reader:
                if fields and len(fields) != len(header):
                    return BadFile(
                        f"{path} line {reader.line_num}: {','.join(fields)[:80]!r} has {len(fields)} fields;"
                        f" the first line has {len(header)}"
                    )
        except csv.Error as error:
            return BadFile(f"{path} line {reader.line_num}: {error}")
    return None


def read_problem(edges: Path, seats: Path, tiers: Path | None = None) -> Problem:
    """Edges `learner,slot,cost`, seats `slot,seats`, and tiers `learner,tier` (0 = served first; all others
    are of the lowest tier named). Names may be anything; whole numbers sort as numbers. Raises BadFile."""
    room = read_table(seats, ("slot", "seats"))
    slots = names(seats, room, "slot")
    seat = numbers(seats, room, "seats")
    pairs = read_table(edges, ("learner", "slot", "cost"))
    cost = numbers(edges, pairs, "cost")
    who = pairs["learner"].str.strip_chars()
    nobody = (who.is_null() | (who == "")).arg_true()
    if len(nobody):
        raise BadFile(f"{edges} line {line_of(edges, int(nobody[0]))}: learner is missing")
    named: list[str] = []
    tier_of = np.zeros(0, np.int64)
    if tiers is not None:
        table = read_table(tiers, ("learner", "tier"))
        named, tier_of = names(tiers, table, "learner"), numbers(tiers, table, "tier", high=100)
    learners = _in_order(pl.concat([who, pl.Series("learner", named, pl.String)]).unique())
    by_slot = _in_order(pl.Series(slots, dtype=pl.String))
    columns = _codes(by_slot, pairs["slot"].str.strip_chars())
    unknown = columns.is_null().arg_true()
    if len(unknown):
        row = int(unknown[0])
        raise BadFile(
            f"{edges} line {line_of(edges, row)}: slot {_shown(pairs['slot'][row])} is not in {seats}:"
            " add it there, or take the line away"
        )
    learner, slot = _codes(learners, who).to_numpy(), columns.to_numpy()
    _no_twins(edges, learner, slot, len(slots))
    seats_of = np.zeros(len(slots), np.int32)
    seats_of[_codes(by_slot, pl.Series(slots, dtype=pl.String)).to_numpy()] = seat
    tier = np.full(len(learners), int(tier_of.max(initial=0)), np.int32)
    if named:
        tier[_codes(learners, pl.Series(named)).to_numpy()] = tier_of
    return Problem(
        seats_of, learner, slot, cost.astype(np.int32), tier, learners.to_list(), by_slot.to_list()
    )


def _no_twins(path: Path, learner: NDArray[np.integer], slot: NDArray[np.integer], slots: int) -> None:
    twins = ~pl.Series(learner.astype(np.int64) * slots + slot).is_first_distinct()
    if twins.any():
        row = int(twins.arg_true()[0])
        raise BadFile(f"{path} line {line_of(path, row)}: this learner and slot are a pair already")


def _in_order(values: pl.Series) -> pl.Series:
    """Names in an order that does not depend on the file's: as numbers if all are written as such."""
    whole = values.cast(pl.Int64, strict=False)
    if not whole.has_nulls() and (whole.cast(pl.String) == values).all():
        return whole.sort().cast(pl.String)
    return values.sort()


def _codes(ordered: pl.Series, values: pl.Series) -> pl.Series:
    numbers = pl.Series(np.arange(len(ordered), dtype=np.int32))
    return values.replace_strict(ordered, numbers, default=None, return_dtype=pl.Int32)


def write_columns(path: Path, columns: dict[str, Sequence[object] | NDArray[np.integer]]) -> None:
    """Writes a CSV or Parquet file. Raises BadFile when it cannot."""
    frame = pl.DataFrame(columns)
    try:
        if path.suffix == ".parquet":
            frame.write_parquet(path)
        else:
            frame.write_csv(path)
    except OSError as error:
        raise BadFile(f"{path}: cannot be written: {error}") from None
