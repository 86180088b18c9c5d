"""The security log: who was refused, who logged in, which links were used, what was exported, marked or
decided of retention. One JSON object a line, in a file or on standard output (`"log": "security"`).

Each line is sealed with the seal of the line before it (SHA-256, as the console's audit is), so that a line
that is changed, taken away or added is found: `kompetensnav care security FILE`. Lines hold no personal data:
a route is said as its template, a token and a body never.
"""

import hashlib
import json
import os
import secrets
import sys
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kompetensnav_chassis.db import traceparent
from kompetensnav_chassis.identity import Identity, municipalities

log = structlog.get_logger()
Act = Literal[
    "begins", "login", "logout", "link", "link-made", "export", "marking", "retention", "refused", "limited"
]
FIRST = "0" * 64
"""What stands for the seal before the first line."""
LONGEST = 20_000
"""Bytes that a line has at most."""
LARGEST = 100_000_000
"""Bytes after which a file is begun anew."""
REFUSED: dict[int, Act] = {401: "refused", 403: "refused", 429: "limited"}
Line = dict[str, object]

_noted: ContextVar[list[Act] | None] = ContextVar("noted", default=None)


def note(act: Act) -> None:
    """What is going on belongs in the security log; of a request it is written once, with what came of it.
    Beside any request (a job) nothing is written: nobody did it."""
    acts = _noted.get()
    if acts is not None and act not in acts:
        acts.append(act)


class Chain:
    """Writes the lines of one process, each sealed with the one before. In a file, the first says which line
    it follows. A file that has grown is put aside under the name `<file>.1`, over the one before."""

    def __init__(self, service: str, path: Path | None) -> None:
        self._service, self._path, self._number = service, path, 0
        self._id, self._previous = secrets.token_hex(8), FIRST
        self.write("begins", follows=_last_seal(path) if path else None)

    def write(self, act: Act, **about: object) -> None:
        """Adds a line. One that cannot be written is told of in the service's own log."""
        self._number += 1
        line: Line = {
            "log": "security",
            "service": self._service,
            "chain": self._id,
            "number": self._number,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "act": act,
            **about,
            "previous": self._previous,
        }
        self._previous = seal(line)
        text = json.dumps(line | {"seal": self._previous}) + "\n"
        try:
            if self._path is None:
                sys.stdout.write(text)
                sys.stdout.flush()
                return
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, text.encode())
                has_grown = os.fstat(file).st_size > LARGEST
            finally:
                os.close(file)
            if has_grown:
                self._path.replace(f"{self._path}.1")
        except OSError as full:
            log.error("security_log_not_written", act=act, error=type(full).__name__)


def seal(line: Mapping[str, object]) -> str:
    """SHA-256, hexadecimal, of everything in a line but its seal."""
    bare = {name: value for name, value in line.items() if name != "seal"}
    return hashlib.sha256(json.dumps(bare, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _last_seal(path: Path) -> str | None:
    """The seal of the last line of a file; None when there is none, as in a file that is begun anew."""
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - LONGEST, 0))
            lines = file.read().decode("utf-8", "replace").rstrip("\n").split("\n")
    except OSError:
        return None
    line = _line(lines[-1])
    return str(line.get("seal")) if line else None


def breaks(lines: Iterable[str]) -> list[str]:
    """Where a file does not fit together; empty when it does. It may begin in the middle of chains, as a file
    does that was begun anew. What is no line of the security log, such as what is beside it on standard
    output, is passed over."""
    found: list[str] = []
    chains: dict[str, tuple[int, str]] = {}
    seals: set[str] = set()
    is_first, is_begun_anew = True, False
    for place, text in enumerate(lines, 1):
        line = _line(text)
        if line is None:
            if '"log": "security"' in text:
                found.append(f"line {place} is no line of the log")
            continue
        id, number, seen = str(line["chain"]), int(str(line["number"])), str(line.get("seal"))
        if number == 1 and line.get("act") != "begins":
            found.append(f"line {place} begins a chain and does not say so")
        if number == 1 and not is_first and line.get("follows") not in (None, *seals):
            found.append(f"line {place} follows a line that is not there")
        is_begun_anew |= is_first and number > 1
        begun = chains.get(id, (number - 1, line.get("previous")) if is_begun_anew else (0, FIRST))
        if (number, line.get("previous")) != (begun[0] + 1, begun[1]):
            found.append(f"line {place} does not follow the line before it in its chain")
        if seen != seal(line):
            found.append(f"line {place} is not as it was written")
        is_first = False
        seals.add(seen)
        chains[id] = (number, seen)
    return found


def ends(lines: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Chain -> its last number and seal in a file: to be held against what was shipped, for a file whose end,
    or a whole chain, was taken away fits together as well."""
    known = (line for text in lines if (line := _line(text)))
    return {str(line["chain"]): (int(str(line["number"])), str(line.get("seal"))) for line in known}


def _line(text: str) -> Line | None:
    """A line of the log, whatever a container engine writes before it; None for anything else."""
    try:
        line: Line = json.loads(text[max(text.find("{"), 0) :], object_pairs_hook=_once)
        number = str(line["number"])
        is_one = line["log"] == "security" and line["chain"] and number.isascii() and number.isdecimal()
        seal(line)
        return line if is_one else None
    except (ValueError, KeyError, TypeError):
        return None


def _once(pairs: list[tuple[str, object]]) -> Line:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name twice")
    return dict(pairs)


class Watch:
    """Writes what a request was, when it belongs in the log: what was noted of it, and every refusal."""

    def __init__(self, app: ASGIApp, chain: Chain) -> None:
        self._app, self._chain = app, chain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        acts: list[Act] = []
        is_answered = False

        def write(status: int) -> None:
            nonlocal is_answered
            is_answered = True
            for act in dict.fromkeys((*acts, *_acts(scope, status))):
                self._chain.write(act, status=status, **_about(scope, act))

        async def seen(message: Message) -> None:
            if message["type"] == "http.response.start":  # before anybody has the answer
                write(message["status"])
            await send(message)

        before = _noted.set(acts)
        try:
            await self._app(scope, receive, seen)
        except Exception:
            if not is_answered:
                write(500)  # as it is answered further out
            raise
        finally:
            _noted.reset(before)


def _acts(scope: Scope, status: int) -> list[Act]:
    """What a request was by its route and its answer: a link that was used, or a refusal."""
    if "token" in scope.get("path_params", {}):
        return ["link"]
    if status == 404 and _identity(scope) is not None and scope.get("route") is not None:
        return ["refused"]  # what is out of reach is answered as what is not there
    return [REFUSED[status]] if status in REFUSED else []


def _identity(scope: Scope) -> Identity | None:
    known: Identity | None = scope.get("state", {}).get("identity")
    return known


def _about(scope: Scope, act: Act) -> Line:
    who, route = _identity(scope), scope.get("route")
    municipality = scope.get("path_params", {}).get("municipality", "")
    client = scope.get("client")
    return {
        "method": scope["method"],
        "route": str(getattr(route, "path", "")),
        "municipality": municipality if municipality in municipalities() else "",
        "subject": who.subject[:200] if who else "",
        "roles": sorted(who.roles) if who else [],
        "scope": [*who.municipalities, *who.administrations] if who else [],
        "address": client[0] if client else "",
        # the events that follow from a marking have the same trace, and say whom they are of
        "trace": "" if act == "marking" else (traceparent.get() or "--").split("-")[1],
    }
