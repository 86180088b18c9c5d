"""Files with columns: CSV (comma, semicolon or tab) and Excel, whichever it is; and their columns named as
ours."""

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import repeat
from typing import Any, NamedTuple
from xml.etree.ElementTree import ParseError

from kompetensnav_chassis.errors import Problem

MOST_COLUMNS = 200
MOST_UNPACKED = 500_000_000
"""Bytes."""
MOST_LINES = 250_000
MOST_CELLS = 10_000_000
MOST_MERGED = 2_000
MOST_BESIDE = 100_000_000
"""Bytes of what is in a file beside its sheets: it is read whole."""

OTHERS = {
    b"%PDF": ("a PDF", "en PDF"),
    b"\xd0\xcf\x11\xe0": (
        "an old Excel file (.xls); save it as .xlsx",
        "en gammal Excelfil (.xls); spara som .xlsx",
    ),
    b"{": ("JSON", "JSON"),
    b"<": ("XML or HTML", "XML eller HTML"),
}
"""First bytes of what is sent by mistake."""

ALIASES = {
    "referens": "ref", "id": "ref", "förnamn": "given_name", "efternamn": "family_name", "e-post": "email",
    "epost": "email", "vårdnadshavares e-post": "guardian_email", "födelsedatum": "born_on",
    "skola": "school",
    "skolenhet": "school", "ort": "locality", "förvaltning": "administration",
    "personnummer": "identity_number", "språknivå": "language", "program": "programme",
    "årskurs": "study_year",
    "telefon": "phone", "adress": "address", "postnummer": "postal_code", "yrkesmål": "aims_at",
    "klar": "finishes_on", "skydd": "security_marking", "handläggare": "case_worker",
    "organisationsnummer": "org_number", "orgnr": "org_number", "namn": "name", "sektor": "sector",
    "arbetsställe": "workplace", "yrke": "occupation", "ssyk": "occupation", "form": "placement_type",
    "praktikform": "placement_type", "från": "starts_on", "startdatum": "starts_on", "till": "ends_on",
    "slutdatum": "ends_on", "platser": "seats", "antal platser": "seats",
    "mottagarkapacitet": "reception_capacity", "kontaktperson": "contact_name",
    "kontaktens e-post": "contact_email", "elev": "learner", "deltagare": "learner", "önskemål": "wishes",
    "behov": "needs", "restid": "max_travel_minutes", "delas med": "shared_with",
    "beskrivning": "description",
}  # fmt: skip
"""What columns are called in Swedish files -> our column."""


ERROR = re.compile(
    r"#(?:NULL!|DIV/0!|VALUE!|REF!|NAME\?|NUM!|N/A|GETTING_DATA"
    r"|SPILL!|CALC!|FIELD!|BLOCKED!|CONNECT!|UNKNOWN!|BUSY!)"
)
"""What a cell shows whose formula failed (ECMA-376, 18.17.3, and Excel's later ones)."""


class Unclear(str):
    """A cell that is not empty and whose value the file does not hold; the text is why."""


@dataclass(frozen=True)
class Sheet:
    """A header, and its rows as (line number, values); line 1 is the header. A value that the file does not
    hold is Unclear, and never empty."""

    header: list[str]
    rows: Iterator[tuple[int, list[str]]]


def open_sheet(content: bytes) -> Sheet:
    """The rows of a CSV or Excel file. Raises Problem for another format or encoding, saying which it looks
    like and what to do."""
    if content[:4] == b"PK\x03\x04":
        return _excel(content)
    for start, (en, sv) in OTHERS.items():
        if content.lstrip()[: len(start)] == start:
            raise Problem(f"It is not CSV or Excel, but {en}.", f"Det är inte CSV eller Excel, utan {sv}.")
    _check_number(content.count(b"\n"))
    return _csv(_text(content))


def _text(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or content[:40].count(0) > 10:
        raise Problem(
            "The file is UTF-16. Save it as CSV UTF-8.", "Filen är UTF-16. Spara den som CSV UTF-8."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as bad:
        raise Problem(
            f"The file is not UTF-8 (byte {bad.start}; it looks like Windows-1252). Save it as CSV UTF-8.",
            f"Filen är inte UTF-8 (byte {bad.start}; den ser ut som Windows-1252). Spara den som CSV UTF-8.",
        ) from bad


def _csv(text: str) -> Sheet:
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)

    def rows() -> Iterator[tuple[int, list[str]]]:
        try:
            for values in reader:
                if values:
                    yield reader.line_num, values
        except csv.Error as bad:
            raise Problem(
                f"Line {reader.line_num} is not CSV: {bad}. Save the file as CSV UTF-8 again.",
                f"Rad {reader.line_num} är inte CSV. Spara filen som CSV UTF-8 igen.",
            ) from bad

    every = rows()
    return Sheet(_header(next(every, (1, []))[1]), every)


def _excel(content: bytes) -> Sheet:
    from openpyxl.formula.tokenizer import TokenizerError  # half a second that only an Excel file needs
    from openpyxl.formula.translate import TranslatorError

    unreadable = (*_UNREADABLE, TokenizerError, TranslatorError)
    try:
        _check_size(content)
        first = _first_sheet(content, data_only=True)
        has_formulas, merged = _looked_over(first)
        formulas = _first_sheet(content, data_only=False) if has_formulas else None
    except unreadable as bad:
        raise _unreadable() from bad

    def rows() -> Iterator[tuple[int, list[str]]]:
        try:
            given = first.iter_rows(values_only=True, max_col=MOST_COLUMNS)
            behind = formulas.iter_rows(max_col=MOST_COLUMNS) if formulas else repeat(())
            active: list[_Merged] = []
            coming, width = merged[::-1], 0
            for line, (values, cells) in enumerate(zip(given, behind, strict=False), 1):
                _check_number(line)  # rows that are left out come as empty ones
                if not cells and not active and not coming and values.count(None) == len(values):
                    continue
                texts = [_cell(value) for value in values]
                is_empty = not any(texts)
                for at, cell in enumerate(cells):
                    if cell.data_type == "f" and not texts[at]:
                        texts[at] = Unclear("a formula whose value is not in the file; save the values alone")
                while coming and coming[-1].top <= line:
                    active.append(coming.pop())
                active = [each for each in active if each.bottom >= line]
                for each in active:
                    for at in range(each.left, min(each.right + 1, width)):
                        texts[at] = texts[at] or Unclear("a merged cell; give each row its own value")
                if is_empty and not active:
                    continue  # formulas that show nothing, written ahead of the rows to come
                while texts and not texts[-1]:
                    texts.pop()
                if texts:
                    width = width or len(texts)
                    yield line, texts
        except unreadable as bad:
            raise _unreadable() from bad

    every = rows()
    return Sheet(_header(next(every, (1, []))[1]), every)


def _check_number(lines: int, cells: int = 0, merged: int = 0) -> None:
    """Raises Problem for more than is read."""
    if lines > MOST_LINES or cells > MOST_CELLS or merged > MOST_MERGED:
        raise Problem(
            f"A file has at most {MOST_LINES:,} rows and {MOST_CELLS:,} cells. Split it.",
            f"En fil har högst {MOST_LINES:,} rader och {MOST_CELLS:,} celler. Dela den.",
        )


def _check_size(content: bytes) -> None:
    """Raises Problem for a file that unpacks to more than is read."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
        beside = sum(part.file_size for part in parts if "/worksheets/" not in part.filename)
        if sum(part.file_size for part in parts) > MOST_UNPACKED or beside > MOST_BESIDE:
            raise Problem(
                f"The file is over {MOST_UNPACKED // 1_000_000} MB when it is unpacked. Split it.",
                f"Filen är över {MOST_UNPACKED // 1_000_000} MB när den packas upp. Dela den.",
            )


def _first_sheet(content: bytes, *, data_only: bool) -> Any:
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(content), read_only=True, data_only=data_only)
    sheet = book.worksheets[0]
    sheet.reset_dimensions()  # other programs write dimensions that are not those of the sheet
    return sheet


_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_ROW, _CELL = re.compile(rb"<(?:\w+:)?row[\s/>]"), re.compile(rb"<(?:\w+:)?c[\s/>]")
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\s[^>]*?ref=["']([A-Z]+)(\d+):([A-Z]+)(\d+)["']""")


class _Merged(NamedTuple):
    top: int
    bottom: int
    left: int
    """Columns are counted from 0."""
    right: int


_OVERLAP = 200
"""Bytes that are looked at again, so that nothing is cut in two."""


def _looked_over(sheet: Any) -> tuple[bool, list[_Merged]]:
    """Whether a sheet has formulas; and its merged ranges, the uppermost first."""
    from openpyxl.utils import column_index_from_string as index

    has_formulas, merged, tail, lines, cells = False, set[_Merged](), b"", 0, 0
    with sheet.parent._archive.open(sheet._worksheet_path) as source:  # no public name leads to it
        while chunk := source.read(1 << 20):
            text = tail + chunk
            has_formulas = has_formulas or _FORMULA.search(text) is not None
            merged |= {
                _Merged(int(top), int(bottom), index(left.decode()) - 1, index(right.decode()) - 1)
                for left, top, right, bottom in _MERGED.findall(text)
            }
            lines, cells = lines + len(_ROW.findall(chunk)), cells + len(_CELL.findall(chunk))
            _check_number(lines, cells, len(merged))
            tail = text[-_OVERLAP:]
    return has_formulas, sorted(merged)


_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    ParseError,
    KeyError,
    IndexError,
    OSError,
    ValueError,
    TypeError,
)
"""What openpyxl raises for a file that is broken, at its start or anywhere in it."""


def _unreadable() -> Problem:
    return Problem(
        "It looks like an Excel file, but cannot be read. Save it as .xlsx again.",
        "Det ser ut som en Excelfil men går inte att läsa. Spara den som .xlsx igen.",
    )


def _header(names: list[str]) -> list[str]:
    """The names of the columns."""
    header = [name.strip() for name in names]
    while header and not header[-1]:
        header.pop()
    return header


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value)
    return Unclear("a formula that failed; mend it or write the value") if ERROR.fullmatch(text) else text


def guess(header: list[str], columns: Mapping[str, Any]) -> dict[str, str | None]:
    """Column of the file -> our column, or None; by its name, or what it is called in Swedish."""
    found: dict[str, str | None] = {}
    for name in header:
        plain = re.sub(r"\s+", " ", name.strip().lower())
        ours = plain if plain in columns else ALIASES.get(plain) or plain.replace(" ", "_")
        found[name] = ours if ours in columns and ours not in found.values() else None
    return found
