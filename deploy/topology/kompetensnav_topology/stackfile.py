"""`stack.toml`: what a stack consists of, in one readable file.

name = "norrbotten"
municipalities = ["2580", "2581"]

[[partner]]
name = "jobbcentrum"
events = ["registry.slot.offered.v1"]
municipalities = ["2580"]            # all of the stack's, when left out

[[service]]
name = "visits"
listens = { "visits-registry" = ["registry.slot.posted.v1"] }
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError

from kompetensnav_topology.stack import OPERATORS, Service

STACK = re.compile(r"[a-z][a-z0-9_]{0,30}")
NAME = re.compile(r"[a-z][a-z0-9]{1,30}")
DURABLE = re.compile(r"[a-z][a-z0-9-]{1,60}")
MUNICIPALITY = re.compile(r"\d{4}")
EVENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){2,}\.v\d+")
KEYS = {
    "": {"name", "municipalities", "partner", "service"},
    "partner": {"name", "events", "municipalities"},
    "service": {"name", "listens", "asks", "answers"},
}


class BadFile(Exception):
    """Something in the file does not fit; the message says where and why."""


@dataclass(frozen=True)
class Partner:
    """Who may read some public events of some municipalities, over one durable consumer."""

    name: str
    events: tuple[str, ...]
    municipalities: tuple[str, ...]

    @property
    def durable(self) -> str:
        """The consumer that was made for it."""
        return f"partner-{self.name}"

    @property
    def account(self) -> str:
        """The NATS account it lives in, apart from the stack's."""
        return f"PARTNER_{self.name.upper()}"

    @property
    def filters(self) -> list[str]:
        """The subjects it hears of: public ones alone, by construction."""
        return [f"nav.{code}.pub.{event}" for code in self.municipalities for event in self.events]


@dataclass(frozen=True)
class StackFile:
    """A stack as its file describes it."""

    name: str
    municipalities: tuple[str, ...]
    partners: tuple[Partner, ...] = ()
    services: tuple[Service, ...] = ()


class _Text:
    """A file's text, to say on which line something stands."""

    def __init__(self, path: Path, text: str) -> None:
        self._path, self._lines = path, text.splitlines()

    def bad(self, value: Any, why: str, nth: int = 1) -> BadFile:
        """The fault, with the line where the value stands for the nth time."""
        found = [n for n, line in enumerate(self._lines, 1) if str(value) in line.partition("#")[0]]
        where = f":{found[min(nth, len(found)) - 1]}" if found else ""
        return BadFile(f"{self._path}{where}: {why}")


def read(path: Path) -> StackFile:
    """The stack of a file. Raises BadFile with the line and the reason."""
    try:
        content = path.read_text()
        document = tomlkit.parse(content).unwrap()
    except OSError as error:
        raise BadFile(f"{path}: cannot be read: {error.strerror}") from None
    except ParseError as error:
        raise BadFile(f"{path}:{error.line}: no TOML: {error}. Texts and times stand in quotes") from None
    except TOMLKitError as error:
        raise BadFile(f"{path}: no TOML: {error}") from None
    text = _Text(path, content)
    _known(text, "", document)
    name = str(document.get("name", ""))
    if not STACK.fullmatch(name):
        raise text.bad("name", f"{name!r} is no name of a stack (small letters, digits and _)")
    codes = _texts(text, "municipalities", document.get("municipalities", []))
    if not codes:
        raise text.bad("municipalities", "name the municipalities of the stack")
    for code in codes:
        if not MUNICIPALITY.fullmatch(code):
            raise text.bad(f'"{code}"', f"{code!r} is no municipality's code of four digits")
    _once(text, codes, "the municipality")
    partners = tuple(_partner(text, row, codes) for row in _tables(text, document, "partner"))
    services = tuple(_service(text, row) for row in _tables(text, document, "service"))
    _once(text, [*(p.name for p in partners), *(s.name for s in services)], "the name")
    _once(text, [durable for service in services for durable in service.durables], "the consumer")
    return StackFile(name, codes, partners, services)


def _partner(text: _Text, row: Mapping[str, Any], codes: tuple[str, ...]) -> Partner:
    name = _name(text, row)
    events = _texts(text, "events", row.get("events", []))
    if not events:
        raise text.bad(f'"{name}"', f"name the events that {name} may read")
    for event in events:
        if not EVENT.fullmatch(event):
            raise text.bad(f'"{event}"', f"{event!r} is no event; write one whole name, as in docs/events.md")
    mine = _texts(text, "municipalities", row.get("municipalities", list(codes)))
    for code in mine:
        if code not in codes:
            raise text.bad(f'"{code}"', f"{code!r} is none of the stack's municipalities")
    return Partner(name, events, mine)


def _service(text: _Text, row: Mapping[str, Any]) -> Service:
    name = _name(text, row)
    listens = row.get("listens", {})
    if not isinstance(listens, Mapping):
        raise text.bad("listens", "listens is { consumer = [events] }")
    for durable, events in listens.items():
        if not DURABLE.fullmatch(durable):
            raise text.bad(durable, f"{durable!r} is no consumer's name (small letters, digits and -)")
        for event in _texts(text, durable, events):
            if not EVENT.fullmatch(event):
                raise text.bad(f'"{event}"', f"{event!r} is no event; write one whole name")
    asks, answers = (_texts(text, key, row.get(key, [])) for key in ("asks", "answers"))
    return Service(name, {d: tuple(e) for d, e in listens.items()}, asks, answers)


def _name(text: _Text, row: Mapping[str, Any]) -> str:
    name = str(row.get("name", ""))
    if not NAME.fullmatch(name):
        raise text.bad(f'"{name}"', f"{name!r} is no name (small letters and digits)")
    if name in OPERATORS:
        raise text.bad(f'"{name}"', f"{name!r} is the name of an operators' user")
    return name


def _tables(text: _Text, document: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    rows = document.get(kind, [])
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise text.bad(kind, f"write [[{kind}]] before each")
    for row in rows:
        _known(text, kind, row)
    return rows


def _known(text: _Text, kind: str, row: Mapping[str, Any]) -> None:
    for key in row:
        if key not in KEYS[kind]:
            known = ", ".join(sorted(KEYS[kind]))
            raise text.bad(key, f"{key!r} is not known here; known are {known}")


def _texts(text: _Text, key: str, values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise text.bad(key, f"{key} is a list of texts in quotes")
    return tuple(values)


def _once(text: _Text, names: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise text.bad(f'"{name}"', f"{what} {name!r} stands twice", nth=2)
        seen.add(name)


def add(path: Path, kind: str, values: Mapping[str, Any]) -> StackFile:
    """Adds a partner or a service to the file, which keeps its comments; returns the stack. Raises BadFile
    and leaves the file as it was."""
    read(path)
    before = path.read_text()
    row = tomlkit.table()
    for key, value in values.items():
        row.add(key, value)
    document: Any = tomlkit.parse(before)
    if kind not in document:
        document.add(kind, tomlkit.aot())
    document[kind].append(row)
    return _written(path, before, tomlkit.dumps(document))


def remove(path: Path, name: str) -> StackFile:
    """Takes a partner or a service out of the file; returns the stack. Raises BadFile."""
    read(path)
    before = path.read_text()
    document: Any = tomlkit.parse(before)
    for kind in ("partner", "service"):
        for at, row in enumerate(document.get(kind, [])):
            if row["name"] == name:
                del document[kind][at]
                return _written(path, before, tomlkit.dumps(document))
    raise BadFile(f"{path}: there is no partner or service {name!r}")


def _written(path: Path, before: str, after: str) -> StackFile:
    path.write_text(after)
    try:
        return read(path)
    except BadFile:
        path.write_text(before)
        raise
