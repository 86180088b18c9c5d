"""Norrbotten: 14 municipalities, made from a fixed seed over real localities and occupation codes."""

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from kompetensnav_embedded.demo.data import CannotRead, Data, org_number, read_table, table

Row = dict[str, Any]
"""A row of a file: column -> value."""

SEED = 20261122
LEARNERS, WORKPLACES, SEATS = 2700, 1600, 3500
STARTS, ENDS = date(2027, 2, 1), date(2027, 3, 26)
LEAD = "2580"
COUNTY = "25"
SMALLEST = 200
"""Inhabitants of the smallest locality a request may name."""


def norrbotten(
    localities: Path | None = None, taxonomy: Path | None = None, *, learners: int = LEARNERS
) -> Data:
    """The story's input. `learners`: fewer make a smaller story, with workplaces and seats in proportion.

    `localities`: a CSV with GeoNames columns; `taxonomy`: the JobTech export of the SSYK hierarchy; the
    project's own small tables otherwise. Raises CannotRead.
    """
    chance = random.Random(SEED)
    places = _localities(localities)
    fields = _fields(taxonomy)
    names = _names()
    towns = [p for p in places if p["inhabitants"] >= SMALLEST]
    weights = [p["inhabitants"] for p in towns]
    scale = learners / LEARNERS
    data = Data("Norrbotten", LEAD, "apl", STARTS, ENDS, standing_rule=True)
    data.localities = [
        {"locality": p["locality"], "latitude": p["latitude"], "longitude": p["longitude"]} for p in places
    ]
    codes = sorted({p["municipality"] for p in places})
    rows: dict[str, dict[str, list[Row]]] = {code: defaultdict(list) for code in codes}
    _hosts(chance, rows, towns, weights, fields, names, codes, scale)
    _learners(chance, rows, towns, weights, fields, names, learners)
    for code in codes:
        data.files[code] = {kind: table(rows[code][kind], columns) for kind, columns in COLUMNS.items()}
    return data


COLUMNS = {
    "employers": ("org_number", "name", "sector"),
    "workplaces": (
        "ref",
        "org_number",
        "name",
        "locality",
        "reception_capacity",
        "contact_name",
        "contact_email",
        "contact_speaks",
    ),
    "slots": (
        "ref",
        "workplace",
        "placement_type",
        "occupation",
        "starts_on",
        "ends_on",
        "seats",
        "min_language",
        "offers_needs",
        "shared_with",
        "named_municipalities",
    ),
    "learners": (
        "ref",
        "administration",
        "school",
        "given_name",
        "family_name",
        "email",
        "guardian_email",
        "born_on",
        "locality",
        "language",
        "speaks",
    ),
    "requests": (
        "ref",
        "learner",
        "administration",
        "placement_type",
        "starts_on",
        "ends_on",
        "wishes",
        "needs",
        "max_travel_minutes",
    ),
}


def _hosts(
    chance: random.Random,
    rows: dict[str, dict[str, list[Row]]],
    towns: Sequence[Row],
    weights: Sequence[int],
    fields: dict[str, list[str]],
    names: dict[str, list[str]],
    codes: Sequence[str],
    scale: float,
) -> None:
    seats_left = round(SEATS * scale)
    workplaces = max(1, round(WORKPLACES * scale))
    kinds = sorted(fields)
    for n in range(workplaces):
        town = chance.choices(towns, weights)[0]
        mine = rows[town["municipality"]]
        field = chance.choice(kinds)
        company = f"{chance.choice(names['company'])} {town['name']}"
        number = org_number(n)
        mine["employers"].append(
            {"org_number": number, "name": company, "sector": chance.choice(["private"] * 4 + ["municipal"])}
        )
        share = seats_left / (workplaces - n)
        seats = min(seats_left, max(1, round(chance.gauss(share, 0.6)))) if n < workplaces - 1 else seats_left
        seats_left -= seats
        ref = f"w{n:04}"
        mine["workplaces"].append(
            {
                "ref": ref,
                "org_number": number,
                "name": company,
                "locality": town["locality"],
                # one in twenty offers more seats over its slots than it can receive in a week
                "reception_capacity": max(1, seats - (chance.random() < 0.05)),
                "contact_name": f"{chance.choice(names['given'])} {chance.choice(names['family'])}",
                "contact_email": f"handledare.{ref}@foretag.example.com",
                "contact_speaks": "en" if chance.random() < 0.05 else "sv",
            }
        )
        for k, part in enumerate(_parts(chance, seats)):
            mine["slots"].append(
                {
                    "ref": f"{ref}-{k}",
                    "workplace": ref,
                    "placement_type": "apl",
                    "occupation": chance.choice(fields[field]),
                    "starts_on": STARTS,
                    "ends_on": ENDS,
                    "seats": part,
                    "min_language": chance.choice(["none"] * 6 + ["C", "D"]),
                    "offers_needs": ";".join(n for n in ("step_free", "quiet") if chance.random() < 0.7),
                    **_sharing(chance, codes),
                }
            )


def _parts(chance: random.Random, seats: int) -> list[int]:
    first = seats if seats < 3 or chance.random() < 0.6 else chance.randint(1, seats - 1)
    return [first] if first == seats else [first, seats - first]


def _sharing(chance: random.Random, codes: Sequence[str]) -> dict[str, str]:
    drawn = chance.random()
    if drawn < 0.3:
        return {"shared_with": "municipality", "named_municipalities": ""}
    if drawn < 0.4:
        return {"shared_with": "public", "named_municipalities": ""}
    return {"shared_with": "named", "named_municipalities": ";".join(codes)}


def _learners(
    chance: random.Random,
    rows: dict[str, dict[str, list[Row]]],
    towns: Sequence[Row],
    weights: Sequence[int],
    fields: dict[str, list[str]],
    names: dict[str, list[str]],
    learners: int,
) -> None:
    kinds = sorted(fields)
    for n in range(learners):
        town = chance.choices(towns, weights)[0]
        mine = rows[town["municipality"]]
        ref = f"l{n:04}"
        field = chance.choice(kinds)
        wished = chance.sample(fields[field], k=min(len(fields[field]), chance.randint(2, 4)))
        if chance.random() < 0.4:
            wished.append(
                chance.choice([o for o in fields[chance.choice(kinds)] if o not in wished] or wished)
            )
        mine["learners"].append(
            {
                "ref": ref,
                "administration": "school",
                "school": f"gy{town['municipality']}{chance.randint(1, 2)}",
                "given_name": chance.choice(names["given"]),
                "family_name": chance.choice(names["family"]),
                "email": f"elev.{ref}@skola.example.com",
                "guardian_email": f"vardnadshavare.{ref}@hem.example.com" if chance.random() < 0.6 else "",
                "born_on": date(2008, 1, 1) + timedelta(days=chance.randrange(3 * 365)),
                "locality": town["locality"],
                "language": chance.choice(["fluent"] * 8 + ["D", "C"]),
                "speaks": "en" if chance.random() < 0.1 else "sv",
            }
        )
        mine["requests"].append(
            {
                "ref": f"r{n:04}",
                "learner": ref,
                "administration": "school",
                "placement_type": "apl",
                "starts_on": STARTS,
                "ends_on": ENDS,
                "wishes": ";".join(dict.fromkeys(wished)),
                "needs": "step_free" if chance.random() < 0.03 else "",
                "max_travel_minutes": chance.choice([45, 60, 60, 60, 60]),
            }
        )


def _localities(path: Path | None) -> list[Row]:
    """Localities of the county: code, municipality, name, coordinates, inhabitants."""
    if path is None:
        with _shipped("localities.csv") as own:
            rows = read_table(
                own, ("locality", "municipality", "name", "latitude", "longitude", "inhabitants")
            )
    else:
        wanted = ("geonameid", "name", "latitude", "longitude", "municipality_code", "population")
        rows = [
            {
                "locality": f"g{r['geonameid']}",
                "municipality": r["municipality_code"],
                "name": r["name"],
                "latitude": r["latitude"],
                "longitude": r["longitude"],
                "inhabitants": r["population"] or "0",
            }
            for r in read_table(path, wanted)
            if r["municipality_code"].startswith(COUNTY)
        ]
        if not rows:
            raise CannotRead(f"{path}: no locality with a municipality code {COUNTY}..")
    numbers = ("latitude", "longitude", "inhabitants")
    return [{k: (float(v) if k in numbers else v) for k, v in row.items()} for row in rows]


def _fields(path: Path | None) -> dict[str, list[str]]:
    """Field -> occupation codes (SSYK 2012, four digits)."""
    fields: dict[str, list[str]] = defaultdict(list)
    if path is None:
        with _shipped("occupations.csv") as own:
            for row in read_table(own, ("ssyk", "name", "field")):
                fields[row["field"]].append(row["ssyk"])
        return dict(fields)
    try:
        codes = sorted(set(_codes(json.loads(path.read_text()))))
    except (OSError, ValueError) as bad:
        raise CannotRead(f"{path} cannot be read: {bad.__class__.__name__}") from bad
    for code in codes:
        fields[code[:2]].append(code)
    if not fields:
        raise CannotRead(f"{path}: no SSYK codes with four digits")
    return dict(fields)


def _codes(tree: Any) -> list[str]:
    """Every four-digit SSYK code below a node of the export."""
    if isinstance(tree, list):
        return [code for part in tree for code in _codes(part)]
    if not isinstance(tree, dict):
        return []
    own = [v for k, v in tree.items() if "ssyk" in k and isinstance(v, str) and len(v) == 4 and v.isdigit()]
    return own + [code for part in tree.values() for code in _codes(part)]


def _names() -> dict[str, list[str]]:
    names: dict[str, list[str]] = defaultdict(list)
    with _shipped("names.csv") as own:
        for row in read_table(own, ("kind", "value")):
            names[row["kind"]].append(row["value"])
    return dict(names)


def _shipped(name: str) -> Any:
    from importlib.resources import as_file

    return as_file(files("kompetensnav_embedded") / "data" / name)
