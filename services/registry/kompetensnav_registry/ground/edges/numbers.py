"""Organisation numbers, personal numbers, coordination numbers and temporary numbers. No error repeats the
number it is about.

Sources: Folkbokföringslagen (1991:481) 18 § (personal number), lag (2022:1697) (coordination number: day +
60), SCB's and Skolverket's convention for pupils without either (`YYYYMMDD-TFnn`).
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from organisationsnummer.organisationsnummer import Organisationsnummer, OrganisationsnummerException
from personnummer.personnummer import Personnummer, PersonnummerException

_TEMPORARY = re.compile(r"(\d{4})(\d{2})(\d{2})-?(TF\d{2})", re.IGNORECASE)

_DASH = "-\u2010-\u2015\u2212"

_IN_TEXT = re.compile(
    rf"(?<!\d)(?:\d{{2}})?\d{{2}}[{_DASH}/. ]?\d{{2}}[{_DASH}/. ]?\d{{2}} ?[{_DASH}+/]? ?\d{{4}}"
    rf"(?!\d|[{_DASH}/.]\d{{1,2}}[{_DASH}/.]\d)"
    rf"|(?<!\d)\d{{8}} ?[{_DASH}/]? ?TF ?\d{{2}}(?!\d)",
    re.IGNORECASE,
)
"""However people write them: with another dash, a slash, dots or spaces. Two days are no number."""

_PHONE = re.compile(r"(?<![\w-])(?:\+46|00 ?46|0)[\s(]*\d(?:[\s()/-]*\d){6,9}(?![\w-])")

_STREET = re.compile(
    r"\b[A-ZÅÄÖ][a-zåäöé]*(?:gatan|vägen|gränd|torget|stigen|allén|backen|plan) \d{1,3}(?: ?[A-Za-z])?\b"
)


@dataclass(frozen=True)
class IdentityNumber:
    """A person's number in its full form, `YYYYMMDD-NNNN` or `YYYYMMDD-TFnn`."""

    text: str
    kind: Literal["personal", "coordination", "temporary"]
    born_on: date


def identity_number(given: str) -> IdentityNumber:
    """The number as it is kept. Raises ValueError, which does not repeat it."""
    plain = given.strip()
    if temporary := _TEMPORARY.fullmatch(plain):
        year, month, day, tail = temporary.groups()
        try:
            born_on = date(int(year), int(month), int(day))
        except ValueError:
            raise ValueError("the day in the temporary number does not exist (dagen finns inte)") from None
        return IdentityNumber(f"{year}{month}{day}-{tail.upper()}", "temporary", born_on)
    try:
        read = Personnummer(plain)
    except PersonnummerException:
        raise ValueError(
            "not a valid personal, coordination or temporary number (ogiltigt person-, samordnings- eller"
            " TF-nummer)"
        ) from None
    kind: Literal["personal", "coordination"] = (
        "coordination" if read.is_coordination_number() else "personal"
    )
    digits = read.format(long_format=True)
    born_on = read.get_date()
    return IdentityNumber(f"{digits[:8]}-{digits[8:]}", kind, date(born_on.year, born_on.month, born_on.day))


def organisation_number(given: str) -> str:
    """The ten digits of an organisation number; a sole trader's are those of a personal number. Raises
    ValueError, which does not repeat it."""
    digits = given.replace("-", "").replace(" ", "").strip()
    try:
        read = Organisationsnummer(digits)
    except OrganisationsnummerException:
        raise ValueError("not a valid organisation number (ogiltigt organisationsnummer)") from None
    digits = digits[-10:]
    if is_sole_trader(digits) and not read.is_personnummer():
        raise ValueError("not a valid organisation number (ogiltigt organisationsnummer)")
    return digits


def is_sole_trader(org_number: str) -> bool:
    """Whether the ten digits are a person's: a legal person's third digit is at least 2."""
    return org_number[2] < "2"


def legal_person(given: str) -> str:
    """The ten digits of a legal person's number. Raises ValueError, also for a sole trader's."""
    digits = organisation_number(given)
    if is_sole_trader(digits):
        raise ValueError(
            "a sole trader's number is a personal number and is not accepted here (enskild firma)"
        )
    return digits


def masked(text: str) -> str:
    """The text with everything that looks like a person's number blotted out."""
    return _IN_TEXT.sub("••••••••", text)


@dataclass(frozen=True)
class Found:
    """Something personal in a free text, by its place: characters `starts` to `ends`, from 0."""

    what: Literal["number", "phone", "address"]
    starts: int
    ends: int


def personal_parts(text: str) -> list[Found]:
    """What in a free text belongs elsewhere: numbers of persons (refused), phone numbers and addresses
    (offered to be moved to the contact's fields), in order."""
    found = [Found("number", m.start(), m.end()) for m in _IN_TEXT.finditer(text) if _is_a_number(m[0])]
    taken = {i for f in found for i in range(f.starts, f.ends)}
    for what, pattern in (("phone", _PHONE), ("address", _STREET)):
        for match in pattern.finditer(text):
            if match.start() not in taken:
                found.append(Found(what, match.start(), match.end()))  # type: ignore[arg-type]
    return sorted(found, key=lambda f: f.starts)


def _is_a_number(text: str) -> bool:
    """Right check digit and day, so that an order number of ten digits may stand; a wrong one that looks like
    a person's (with its dash) may not."""
    tail = re.search(rf"([{_DASH}+/]?) ?(?:TF)? ?\d{{2,4}}$", text, re.IGNORECASE)
    dash = "" if tail is None or not tail[1] else "+" if tail[1] == "+" else "-"
    plain = re.sub(r"[^0-9TF]", "", text.upper())
    written = f"{plain[:-4]}{dash}{plain[-4:]}"
    try:
        return identity_number(written).born_on <= datetime.now(UTC).date()
    except ValueError:
        return bool(re.fullmatch(r"(?:19|20)?\d{2}(?:0[1-9]|1[0-2])(?:[0-8]\d|9[01])[-+]\d{4}", written))
