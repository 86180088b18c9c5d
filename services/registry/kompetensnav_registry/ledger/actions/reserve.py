"""One seat for one learner: what decides it is locked and read by one statement, `read_reservation`."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Boolean, String, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from kompetensnav_chassis.db import Session
from kompetensnav_registry.ground.tables.foundation import Base
from kompetensnav_registry.ground.tables.organisations import LearningCentre, SharingAgreement
from kompetensnav_registry.ledger.actions import cases, ledger
from kompetensnav_registry.ledger.domain.ledger import Days, Ledger, Room, refused
from kompetensnav_registry.ledger.tables.offers import Request
from kompetensnav_registry.ledger.tables.slots import Slot
from kompetensnav_registry.rules import actions as rules
from kompetensnav_registry.rules.domain.pack import Setting

R = TypeVar("R", bound=Base)

_READ = (
    text("select read_reservation(:slot, :host, :request, :home, :by_agreement) as found")
    .bindparams(
        *(bindparam(name, type_=Uuid) for name in ("slot", "request")),
        *(bindparam(name, type_=String) for name in ("host", "home")),
        bindparam("by_agreement", type_=Boolean),
    )
    .columns(found=JSONB)
)


async def open_reservation(
    session: Session,
    *,
    host: str,
    slot_id: UUID,
    home: str,
    request_id: UUID,
    via: LearningCentre | None = None,
) -> tuple[ledger.Books, cases.Known] | None:
    """The books of one slot's workplace (in `host`) and one request (of `home`), locked, and what the rules
    need; None when there is no such slot. Of the workplace's other slots only what the ledger needs is read;
    all of it is to be read, and written by `Accounts.settle` alone."""
    values = {"slot": slot_id, "host": host, "request": request_id, "home": home}
    by_agreement = via is not None or host != home
    found: dict[str, Any] | None = await session.scalar(_READ, values | {"by_agreement": by_agreement})
    if found is None:
        return None
    book = Ledger(found["capacity"])
    book.other_weeks = {date.fromisoformat(week): n for week, n in found["weeks"] or ()}
    book.loads = {UUID(id): n for id, n in found["loads"] or ()}
    for held in found["held"] or ():
        room = Room(
            UUID(held["slot_id"]),
            0,
            date.fromisoformat(held["starts_on"]),
            date.fromisoformat(held["ends_on"]),
            supervisor_id=UUID(held["supervisor_id"]) if held["supervisor_id"] else None,
        )
        book.enter(room, held["seats"])
    slots = {slot.slot_id: slot for slot in (_row(Slot, values) for values in found["slots"])}
    wanted = slots[slot_id]
    request = _row(Request, found["request"]) if found["request"] else None
    books = ledger.Books(
        ledger.Accounts(slots, {wanted.workplace_id: book}),
        {request_id: request} if request else {},
        {request.learner_id: [_days(*busy) for busy in found["busy"] or ()]} if request else {},
        [_row(SharingAgreement, values) for values in found["agreements"] or ()],
    )
    return books, _known(found, wanted, request)


def check_seat(
    books: ledger.Books, known: cases.Known, slot: Slot, request: Request, via: LearningCentre | None = None
) -> None:
    """Raises the ledger's refusal of the seat, or RuleBroken with every rule that refuses it."""
    if refusal := ledger.refusal(books, slot, request, via):
        raise refused(refusal)
    if broken := cases.seat_broken(known, request, slot):
        raise rules.RuleBroken(broken)


def _known(found: Mapping[str, Any], slot: Slot, request: Request | None) -> cases.Known:
    settings = [
        Setting(
            s["rule"], date.fromisoformat(s["valid_from"]), _day(s["valid_to"]), s["parameters"],
            s["switched_off"],
        )
        for s in found["settings"] or ()
    ]  # fmt: skip
    learners, supervisors = {}, {}
    if request and (about := found["learner"]):
        days = {name: _day(about[name]) for name in ("born_on", "shown_on")}
        learners[request.learner_id] = cases.LearnerData(**about | days)
    if slot.supervisor_id and found["supervisor_is_adult"] is not None:
        supervisors[slot.supervisor_id] = found["supervisor_is_adult"]
    own = {request.municipality: settings} if request else {}
    return cases.Known(own, learners, supervisors, datetime.now(UTC).date())


def _days(starts_on: str, ends_on: str, weekdays: list[int]) -> Days:
    return Days(date.fromisoformat(starts_on), date.fromisoformat(ends_on), frozenset(weekdays))


def _day(value: str | None) -> date | None:
    return date.fromisoformat(value) if value else None


_FROM_JSON: dict[type, Callable[[str], Any]] = {
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    UUID: UUID,
}


@cache
def _readers(table: type[Base]) -> dict[str, Callable[[str], Any]]:
    kinds = {c.key: c.type.python_type for c in table.__table__.columns}
    return {name: _FROM_JSON[kind] for name, kind in kinds.items() if kind in _FROM_JSON}


def _row(table: type[R], values: dict[str, Any]) -> R:
    """A row that came as JSON; it belongs to no session."""
    for name, read in _readers(table).items():
        if value := values.get(name):
            values[name] = read(value)
    return table(**values)
