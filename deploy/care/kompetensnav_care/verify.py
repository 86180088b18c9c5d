"""Verifies a system, running or at rest: reads all of it once and holds every invariant against it."""

import email
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from kompetensnav_care.counts import Running
from kompetensnav_care.invariants import INVARIANTS, i10_nothing_personal_is_published
from kompetensnav_care.rebuild import Compared, compare
from kompetensnav_care.world import BASES, Unreachable, World, read_world

__all__ = ["Line", "Unreachable", "Verdict", "verify"]
NAMES = {
    "I1": "every acknowledged slot is everywhere",
    "I2": "one active placement at a time",
    "I3": "seats are never exceeded",
    "I4": "one effect per event",
    "I5": "revisions are contiguous",
    "I6": "one message per recipient",
    "I7": "reports add up",
    "I8": "nothing is in limbo",
    "I9": "municipalities agree",
    "I10": "nothing personal is published",
    "I11": "a rebuild gives the same",
}


@dataclass(frozen=True)
class Line:
    """What came of one look."""

    invariant: str
    looked_at: str
    outcome: str
    what: str = ""
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """Every line, and what they come to."""

    lines: tuple[Line, ...]
    events: int
    waiting: int

    @property
    def exit_code(self) -> int:
        """0 = as promised; 1 = not."""
        return int(any(line.outcome not in ("ok", "unknown") for line in self.lines))

    @property
    def summary(self) -> str:
        """In one sentence."""
        wrong = sum(line.outcome not in ("ok", "unknown") for line in self.lines)
        how = "All as promised" if not wrong else f"{wrong} promise(s) broken"
        still = f"; {self.waiting} message(s) still on their way" if self.waiting else ""
        return f"{how}, over {self.events:,} events{still}."

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "lines": [asdict(line) for line in self.lines],
            "events": self.events,
            "waiting": self.waiting,
            "violations": sum(len(line.ids) for line in self.lines if line.outcome not in ("ok", "unknown")),
            "outcomes": dict(Counter(line.outcome for line in self.lines)),
        }


async def verify(
    running: Running,
    *,
    mail: Path | None = None,
    asked: Path | None = None,
    canaries: Sequence[str] = (),
    rebuild_by: str = "",
) -> Verdict:
    """The verdict over a system; with a superuser's URL also over rebuilt projections.

    Raises Unreachable when something could not be read, or when a table is empty that the log says cannot be.
    """
    world = await read_world(running)
    if mail is not None:
        world = replace(world, mails=_mails(mail))
    if asked is not None:
        world = replace(world, asked=[json.loads(line) for line in asked.read_text().splitlines()])
    for (service, view), name in BASES.items():
        if not world.of(service, view) and _settled(world, service, name):
            raise Unreachable(f"facts.{view} of {service} is empty, and {name} has been published.")
    verdict = judge(world, canaries)
    if not rebuild_by:
        return verdict
    if not world.is_at_rest:
        line = Line("I11", NAMES["I11"], "unknown", "the system is at work; a rebuild compares one at rest")
        return replace(verdict, lines=(*verdict.lines, line))
    return replace(verdict, lines=(*verdict.lines, *_rebuilt(await compare(running, rebuild_by))))


def _rebuilt(compared: Sequence[Compared]) -> Iterator[Line]:
    for one in compared:
        about = f"{one.service}: {one.rows:,} rows from {one.events:,} events in {one.seconds:.1f} s"
        yield Line(
            "I11",
            NAMES["I11"],
            "unexpected" if one.differ else "ok",
            f"{about}; {'not as rebuilt' if one.differ else f'hash {one.hash}'}",
            one.differ,
        )


def _settled(world: World, service: str, name: str) -> bool:
    """Whether the service must know such an event by now."""
    if service == "registry":
        return bool(world.published(name))
    return any(
        world.due(consumer, name)
        for consumer, names in world.filters.items()
        if consumer.startswith(f"{service}-") and name in names
    )


def judge(world: World, canaries: Sequence[str] = ()) -> Verdict:
    """Every invariant against a world."""
    lines = []
    for key, check in (
        INVARIANTS | {"I10": partial(i10_nothing_personal_is_published, canaries=canaries)}
    ).items():
        found = list(check(world))
        lines += [Line(key, NAMES[key], f.outcome, f.what, f.ids) for f in found]
        if not any(f.outcome != "unknown" for f in found):
            lines.append(Line(key, NAMES[key], "ok"))
    return Verdict(tuple(lines), len(world.log), sum(world.waiting.values()) + len(world.unsent))


def _mails(folder: Path) -> dict[str, int]:
    found: Counter[str] = Counter()
    for path in folder.glob("*.eml"):
        id = str(email.message_from_bytes(path.read_bytes())["Message-ID"])
        if not id.strip().endswith("@operations.kompetensnav>"):  # alerts, which are no message of the log
            found[id.strip("<>").partition("@")[0]] += 1
    return found
