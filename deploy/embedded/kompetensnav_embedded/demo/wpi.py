"""WPI: 928 real students and 46 real project centres with the preferences of both sides.

Data: Wiratchotisatian, Atef Yekta and Trapp, INFORMS Journal on Computing, doi 10.1287/ijoc.2022.1237.cd
(MIT).
"""

from datetime import date
from pathlib import Path
from typing import Any

from kompetensnav_embedded.demo.data import CannotRead, Data, org_number, read_table, table
from kompetensnav_embedded.demo.norrbotten import COLUMNS

MUNICIPALITY = "2580"
STARTS, ENDS = date(2027, 1, 11), date(2027, 3, 5)
FIRST = "StudentID \\ ProjectID"


def wpi(folder: Path) -> Data:
    """The story's input: a wish for every centre where both sides' preference is above 0. Raises
    CannotRead."""
    if not folder.is_dir():
        raise CannotRead(f"{folder} is not a folder with WPI-IQP data")
    capacity = {
        r["ProjectID"]: int(r["Capacity"])
        for r in read_table(folder / "project_capacity.csv", ("ProjectID", "Capacity"))
    }
    theirs = _matrix(folder / "student_preference.csv")
    ours = _matrix(folder / "project_preference.csv")
    data = Data(f"WPI {folder.name}", MUNICIPALITY, "internship", STARTS, ENDS)
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in COLUMNS}
    for n, (centre, seats) in enumerate(capacity.items()):
        number = org_number(n)
        rows["employers"].append(
            {"org_number": number, "name": f"Project centre {centre}", "sector": "association"}
        )
        rows["workplaces"].append(
            {
                "ref": centre,
                "org_number": number,
                "name": f"Project centre {centre}",
                "locality": "worcester",
                "reception_capacity": seats,
                "contact_name": f"Centre {centre}",
                "contact_email": f"centre.{centre}@wpi.example.com",
                "contact_speaks": "en",
            }
        )
        rows["slots"].append(
            {
                "ref": centre,
                "workplace": centre,
                "placement_type": "internship",
                "occupation": "2149",
                "starts_on": STARTS,
                "ends_on": ENDS,
                "seats": seats,
                "min_language": "none",
                "offers_needs": "",
                "shared_with": "municipality",
                "named_municipalities": "",
            }
        )
    for student, wished in theirs.items():
        ref = f"s{student}"
        hosts = ours.get(student, {})
        both = [(c, p, hosts.get(c, 0.0)) for c, p in wished.items() if p > 0 and hosts.get(c, 0.0) > 0]
        both.sort(key=lambda w: (-w[1], -w[2], int(w[0])))
        rows["learners"].append(
            {
                "ref": ref,
                "administration": "school",
                "school": "wpi",
                "given_name": "Student",
                "family_name": student,
                "email": f"student.{student}@wpi.example.com",
                "guardian_email": "",
                "born_on": date(2006, 1, 1),
                "locality": "worcester",
                "language": "fluent",
                "speaks": "en",
            }
        )
        rows["requests"].append(
            {
                "ref": f"r{student}",
                "learner": ref,
                "administration": "school",
                "placement_type": "internship",
                "starts_on": STARTS,
                "ends_on": ENDS,
                "wishes": ";".join(f"slot:{c}={p!r}/{h!r}" for c, p, h in both),
                "needs": "",
                "max_travel_minutes": 60,
            }
        )
    data.files[MUNICIPALITY] = {kind: table(rows[kind], columns) for kind, columns in COLUMNS.items()}
    return data


def _matrix(path: Path) -> dict[str, dict[str, float]]:
    """Student -> centre -> preference."""
    rows = read_table(path, (FIRST,))
    try:
        return {
            str(int(float(row[FIRST]))): {c: float(v) for c, v in row.items() if c != FIRST and v}
            for row in rows
        }
    except ValueError as bad:
        raise CannotRead(f"{path}: {bad}") from bad
