"""7. Imports that exist in the field: SS 12000, CSV and Excel with columns of their own, official exports."""

import io
from pathlib import Path

import pytest
from openpyxl import Workbook

from support import ss12000
from support.stack import SLOT_COLUMNS

pytestmark = pytest.mark.real
DATA = Path(__file__).parents[4] / "shared/data"
NUMBER, COORDINATION, TEMPORARY = "196408233234", "198112789873", "20010203-TF01"


def source(desk, url, **more):
    body = {"administration": "school", "url": url, "token": "hemlig", "locality": "lulea"}
    return desk.call("POST", "/sources", json=body | more, status=201)


def pull(desk, made, status=200):
    return desk.call("POST", f"/sources/{made['source_id']}/pull", status=status)


async def test_7_learners_are_pulled_page_by_page_and_a_bad_one_is_reported_alone(stack, desks):
    desk = desks("1272")
    school = ss12000.School()
    unit = school.organisation("12345678")
    for name, number in (("Ada", NUMBER), ("Bo", COORDINATION), ("Cia", TEMPORARY)):
        ss12000.is_by_the_book("Person", school.person(name, number, unit))
    school.person("Dag", "196408233235", unit)
    school.person("Eva", NUMBER, unit, securityMarking="Skyddad folkbokföring")
    school.person("Rektor", "199003032381", unit, enrolments=[])
    ss12000.is_by_the_book("Organisations", school.answer("/organisations", {}))
    ss12000.is_by_the_book("Persons", school.answer("/persons", {}))
    with ss12000.serving(school) as url:
        made = source(desk, url)
        done = pull(desk, made)
        assert {k: done[k] for k in ("schools", "created", "changed", "unchanged", "left")} == {
            "schools": 1, "created": 3, "changed": 0, "unchanged": 0, "left": 0,
        }  # fmt: skip
        faults = {(f["field"], f["reason"]) for f in done["faults"]}
        assert faults == {
            ("civicNo", "not a valid number"),
            ("securityMarking", "the source names no case worker for protected learners"),
        }
        assert "3235" not in str(done)
        assert [a for a in school.asked if a.startswith("/persons")] == [
            "/persons?limit=500", "/persons?pageToken=2", "/persons?pageToken=4",
        ]  # fmt: skip
        listed = {x["given_name"]: x for x in desk.call("GET", "/learners")["items"]}
        assert set(listed) == {"Ada", "Bo", "Cia"}
        assert listed["Ada"]["school"] == "12345678"
        (school_view,) = (s for s in desk.call("GET", "/schools")["items"] if s["code"] == "12345678")
        assert school_view["name"] == "Skolan 12345678"
        found = desk.call("POST", "/learners/find", json={"identity_number": TEMPORARY}, status=200)
        assert [x["given_name"] for x in found["items"]] == ["Cia"]
        desk.request(listed["Bo"]["learner_id"])
        school.asked.clear()
        school.person("Dag", "199003032381", unit)  # mended
        later = {"created": "2026-08-20T08:00:00Z", "modified": "2099-01-01T00:00:00Z"}
        school.person("Ada", NUMBER, unit, familyName="Nytt", meta=later)
        school.deleted = [p["id"] for p in school.persons if p["givenName"] == "Bo"]
        again = pull(desk, made)
        assert {k: again[k] for k in ("created", "changed", "left")} == {
            "created": 1,
            "changed": 1,
            "left": 1,
        }
        assert any("meta.modified.after" in a for a in school.asked)
        assert [f["field"] for f in again["faults"]] == ["securityMarking"], "still not mended"
        (request,) = desk.call("GET", "/requests")["items"]
        assert request["state"] == "closed"
        (view,) = desk.call("GET", "/sources")["items"]
        assert len(view["failed"]) == 1
        assert "hemlig" not in str(view)


async def test_7_a_source_that_fails_says_so_and_loses_nothing(stack, desks):
    desk = desks("1273")
    school = ss12000.School()
    unit = school.organisation("22")
    school.person("Ada", NUMBER, unit)
    with ss12000.serving(school) as url:
        made = source(desk, url)
        school.breaks = True
        failed = pull(desk, made, status=424)
        assert "500" in failed["detail"]
        assert desk.call("GET", "/sources")["items"][0]["modified_after"] is None
        school.breaks = False
        school.token = "annan"
        assert "403" in pull(desk, made, status=424)["detail"]
        school.token = "hemlig"
        assert pull(desk, made)["created"] == 1
    gone = pull(desk, made, status=424)
    assert "ConnectError" in gone["detail"]
    body = {"administration": "school", "url": "http://skola.example.com", "token": "x", "locality": "l"}
    assert "https" in desk.call("POST", "/sources", json=body, status=400)["detail"]
    kept = await stack.sql(
        "registry", "select sealed from vault.source_token where municipality = '1273'", role="owner"
    )
    assert b"hemlig" not in kept[0]["sealed"]


def excel(*rows):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def post(desk, path, content, status=None):
    return desk.call(
        "POST", path, content=content, headers={"content-type": "text/csv"}, status=status or 200
    )


async def test_7_an_excel_file_with_its_own_columns_is_previewed_and_imported(desks):
    from datetime import date

    desk = desks("1275")
    content = excel(
        ["Referens", "Förvaltning", "Skola", "Förnamn", "Efternamn", "Född", "Ort", "Personnummer", "Klass"],
        ["a", "school", "gy1", "Åsa", "Öberg", date(1964, 8, 23), "lulea", "640823-3234", "3B"],
        ["b", "school", "gy1", "Bo", "Berg", date(2009, 1, 2), "lulea", None, "3B"],
    )
    seen = post(desk, "/imports/learners/preview", content)
    assert seen["columns"]["Förnamn"] == "given_name"
    assert (seen["columns"]["Född"], seen["columns"]["Klass"]) == (None, None)
    assert (seen["missing"], seen["rows"]) == (["born_on"], 2)
    assert "3234" not in str(seen)
    mapping = "column=F%C3%B6dd%3Dborn_on&column=Klass%3D"
    mapped = post(desk, f"/imports/learners/preview?{mapping}", content)
    assert (mapped["missing"], mapped["faults"]) == ([], [])
    unknown = post(desk, "/imports/learners?column=F%C3%B6dd%3Dborn_on", content, 422)
    assert [(e["line"], e["column"]) for e in unknown["errors"]] == [(1, "Klass")]
    assert post(desk, f"/imports/learners?{mapping}", content)["created"] == 2
    assert post(desk, f"/imports/learners?{mapping}", content)["unchanged"] == 2
    listed = desk.call("GET", "/learners")["items"]
    assert sorted(x["given_name"] for x in listed) == ["Bo", "Åsa"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04broken", "Excel"),
        ("ref,förnamn\n".encode("cp1252"), "Windows-1252"),
        ("ref,name\n".encode("utf-16"), "UTF-16"),
        (b"{}", "JSON"),
        (b"\xd0\xcf\x11\xe0", ".xls"),
    ],
)
async def test_7_a_file_of_another_format_or_encoding_says_so(desks, content, said):
    refused = post(desks("1276"), "/imports/employers", content, 400)
    assert said in refused["detail_en"]


async def test_7_a_long_file_is_checked_first_and_imported_in_parts_by_the_command_line(
    stack, desks, monkeypatch, tmp_path
):
    desk = desks("1277")
    monkeypatch.setenv("KOMPETENSNAV_TOKEN", stack.token("coordinator", municipalities=("1277",)))
    rows = [f"s{n};w0;prao;5321;2027-03-01;2027-03-05;1;none;;municipality;" for n in range(2_500)]
    file = tmp_path / "platser.csv"
    file.write_text("\n".join([SLOT_COLUMNS.replace(",", ";"), *rows]))
    command = ("import", str(file), "--kind", "slots", "--municipality", "1277")
    checked = stack.run(*command, "--check")
    assert "2500 rows fit" in checked.stdout, checked.stdout + checked.stderr
    assert desk.call("GET", "/slots")["total"] == 0
    done = stack.run(*command)
    assert "2500 created, 0 changed, 0 unchanged" in done.stdout, done.stdout + done.stderr
    assert "2500/2500" in done.stdout
    assert "0 created, 0 changed, 2500 unchanged" in stack.run(*command).stdout
    file.write_text(file.read_text() + "\nsx;w0;nix;5321;2027-03-01;2027-03-05;1;none;;municipality;")
    refused = stack.run(*command)
    assert refused.returncode == 1
    assert "2502" in refused.stdout
    assert desk.call("GET", "/slots")["total"] == 2_500


async def test_7_official_exports_are_taken_in_and_counted(stack, tmp_path):
    if not DATA.exists():
        pytest.skip("the reference data is not beside the checkout (../shared/data)")
    places = ("--localities", str(DATA / "geo/localities_geonames_se.csv"),
              "--postal-codes", str(DATA / "geo/postal_to_municipality.csv"))  # fmt: skip
    done = stack.run("reference", "--taxonomy", str(DATA / "taxonomy/jobtech-2025-12"), *places)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "400 occupation groups, 2412 occupations, 8324 relations" in " ".join(done.stdout.split())
    (row,) = await stack.sql(
        "registry", "select (select count(*) from occupation_group) g, (select count(*) from occupation) o,"
        " (select count(*) from substitution) s, (select count(*) from classification_code) c,"
        " (select count(*) from locality) l, (select count(*) from postal_code) p",
    )  # fmt: skip
    assert (row["g"], row["o"], row["s"]) == (400, 2412, 8324)
    assert row["c"] > 2_000
    assert row["l"] > 1_250
    assert row["p"] > 15_000
    again = stack.run("reference", "--taxonomy", str(DATA / "taxonomy/jobtech-2025-12"))
    assert again.returncode == 0
    bad = stack.run("reference", "--taxonomy", str(tmp_path))
    assert bad.returncode == 1
    assert "is not there" in bad.stderr
