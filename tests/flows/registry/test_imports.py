"""Imports that exist in the field: SS 12000, CSV and Excel with columns of their own, official exports."""

import io
import zipfile
from pathlib import Path

import pytest
from openpyxl import Workbook

from support import ss12000
from support.rows import SLOT_COLUMNS, org_number

pytestmark = pytest.mark.real
DATA = Path(__file__).parents[4] / "shared/data"
NUMBER, COORDINATION, TEMPORARY = "196408233234", "198112789873", "20010203-TF01"


def source(desk, url, **more):
    body = {"administration": "school", "url": url, "token": "hemlig", "locality": "lulea"}
    return desk.call("POST", "/sources", json=body | more, status=201)


def pull(desk, made, status=200):
    return desk.call("POST", f"/sources/{made['source_id']}/pull", status=status)


async def test_learners_are_pulled_page_by_page_and_a_bad_one_is_reported_alone(stack, desks):
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


async def test_a_pull_marks_who_it_says_and_brings_no_erased_learner_back(stack, desks):
    desk = desks("1282")
    school = ss12000.School()
    unit = school.organisation("12345679")
    ada = school.person("Ada", NUMBER, unit)
    school.person("Bo", "198112789874", unit)
    school.person("Cia", "20010203-TF99X", unit)
    later = {"created": "2026-08-20T08:00:00Z", "modified": "2099-01-01T00:00:00Z"}
    with ss12000.serving(school) as url:
        made = source(desk, url, case_worker="handlaggare")
        assert pull(desk, made)["created"] == 1
        school.person("Bo", COORDINATION, unit)
        school.failing = {p["id"] for p in school.persons if p["givenName"] == "Cia"}
        school.person("Dag", TEMPORARY, unit, meta=later)
        done = pull(desk, made)
        assert done["created"] == 2, "one that the system fails for stops nobody else"
        assert [f["reason"] for f in done["faults"]] == ["the school system fails when it is asked for"]
        assert len(desk.call("GET", "/sources")["items"][0]["failed"]) == 1
        school.failing = set()
        school.persons = [p for p in school.persons if p["givenName"] != "Cia"]
        (learner,) = (x for x in desk.call("GET", "/learners")["items"] if x["given_name"] == "Ada")
        marking = {"revision": learner["revision"], "security_marking": "confidentiality_marked",
                   "case_worker": "handlaggare"}  # fmt: skip
        path = f"/learners/{learner['learner_id']}"
        desk.call("PATCH", path, json=marking)
        dag = next(x for x in desk.call("GET", "/learners")["items"] if x["given_name"] == "Dag")
        own = {"revision": dag["revision"], "language": "B", "locality": "pitea"}
        desk.call("PATCH", f"/learners/{dag['learner_id']}", json=own)
        school.person("Dag", TEMPORARY, unit, familyName="Annat", meta=later)
        assert pull(desk, made)["changed"] == 1
        dag = next(x for x in desk.call("GET", "/learners")["items"] if x["given_name"] == "Dag")
        assert (dag["family_name"], dag["language"], dag["locality"]) == ("Annat", "B", "pitea")
        ada = school.person("Ada", NUMBER, unit, familyName="Nytt", meta=later)
        del ada["securityMarking"]
        assert pull(desk, made)["changed"] == 1
        assert "Nytt" not in str(desk.call("GET", "/learners"))
        mine = {"role": "case_worker", "subject": "handlaggare"}
        assert "Nytt" in str(desk.call("GET", "/learners", **mine))
        desk.call("POST", f"{path}/erasure", status=201, **mine)
        again = pull(desk, made)
        assert (again["created"], [f["id"] for f in again["faults"]]) == (0, [ada["id"]])
        assert "erased" in again["faults"][0]["reason"]
        assert desk.call("GET", "/sources")["items"][0]["failed"] == []


async def test_a_source_that_fails_says_so_and_loses_nothing(stack, desks):
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
    for url in (
        "http://skola.example.com",
        "https://169.254.169.254/latest",
        "https://10.1.2.3/",
        "http://[::1]:1/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://user:word@8.8.8.8/",
    ):
        assert "https" in desk.call("POST", "/sources", json=body | {"url": url}, status=400)["detail"]
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


async def test_an_excel_file_with_its_own_columns_is_previewed_and_imported(desks):
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
async def test_a_file_of_another_format_or_encoding_says_so(desks, content, said):
    refused = post(desks("1276"), "/imports/employers", content, 400)
    assert said in refused["detail_en"]


def with_sheet(content, change):
    """An Excel file whose first sheet's XML is another."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data) if name.endswith("sheet1.xml") else data)
    return out.getvalue()


async def test_an_excel_file_is_read_as_it_is_and_a_broken_one_says_so(desks):
    desk = desks("1278")
    rows = [["org_number", "name"], *([f"{5560360000 + n}", f"B {n}"] for n in range(5))]
    content = excel(*rows)
    wrong = with_sheet(content, lambda xml: xml.replace(b'ref="A1:B6"', b'ref="A1"'))
    assert wrong != content
    assert post(desk, "/imports/employers/preview", wrong)["rows"] == 5
    for path in ("/imports/employers", "/imports/employers/preview"):
        broken = post(desk, path, with_sheet(content, lambda xml: xml[: len(xml) // 2]), 400)
        assert "cannot be read" in broken["detail_en"]
        assert "Line 2" in post(desk, path, b'org_number,name\n"5560', 400)["detail_en"]
        twice = post(desk, path, b"org_number,name,name\n1,2,3\n", 400)
        assert "name" in twice["detail_en"]
        assert "twice" in twice["detail_en"]


async def test_no_column_shows_a_persons_number_and_no_reference_is_one(desks):
    desk = desks("1279")
    head = "ref,administration,school,given_name,family_name,born_on,locality,identity_number\n"
    row = "{},school,gy1,Namn,Efternamn,1964-08-23,lulea,19640823-3234\n"
    seen = post(desk, "/imports/learners/preview", (head + row.format("a")).encode())
    assert seen["first"][0]["identity_number"] == "••••••••"
    for spelt in ("640823-3234", "640823–3234", "64-08-23/3234", "19640823 - 3234"):
        refused = post(desk, "/imports/learners", (head + row.format(spelt)).encode(), 422)
        assert [e["column"] for e in refused["errors"]] == ["ref"]
        assert "3234" not in str(refused)
        slot = {"description": f"Fråga efter {spelt} vid dörren"}
        found = desk.slot(status=422, **slot)
        assert [e["rule"] for e in found["errors"]] == ["number"]


async def test_a_file_follows_merged_employers_the_main_contact_and_new_names(stack, desks):
    desk = desks("1281")
    place, other = desk.workplace, org_number(77_001)
    kept = desk.call("POST", "/employers", json={"org_number": other, "name": "Kvar"}, status=201)
    desk.slot()
    number = org_number(12_810)
    desk.call(
        "POST", f"/employers/{place['employer_id']}/merge", json={"into": kept["employer_id"]}, status=201
    )
    contact = {"name": "Ny", "email": "ny.1281@firma.example.com", "is_main": True, "speaks": "en"}
    desk.call("POST", f"/workplaces/{place['workplace_id']}/contacts", json=contact, status=201)
    head = "ref,org_number,name,locality,reception_capacity,contact_name,contact_email\n"
    rows = f"w0,{number},Nya Bageriet,lulea,3,Allra Nyast,nyast.1281@firma.example.com\n"
    rows += f"w9,{number},Filialen,lulea,3,Fil,fil.1281@firma.example.com\n"
    assert stack.bring_in("1281", "workplaces", head + rows) == {"created": 1, "changed": 1, "unchanged": 0}
    places = desk.call("GET", "/workplaces")["items"]
    assert {p["employer_id"] for p in places} == {kept["employer_id"]}
    people = desk.call("GET", f"/workplaces/{place['workplace_id']}/contacts")["items"]
    assert [(p["name"], p["is_main"]) for p in people] == [("Allra Nyast", True), ("Kontakt", False)]
    assert desk.call("GET", "/search/slots?q=bageriet")["total"] == 1
    main = "select speaks from vault.contact where municipality = '1281' and name = 'Allra Nyast'"
    assert [row["speaks"] for row in await stack.sql("registry", main, role="owner")] == ["en"]
    renamed = f"org_number,name\n{other},Limpan\n{number},Den gamla\n"
    counted = {"created": 0, "changed": 1, "unchanged": 1}
    assert stack.bring_in("1281", "employers", renamed) == counted
    assert desk.call("GET", "/search/slots?q=limpan")["total"] == 1
    assert desk.call("GET", f"/employers/{kept['employer_id']}")["sector"] == kept["sector"]


async def test_what_is_corrected_of_a_learner_is_followed_by_open_requests(stack, desks):
    desk = desks("1284")
    head = "ref,administration,school,given_name,family_name,born_on,locality\n"
    row = "a,school,gy1,Namn,Efternamn,{},lulea\n"
    desk.stack.bring_in("1284", "learners", head + row.format("2009-05-05"))
    asked = "ref,learner,administration,placement_type,starts_on,ends_on,in_school_weeks\n"
    asked += "r,a,school,holiday_practice,2027-02-01,2027-02-19,{}\n"
    desk.stack.bring_in("1284", "requests", asked.format("false"))
    desk.stack.bring_in("1284", "learners", head + row.format("2012-05-05"))
    query = "select convert_from(body, 'utf8')::jsonb ->> 'age_class' age from outbox where subject = $1"
    told = await stack.sql("registry", query, "nav.1284.int.registry.request.changed.v1")
    assert [row["age"] for row in told] == ["older_child"]
    (request,) = desk.call("GET", "/requests")["items"]
    assert (request["terms"], request["revision"]) == ({"in_school_weeks": False}, 2)
    counted = {"created": 0, "changed": 0, "unchanged": 1}
    assert desk.stack.bring_in("1284", "requests", asked.format("")) == counted, "an empty cell says nothing"
    assert desk.stack.bring_in("1284", "requests", asked.format("true")) == counted | {
        "changed": 1, "unchanged": 0,
    }  # fmt: skip


async def test_a_file_without_a_header_repeats_nothing_of_its_first_row(desks):
    desk = desks("1285")
    row = "a,school,gy1,Hemligt,Efternamn,1964-08-23,lulea,640823-3234\n"
    for first in (row, row.strip() + ",Hemligt\n"):
        refused = post(desk, "/imports/learners", (first * 2).encode(), 422)
        assert "does not name the columns" in refused["errors"][0]["reason"]
        assert "Hemligt" not in str(refused)
        assert "3234" not in str(refused)
        seen = post(desk, "/imports/learners/preview", (first * 2).encode())
        assert "3234" not in str(seen)


async def test_a_long_file_is_checked_first_and_imported_in_parts_by_the_command_line(
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
    file.write_text("\n".join([SLOT_COLUMNS.replace(",", ";"), *rows, rows[0].replace("prao", "apl")]))
    twice = stack.run(*command)
    assert twice.returncode == 1
    assert "stands on line 2 already" in " ".join(twice.stdout.split())
    unmapped = stack.run(*command, "--column", "Klass")
    assert "THEIRS=ours" in unmapped.stderr
    assert desk.call("GET", "/slots")["total"] == 2_500


async def test_official_exports_are_taken_in_and_counted(stack, tmp_path):
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
