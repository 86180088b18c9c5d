"""A single seat as one statement: the database function `reserve_seat` locks, asks and writes.

`domain.Ledger` says the same of many seats at once; a test holds the two against each other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import String, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import NotFound
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import CapacityChanged
from kompetensnav_contracts.vocabulary import Refusal
from kompetensnav_registry import domain
from kompetensnav_registry.actions import rules
from kompetensnav_registry.domain.rules import Setting
from kompetensnav_registry.tables import Base, Request, Slot

R = TypeVar("R", bound=Base)
_RESERVE = (
    text("select reserve_seat(:slot, :host, :request, :home, :seat, :cause) as done")
    .bindparams(
        *(bindparam(name, type_=Uuid) for name in ("slot", "request", "seat", "cause")),
        *(bindparam(name, type_=String) for name in ("host", "home")),
    )
    .columns(done=JSONB)
)


@dataclass(frozen=True)
class Reserved:
    """A seat that is held: whose, and in what, as they were under the lock (not to be written)."""

    slot: Slot
    request: Request


async def reserve(
    session: Session, *, host: str, slot_id: UUID, home: str, request_id: UUID, seat_id: UUID, cause_id: UUID
) -> Reserved | None:
    """Holds a seat, and tells what is left. None when the slot lies in another municipality and is not
    open to everyone: that takes the agreements too. Raises NotFound, OtherPlacementType, the ledger's
    refusals, or RuleBroken."""
    values = {"slot": slot_id, "host": host, "request": request_id, "home": home, "seat": seat_id}
    done: dict[str, Any] = await session.scalar(_RESERVE, values | {"cause": cause_id})
    match done.get("missing"):
        case "slot":
            raise NotFound("There is no such slot.", "Det finns ingen sådan plats.")
        case "request":
            raise NotFound("There is no such request.", "Det finns inget sådant önskemål.")
    if "other_type" in done:
        raise domain.OtherPlacementType
    if "apart" in done:
        return None
    if "refusal" in done:
        raise domain.refused(Refusal(done["refusal"]))
    slot, request = _row(Slot, done["slot"]), _row(Request, done["request"])
    facts = _known(request, slot, done)
    if broken := rules.seat_broken(facts, request, slot):
        raise rules.RuleBroken(broken)
    for moved in done["changed"]:
        tell(
            session,
            CapacityChanged(slot_id=moved["slot_id"], seats_left=moved["seats_left"]),
            municipality=host,
            revision=moved["capacity_revision"],
        )
    return Reserved(slot, request)


def _known(request: Request, slot: Slot, done: Mapping[str, Any]) -> rules.Known:
    settings = [
        Setting(
            s["rule"],
            date.fromisoformat(s["valid_from"]),
            _day(s["valid_to"]),
            s["parameters"],
            s["switched_off"],
        )
        for s in done["settings"]
    ]
    learner, supervisor = done["learner"], done["supervisor"]
    return rules.Known(
        {request.municipality: sorted(settings, key=lambda s: (s.rule, s.valid_from))},
        {request.learner_id: _facts(learner, "born_on", "shown_on")} if learner else {},
        {slot.supervisor_id: _facts(supervisor, "in_the_tasks_since")}
        if supervisor and slot.supervisor_id
        else {},
        datetime.now(UTC).date(),
    )


def _facts(values: Mapping[str, Any], *days: str) -> Any:
    return SimpleNamespace(**{name: _day(v) if name in days else v for name, v in values.items()})


def _day(value: str | None) -> date | None:
    return date.fromisoformat(value) if value else None


_READ: dict[type, Callable[[str], Any]] = {
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    UUID: UUID,
}


@cache
def _columns(table: type[Base]) -> tuple[tuple[str, Callable[[str], Any] | None], ...]:
    return tuple((c.key, _READ.get(c.type.python_type)) for c in table.__table__.columns)


def _row(table: type[R], values: Mapping[str, Any]) -> R:
    """A row as JSON, to be read like an object of its table; it is none, as that is slow to make."""
    read = {
        name: as_type(values[name]) if as_type and values[name] is not None else values[name]
        for name, as_type in _columns(table)
    }
    return cast(R, SimpleNamespace(**read))
