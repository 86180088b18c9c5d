"""The languages of pages: which there are, which a municipality offers, which a reader prefers."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import Request

COOKIE = "language"


@dataclass(frozen=True)
class Language:
    """A language as a page names it."""

    code: str
    """BCP 47: `sv`."""
    name: str
    """In the language itself."""
    direction: str = "ltr"
    """`ltr` or `rtl`."""


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads((files("kompetensnav_pages") / "data/languages.toml").read_text())


@cache
def languages() -> dict[str, Language]:
    """Code -> language, of all that a page may be in."""
    return {code: Language(code, **row) for code, row in _data()["languages"].items()}


def spoken_in(municipality: str) -> tuple[str, ...]:
    """The codes of the languages in which a municipality meets people, its first one first; those of every
    municipality when it names none of its own, or when no municipality is meant."""
    rows: dict[str, list[str]] = _data()["municipalities"]
    return tuple(rows.get(municipality, rows["every"]))


def preferred(request: Request, there_are: Iterable[str]) -> str:
    """What a reader asks for in the address, chose before, or else what their browser prefers, among those
    that there are; the first of them when none fits."""
    known = tuple(there_are)
    accepted = request.headers.get("accept-language", "")
    wishes = [request.query_params.get("lang", ""), request.cookies.get(COOKIE, ""), *_by_weight(accepted)]
    return next((wish for each in wishes if (wish := _base(each)) in known), known[0])


def _by_weight(accepted: str) -> list[str]:
    """The languages of an `Accept-Language` header (RFC 9110, 12.5.4), the most wanted first."""
    weighed = []
    for part in accepted.split(","):
        name, _, weight = part.partition(";q=")
        try:
            weighed.append((-float(weight or 1), name.strip()))
        except ValueError:
            continue
    return [name for weight, name in sorted(weighed, key=lambda each: each[0]) if weight < 0]


def _base(tag: str) -> str:
    return tag.strip().lower().partition("-")[0]
