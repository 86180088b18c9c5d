"""Timetables in the General Transit Feed Specification (gtfs.org, schedule reference): one day of a feed."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kompetensnav_matching.edges.files import BadFile
from kompetensnav_matching.engine.connection_scan import Timetable
from kompetensnav_matching.engine.travel import RADIUS_KM, ROAD

WALK_METRES_A_SECOND = 1.25
CHANGE = 120
"""Seconds to change vehicles at a stop."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Feed:
    """A day's timetable, and where its stops are."""

    timetable: Timetable
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]

    def walks(
        self, latitude: Sequence[float], longitude: Sequence[float], metres: float
    ) -> NDArray[np.int32]:
        """Seconds to walk between each place and each stop, -1 = farther. Shape (places, stops)."""
        rows = [
            _walk(_metres(north, east, self.latitude, self.longitude), metres)
            for north, east in zip(latitude, longitude, strict=True)
        ]
        return np.array(rows, np.int32).reshape(len(rows), len(self.latitude))


def read_feed(path: Path, day: date, change_metres: float = 300) -> Feed:
    """The rides of one day, from a folder or a zip file. Raises BadFile."""
    stops = _table(path, "stops.txt", ("stop_id", "stop_lat", "stop_lon"))
    trips = _table(path, "trips.txt", ("trip_id", "service_id"))
    times = _table(
        path, "stop_times.txt", ("trip_id", "arrival_time", "departure_time", "stop_id", "stop_sequence")
    )
    running = trips.filter(pl.col("service_id").is_in(sorted(_services(path, day))))
    if not len(running):
        raise BadFile(f"{path}: nothing runs on {day}: choose a day within the feed's calendar")
    stops = stops.with_columns(pl.col("stop_lat", "stop_lon").cast(pl.Float64, strict=False)).drop_nulls()
    stops, running = (
        stops.unique("stop_id", maintain_order=True),
        running.unique("trip_id", maintain_order=True),
    )
    stop_ids = pl.Series(np.arange(len(stops), dtype=np.int32))
    trip_ids = pl.Series(np.arange(len(running), dtype=np.int32))
    rides = (
        times.filter(pl.col("trip_id").is_in(running["trip_id"].implode()))
        .with_columns(
            pl.col("trip_id").replace_strict(running["trip_id"], trip_ids, return_dtype=pl.Int32),
            pl.col("stop_id").replace_strict(stops["stop_id"], stop_ids, default=None, return_dtype=pl.Int32),
            pl.col("stop_sequence").cast(pl.Int64, strict=False),
            _seconds("arrival_time"),
            _seconds("departure_time"),
        )
        .drop_nulls()
        .sort("trip_id", "stop_sequence")
        .with_columns(
            pl.col("stop_id").shift(-1).over("trip_id").alias("end"),
            pl.col("arrival_time").shift(-1).over("trip_id").alias("arrives"),
        )
        .drop_nulls()
        .filter(pl.col("arrives") >= pl.col("departure_time"))
        .sort("departure_time", "arrives", "stop_sequence", descending=True)
    )
    latitude, longitude = stops["stop_lat"].to_numpy(), stops["stop_lon"].to_numpy()
    first, start, seconds = _walks_between(latitude, longitude, change_metres)
    timetable = Timetable(
        rides["stop_id"].to_numpy(), rides["end"].to_numpy(), rides["departure_time"].to_numpy(),
        rides["arrives"].to_numpy(), rides["trip_id"].to_numpy(), len(running), first, start, seconds, CHANGE,
    )  # fmt: skip
    return Feed(timetable, latitude, longitude)


def _seconds(column: str) -> pl.Expr:
    """Seconds of the service day; the hour may be 24 or more."""
    parts = pl.col(column).str.strip_chars().str.split_exact(":", 2)
    hours, minutes, seconds = (
        parts.struct.field(f"field_{n}").cast(pl.Int32, strict=False) for n in range(3)
    )
    return (3600 * hours + 60 * minutes + seconds).alias(column)


def _table(path: Path, name: str, columns: Sequence[str], needed: bool = True) -> pl.DataFrame:
    try:
        if path.is_dir():
            data = (path / name).read_bytes()
        else:
            with zipfile.ZipFile(path) as feed:
                data = feed.read(name)
        frame = pl.read_csv(io.BytesIO(data), infer_schema=False)
    except (FileNotFoundError, KeyError):
        if not needed:
            return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
        raise BadFile(f"{path}: {name} is missing: this is not a GTFS feed") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise BadFile(f"{path}: cannot be read: {error}") from None
    except pl.exceptions.PolarsError as error:
        raise BadFile(f"{path}: {name}: {str(error).splitlines()[0]}") from None
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise BadFile(f"{path}: {name} line 1: the column {missing[0]} is missing")
    return frame.select(columns)


def _services(path: Path, day: date) -> set[str]:
    """The services that run on a day: by the calendar's weekday, then its exceptions."""
    weekday, stamp = WEEKDAYS[day.weekday()], f"{day:%Y%m%d}"
    weekly = _table(path, "calendar.txt", ("service_id", weekday, "start_date", "end_date"), needed=False)
    on = weekly.filter(
        (pl.col(weekday) == "1") & (pl.col("start_date") <= stamp) & (pl.col("end_date") >= stamp)
    )
    odd = _table(path, "calendar_dates.txt", ("service_id", "date", "exception_type"), needed=False)
    odd = odd.filter(pl.col("date") == stamp)
    added = odd.filter(pl.col("exception_type") == "1")["service_id"]
    removed = odd.filter(pl.col("exception_type") == "2")["service_id"]
    return (set(on["service_id"]) | set(added)) - set(removed)


def _metres(
    north: float, east: float, latitude: NDArray[np.float64], longitude: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Walking distance: the great circle x 1.3."""
    a, b = np.radians(latitude), np.radians(longitude)
    here, there = np.radians(north), np.radians(east)
    half = np.sin((a - here) / 2) ** 2 + np.cos(here) * np.cos(a) * np.sin((b - there) / 2) ** 2
    metres: NDArray[np.float64] = 2000 * RADIUS_KM * ROAD * np.arcsin(np.minimum(1, np.sqrt(half)))
    return metres


def _walk(distance: NDArray[np.float64], metres: float) -> NDArray[np.int32]:
    return np.where(distance <= metres, np.ceil(distance / WALK_METRES_A_SECOND), -1).astype(np.int32)


def _walks_between(
    latitude: NDArray[np.float64], longitude: NDArray[np.float64], metres: float
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    first, start, seconds = [0], [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    order = np.argsort(latitude, kind="stable").astype(np.int32)
    sorted_north = latitude[order]
    span = metres / ROAD / 1000 / RADIUS_KM * 180 / np.pi * 1.01
    for stop in range(len(latitude)):
        low, high = np.searchsorted(sorted_north, [latitude[stop] - span, latitude[stop] + span])
        near = order[low:high]
        time = _walk(_metres(latitude[stop], longitude[stop], latitude[near], longitude[near]), metres)
        use = (time >= 0) & (near != stop)
        start.append(near[use])
        seconds.append(time[use])
        first.append(first[-1] + int(use.sum()))
    return np.array(first, np.int64), np.concatenate(start), np.concatenate(seconds)
