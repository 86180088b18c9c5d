"""What a file leaves open is refused, and never taken to be empty: a learner who should be protected must not
be listed because a formula had no value."""

import io
import re
import zipfile

import pytest
from openpyxl import Workbook

from kompetensnav_chassis.errors import BadRows, Problem
from kompetensnav_registry.ground.edges import sheet
from kompetensnav_registry.ground.edges.rows import Faults, read
from kompetensnav_registry.ground.edges.sheet import Unclear, open_sheet
from kompetensnav_registry.people.actions.imports import KINDS, preview

COLUMNS = [(kind, column) for kind, (row, _) in KINDS.items() for column in row.model_fields]
GOOD = {
    "ref": "a", "administration": "school", "school": "gy1", "given_name": "Namn", "family_name": "Efternamn",
    "born_on": "2009-05-05", "locality": "lulea", "org_number": "5560360793", "name": "Bolag",
    "reception_capacity": "3", "contact_name": "Kontakt", "contact_email": "k@firma.example.com",
    "workplace": "w", "placement_type": "apl", "occupation": "5321", "seats": "1", "starts_on": "2027-02-01",
    "ends_on": "2027-03-26", "learner": "a",
}  # fmt: skip
"""A value of every column that is needed."""


def excel(rows, merged=()):
    """A file as openpyxl writes it: with formulas, and without their values."""
    book = Workbook()
    for row in rows:
        book.active.append(row)
    for each in merged:
        book.active.merge_cells(each)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def faults_of(kind, content):
    """(line, column) of what was refused."""
    faults = Faults()
    row, _ = KINDS[kind]
    try:
        rows = read(open_sheet(content), row, faults)
    except BadRows:
        rows = []
    return rows, [(fault["line"], fault["column"]) for fault in faults.found]


def file_with(kind, column, value):
    row, _ = KINDS[kind]
    needed = [n for n, about in row.model_fields.items() if about.is_required()]
    names = list(dict.fromkeys([*needed, column]))
    return names, [GOOD.get(n, "") if n != column else value for n in names]


@pytest.mark.parametrize("value", ['=IF(1=1,"protected_registration","none")', "#N/A", "#REF!"])
def test_a_formula_without_a_value_and_one_that_failed_refuse_their_row_in_every_column(value):
    assert len(COLUMNS) > 60
    for kind, column in COLUMNS:
        names, values = file_with(kind, column, value)
        assert faults_of(kind, excel([names, values])) == ([], [(2, column)]), (kind, column)


def test_a_merged_cell_refuses_the_rows_that_it_takes_the_value_from():
    for kind, column in COLUMNS:
        names, values = file_with(kind, column, "x")
        at = chr(ord("A") + names.index(column))
        _, wrong = faults_of(kind, excel([names, values, values], merged=[f"{at}2:{at}3"]))
        assert (3, column) in wrong, (kind, column)


@pytest.mark.parametrize("column", ["security_marking", "case_worker"])
@pytest.mark.parametrize("value", [" ", "\N{NO-BREAK SPACE}", "\t"])
def test_a_column_that_protects_is_not_empty_for_holding_spaces(column, value):
    names, values = file_with("learners", column, value)
    rows, wrong = faults_of("learners", excel([names, values]))
    assert (rows, wrong) == ([], [(2, column)])
    text = ",".join(names) + "\n" + ",".join(values) + "\n"
    assert faults_of("learners", text.encode()) == ([], [(2, column)])


def changed(content, change):
    """The file with another first sheet."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as plain, zipfile.ZipFile(out, "w") as made:
        for part in plain.infolist():
            text = plain.read(part)
            made.writestr(part, change(text) if part.filename == "xl/worksheets/sheet1.xml" else text)
    return out.getvalue()


def test_a_formula_whose_value_is_there_is_read_by_it():
    """Excel and LibreOffice write both; here as they do."""
    names, values = file_with("learners", "security_marking", '="no"&"ne"')

    def with_value(text):
        text = re.sub(rb"</f><v ?/?>(?:</v>)?", b"</f><v>none</v>", text)
        return re.sub(rb'(<c r="[A-Z]+2")([^>]*)(><f>)', rb'\1 t="str"\3', text)

    (row,), wrong = faults_of("learners", changed(excel([names, values]), with_value))
    assert wrong == []
    assert row[1].security_marking == "none"


async def test_a_preview_says_the_same():
    names, values = file_with("learners", "security_marking", "=A1")
    found = await preview(kind="learners", content=excel([names, values]), mapping={})
    assert [(f["line"], f["column"]) for f in found.faults] == [(2, "security_marking")]


def test_a_merged_range_over_the_whole_sheet_costs_no_more_than_its_rows():
    content = excel([["ref", "name"], *[["a", "b"]] * 50], merged=["A2:B3"])
    content = changed(content, lambda text: text.replace(b"A2:B3", b"A2:XFD1048576"))
    lines = [values for _, values in open_sheet(content).rows]
    assert [len(values) for values in lines] == [2] * 50
    assert isinstance(lines[1][1], Unclear)
    assert lines[2] == ["a", "b"], "what is written there stands"


def test_a_file_that_unpacks_to_more_than_is_read_is_refused(monkeypatch):
    monkeypatch.setattr(sheet, "MOST_UNPACKED", 10_000)
    content = excel([["ref"], *[[f"{n}" * 20] for n in range(500)]])
    assert len(content) < 10_000
    with pytest.raises(Problem, match="unpacked"):
        open_sheet(content)


def test_a_stray_cell_far_below_is_refused_soon_and_formulas_written_ahead_are_no_rows():
    content = excel([["ref", "name"], ["a", "b"]])
    far = changed(
        content, lambda text: text.replace(b'<row r="2"', b'<row r="3000000"').replace(b'"A2"', b'"A3000000"')
    )
    with pytest.raises(Problem, match="250,000 rows"):
        list(open_sheet(far).rows)
    names, values = file_with("learners", "case_worker", "")
    ahead = ['=IF(A3="","","x")'] * len(names)
    rows, wrong = faults_of("learners", excel([names, values, ahead, ahead]))
    assert (len(rows), wrong) == (1, [])
