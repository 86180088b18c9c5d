"""Official exports, read from files that the operator names: JobTech's taxonomy (SSYK, occupations, how near
they are, SNI, SUN), localities and postal codes."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

Concept = dict[str, Any]
"""A concept as JobTech exports it."""
Row = Mapping[str, object]
"""A row for a table: column -> value."""

GROUPS = "ssyk-level-4-groups-with-related-occupations.json"

SUBSTITUTIONS = "substitutability-relations-between-occupations.json"

CODES = {
    "sni_2007": ("sni-hierarchy.json", "sni_level_code_2007"),
    "sun_2020_field": ("sun-field-hierarchy.json", "sun_education_field_code_2020"),
    "sun_2020_level": ("sun-level-hierarchy.json", "sun_education_level_code_2020"),
}
"""Classification -> (file, where its code stands)."""


class BadExport(Exception):
    """A file that is not what it should be; the message says which and why."""


class Place(BaseModel):
    """A row of a table of localities (GeoNames' columns, or our own)."""

    name: str = Field(min_length=1, max_length=200)
    municipality_code: str = Field(pattern=r"^\d{4}$")
    latitude: float = Field(ge=55, le=70)
    longitude: float = Field(ge=10, le=25)
    population: int = Field(ge=0)


class Post(BaseModel):
    """A row of a table of postal codes."""

    postal_code: str = Field(pattern=r"^\d{5}$")
    locality: str = Field(max_length=200)
    municipality_code: str = Field(pattern=r"^\d{4}$")


def concepts(folder: Path, name: str) -> list[Concept]:
    """The concepts of an export. Raises BadExport."""
    path = folder / name
    try:
        found: list[Concept] = json.loads(path.read_text())["data"]["concepts"]
    except FileNotFoundError:
        raise BadExport(f"{path} is not there; name the folder of the JobTech export") from None
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as bad:
        raise BadExport(f"{path} is not a JobTech export ({type(bad).__name__})") from None
    return found


def groups(folder: Path) -> tuple[list[Row], list[Row]]:
    """(occupation groups, occupations)."""
    found = concepts(folder, GROUPS)
    try:
        return (
            [{"code": g["ssyk_code_2012"], "name": g["preferred_label"]} for g in found],
            [
                {"concept_id": o["id"], "name": o["preferred_label"], "occupation_group": g["ssyk_code_2012"]}
                for g in found
                for o in g["narrower"]
            ],
        )
    except KeyError as bad:
        raise BadExport(f"{GROUPS}: a concept lacks {bad}") from None


def substitutions(folder: Path) -> list[Row]:
    """Which occupation may stand in for which, and how nearly."""
    try:
        return [
            {"wanted": o["id"], "substitute": s["id"], "percentage": s["substitutability_percentage"]}
            for o in concepts(folder, SUBSTITUTIONS)
            for s in o["substituted_by"]
        ]
    except KeyError as bad:
        raise BadExport(f"{SUBSTITUTIONS}: a concept lacks {bad}") from None


def codes(folder: Path) -> list[Row]:
    """Every code of SNI and SUN, all levels."""
    found: dict[tuple[str, str], str] = {}
    for classification, (name, key) in CODES.items():
        for concept in _all(concepts(folder, name)):
            found[classification, concept[key]] = concept["preferred_label"]
    return [{"classification": c, "code": code, "name": name} for (c, code), name in found.items()]


def _all(found: list[Concept]) -> Iterator[Concept]:
    for concept in found:
        yield concept
        yield from _all(concept.get("narrower", []))


def places(path: Path) -> list[Row]:
    """Localities, each with a code of its own: its name, and its municipality where two have the same."""
    rows = [row for row in _read(path, Place) if isinstance(row, Place)]
    rows.sort(key=lambda row: -row.population)
    taken: set[str] = set()
    made: list[Row] = []
    for row in rows:
        code = _code(row.name)
        if code in taken:
            code = f"{code}-{row.municipality_code}"
        if code in taken:
            continue
        taken.add(code)
        made.append(
            {
                "code": code,
                "name": row.name,
                "lies_in": row.municipality_code,
                "latitude": row.latitude,
                "longitude": row.longitude,
                "inhabitants": row.population,
            }
        )
    return made


def posts(path: Path) -> list[Row]:
    """Postal codes."""
    rows = [row for row in _read(path, Post) if isinstance(row, Post)]
    by_code = {
        row.postal_code: {
            "postal_code": row.postal_code,
            "town": row.locality,
            "lies_in": row.municipality_code,
        }
        for row in rows
    }
    return list(by_code.values())


def _code(name: str) -> str:
    plain = name.lower().translate(str.maketrans("åäöéüáà ", "aaoeuaa-"))
    return (
        "".join(character for character in plain if character.isalnum() or character == "-").strip("-")[:35]
        or "x"
    )


def _read(path: Path, model: type[BaseModel]) -> list[BaseModel]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [model.model_validate(row) for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise BadExport(f"{path} is not there") from None
    except UnicodeDecodeError as bad:
        raise BadExport(f"{path} is not UTF-8 (byte {bad.start})") from None
    except ValidationError as bad:
        error = bad.errors()[0]
        where = ".".join(str(p) for p in error["loc"])
        raise BadExport(f"{path}: {where}: {error['msg']}") from None
