"""Types for values that come from outside: codes, days, texts and addresses, each refused with a reason."""

import csv
import re
import unicodedata
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import AfterValidator, EmailStr, Field, StringConstraints

from kompetensnav_chassis.identity import municipalities

FIRST, LAST = date(2000, 1, 1), date(2100, 12, 31)


def _known(code: str) -> str:
    if code not in municipalities() and not re.fullmatch(r"[a-z][a-z0-9_]{1,30}", code):
        raise ValueError(f"unknown municipality {code[:20]!r} (okänd kommunkod)")
    return code


def _near(day: date) -> date:
    if not FIRST <= day <= LAST:
        raise ValueError(f"a day lies between {FIRST} and {LAST} (orimligt datum)")
    return day


def _plain(text: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("control characters are not accepted (styrtecken godtas inte)")
    return text


def _ascii(address: str) -> str:
    if not address.isascii():
        raise ValueError("an e-mail address is written with a-z only (skriv adressen utan å, ä, ö)")
    return address


Municipality = Annotated[str, AfterValidator(_known)]
"""An SCB code, or the code of a body that is no municipality."""
Administration = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
"""A short code: locality, school."""
Day = Annotated[date, AfterValidator(_near)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_plain)]
Email = Annotated[EmailStr, AfterValidator(_ascii)]
"""An address that any mail server takes: mailboxes outside ASCII need SMTPUTF8, which few offer."""


Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9][0-9 ()/-]{4,30}$")]
PostalCode = Annotated[str, StringConstraints(pattern=r"^\d{5}$")]


@cache
def _occupations() -> dict[str, str]:
    text = (files("kompetensnav_chassis") / "data/occupations.csv").read_text()
    return {row["ssyk"]: row["name"] for row in csv.DictReader(text.splitlines())}


def occupation_name(code: str) -> str:
    """The Swedish name of an SSYK 2012 group; the code itself for one that is not in the table."""
    return _occupations().get(code, code)
