"""Learners, slots, localities and travel times from files, as the rules know them."""

from collections.abc import Collection
from datetime import date
from pathlib import Path
from uuid import NAMESPACE_OID, UUID, uuid5

import polars as pl

from kompetensnav_contracts.vocabulary import LEVELS, Need, Sharing
from kompetensnav_matching import domain
from kompetensnav_matching.edges.files import BadFile, decimals, line_of, names, numbers, read_table

LOCALITY = "^[a-z0-9][a-z0-9_-]{0,39}$"
PER_RANK = 0.15
"""How much less each later wish of a file is wanted."""


def read_travel(localities: Path, times: Path | None) -> domain.Travel:
    """From `locality,latitude,longitude` and, if there is a table, `home,work,minutes`. Raises BadFile."""
    places = read_table(localities, ("locality", "latitude", "longitude"))
    at = zip(
        names(localities, places, "locality"),
        decimals(localities, places, "latitude", -90, 90).tolist(),
        decimals(localities, places, "longitude", -180, 180).tolist(),
        strict=True,
    )
    table = {} if times is None else read_times(times)
    return domain.Travel({name: (latitude, longitude) for name, latitude, longitude in at}, table)


def read_times(path: Path) -> dict[tuple[str, str], int]:
    """(home, work) -> minutes, from `home,work,minutes`; the last line of a pair counts. Raises BadFile."""
    rows = read_table(path, ("home", "work", "minutes"))
    minutes = numbers(path, rows, "minutes", high=1441).tolist()
    for column in ("home", "work"):
        fits = rows[column].str.contains(LOCALITY).fill_null(False)
        if not fits.all():
            row = int((~fits).arg_true()[0])
            raise _bad(
                path, row, column, rows[column][row], "a locality's code: a-z, 0-9, _ and -, at most 40"
            )
    return dict(zip(zip(rows["home"], rows["work"], strict=True), minutes, strict=True))


def read_learners(path: Path, travel: domain.Travel, slots: Collection[str]) -> dict[str, domain.Request]:
    """From `learner,locality,starts_on,ends_on` and, where the file has them, `wishes` (names of slots, or
    else occupations, between semicolons, the first the most wished for), `language`, `needs` (between
    semicolons), `max_travel_minutes`, `municipality` and `administration`. Raises BadFile."""
    optional = ("wishes", "language", "needs", "max_travel_minutes", "municipality", "administration")
    frame = read_table(path, ("learner", "locality", "starts_on", "ends_on"), optional)
    found = {}
    for row, name, fields in _rows(path, frame, "learner"):
        found[name] = domain.Request(
            request_id=uuid5(NAMESPACE_OID, name),
            learner_id=uuid5(NAMESPACE_OID, name),
            municipality=fields.get("municipality", "0000"),
            administration=fields.get("administration", "school"),
            starts_on=_day(path, row, "starts_on", fields),
            ends_on=_day(path, row, "ends_on", fields),
            locality=_known(path, row, "locality", fields.get("locality"), travel.coordinates),
            language=_known(path, row, "language", fields.get("language", "fluent"), LEVELS),
            needs=_needs(path, row, "needs", fields),
            max_travel_minutes=_minutes(path, row, fields),
            wishes=tuple(_wishes(path, row, fields.get("wishes", ""), slots)),
        )
    return found


def read_slots(path: Path, travel: domain.Travel) -> dict[str, domain.Slot]:
    """From `slot,seats,occupation,locality,starts_on,ends_on` and, where the file has them, `min_language`,
    `offers_needs` (between semicolons), `municipality` and `shared_with`. Raises BadFile."""
    optional = ("min_language", "offers_needs", "municipality", "shared_with")
    needed = ("slot", "seats", "occupation", "locality", "starts_on", "ends_on")
    frame = read_table(path, needed, optional)
    seats = numbers(path, frame, "seats").tolist()
    found = {}
    for row, name, fields in _rows(path, frame, "slot"):
        found[name] = domain.Slot(
            slot_id=slot_id(name),
            municipality=fields.get("municipality", "0000"),
            workplace_id=slot_id(name),
            occupation=_occupation(path, row, fields),
            starts_on=_day(path, row, "starts_on", fields),
            ends_on=_day(path, row, "ends_on", fields),
            seats=seats[row],
            locality=_known(path, row, "locality", fields.get("locality"), travel.coordinates),
            min_language=_known(path, row, "min_language", fields.get("min_language", "none"), LEVELS),
            offers_needs=_needs(path, row, "offers_needs", fields),
            shared_with=_known(path, row, "shared_with", fields.get("shared_with", "public"), list(Sharing)),
        )
    return found


def slot_id(name: str) -> UUID:
    """The reference a slot's name stands for."""
    return uuid5(NAMESPACE_OID, name)


def _rows(path: Path, frame: pl.DataFrame, key: str) -> list[tuple[int, str, dict[str, str]]]:
    ids = names(path, frame, key)
    return [
        (row, ids[row], {name: value.strip() for name, value in fields.items() if value})
        for row, fields in enumerate(frame.iter_rows(named=True))
    ]


def _wishes(path: Path, row: int, text: str, slots: Collection[str]) -> list[domain.Wish]:
    wishes = []
    for rank, name in enumerate((part.strip() for part in text.split(";") if part.strip()), 1):
        preference = max(0.1, 1 - PER_RANK * (rank - 1))
        if name in slots:
            wishes.append(domain.Wish(rank, slot_id=slot_id(name), preference=preference))
        elif len(name) == 4 and name.isdigit():
            wishes.append(domain.Wish(rank, occupation=name, preference=preference))
        else:
            raise _bad(path, row, "wishes", name, "a slot of the other file, or four digits of SSYK 2012")
    return wishes


def _bad(path: Path, row: int, column: str, value: str | None, must: str) -> BadFile:
    shown = "missing" if value is None else repr(value)
    return BadFile(f"{path} line {line_of(path, row)}: {column} is {shown}; it must be {must}")


def _day(path: Path, row: int, column: str, fields: dict[str, str]) -> date:
    try:
        return date.fromisoformat(fields.get(column, ""))
    except ValueError:
        raise _bad(path, row, column, fields.get(column), "a day such as 2027-02-01") from None


def _occupation(path: Path, row: int, fields: dict[str, str]) -> str:
    value = fields.get("occupation")
    if value is None or not (len(value) == 4 and value.isdigit()):
        raise _bad(path, row, "occupation", value, "four digits of SSYK 2012")
    return value


def _minutes(path: Path, row: int, fields: dict[str, str]) -> int:
    value = fields.get("max_travel_minutes", "60")
    if not value.isdigit() or int(value) > 1440:
        raise _bad(path, row, "max_travel_minutes", value, "a whole number from 0 to 1440")
    return int(value)


def _known(path: Path, row: int, column: str, value: str | None, known: Collection[str]) -> str:
    if value is None or value not in known:
        few = ", ".join(list(known)[:8])
        raise _bad(path, row, column, value, f"one of {few}")
    return value


def _needs(path: Path, row: int, column: str, fields: dict[str, str]) -> frozenset[str]:
    found = [part.strip() for part in fields.get(column, "").split(";") if part.strip()]
    every = [need.value for need in Need]
    return frozenset(_known(path, row, column, value, every) for value in found)
