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
from typing import Any
from xml.etree.ElementTree import ParseError

from kompetensnav_chassis.errors import Problem

MOST_COLUMNS = 200

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


@dataclass(frozen=True)
class Sheet:
    """A header, and its rows as (line number, values); line 1 is the header."""

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
    from openpyxl import load_workbook  # half a second that only an Excel file needs

    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # other programs write dimensions that are not those of the sheet
    except _UNREADABLE as bad:
        raise _unreadable() from bad

    def rows() -> Iterator[tuple[int, list[str]]]:
        try:
            for line, values in enumerate(sheet.iter_rows(values_only=True, max_col=MOST_COLUMNS), 1):
                texts = [_cell(value) for value in values]
                while texts and not texts[-1]:
                    texts.pop()
                if texts:
                    yield line, texts
        except _UNREADABLE as bad:
            raise _unreadable() from bad

    every = rows()
    return Sheet(_header(next(every, (1, []))[1]), every)


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
    return str(value)


def guess(header: list[str], columns: Mapping[str, Any]) -> dict[str, str | None]:
    """Column of the file -> our column, or None; by its name, or what it is called in Swedish."""
    found: dict[str, str | None] = {}
    for name in header:
        plain = re.sub(r"\s+", " ", name.strip().lower())
        ours = plain if plain in columns else ALIASES.get(plain) or plain.replace(" ", "_")
        found[name] = ours if ours in columns and ours not in found.values() else None
    return found
