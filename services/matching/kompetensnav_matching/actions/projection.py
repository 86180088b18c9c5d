"""What the registry's events mean for matching's own picture of slots, requests and matches.

Each function takes the events of one kind, in stream order, and returns the (municipality, placement type)
whose repair they concern. Rows that hold whole state are guarded by the revision: an older one is ignored.
"""

from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts import Event
from kompetensnav_contracts.events import registry as events
from kompetensnav_contracts.events.matching import ErasureAnswered
from kompetensnav_contracts.vocabulary import ErasureOutcome, Reason, Refusal
from kompetensnav_matching.actions.rounds import forbid_pairs
from kompetensnav_matching.domain import wanted
from kompetensnav_matching.tables import Agreement, OpenRequest, OpenSlot, Proposal, SeatsLeft

Changed = set[tuple[str, str]]
NOBODY = UUID(int=0)
"""Stands where a learner was who has been erased."""
BARRED = {Refusal.NOT_SHARED, Refusal.SLOT_IS_WITHDRAWN, Refusal.RULE, Refusal.NO_ANSWER}
"""Refusals that the same pair would meet again."""
_SLOT = (
    "slot_id",
    "workplace_id",
    "placement_type",
    "occupation",
    "starts_on",
    "ends_on",
    "seats",
    "locality",
    "min_language",
    "offers_needs",
    "shared_with",
    "named_municipalities",
)
_REQUEST = (
    "request_id",
    "learner_id",
    "placement_type",
    "starts_on",
    "ends_on",
    "cohort_id",
    "locality",
    "language",
    "needs",
    "max_travel_minutes",
    "wishes",
)


async def apply(session: Session, events: Sequence[Event]) -> Changed:
    """Takes events of any kind in stream order."""
    changed: Changed = set()
    for kind, group in groupby(events, type):
        changed |= await KINDS[kind](session, list(group))
    return changed


async def _slots(session: Session, events: Sequence[Any]) -> Changed:
    rows: dict[Any, dict[str, Any]] = {}
    for event in events:
        row = {name: getattr(event, name) for name in _SLOT}
        row |= {name: list(row[name]) for name in ("offers_needs", "named_municipalities")}
        row |= {
            "municipality": event.envelope.municipality,
            "owner_administration": event.administration,
            "revision": event.envelope.revision,
        }
        if event.slot_id not in rows or rows[event.slot_id]["revision"] < row["revision"]:
            rows[event.slot_id] = row
    await session.execute(_UPSERT_SLOT, list(rows.values()))
    return {(row["municipality"], row["placement_type"]) for row in rows.values()}


def _newer(table: Any, columns: Sequence[str], keys: Sequence[str]) -> Any:
    """Writes whole states; an older revision changes nothing."""
    new = upsert(table)
    return new.on_conflict_do_update(
        index_elements=[getattr(table, key) for key in keys],
        set_={name: new.excluded[name] for name in columns},
        where=table.revision < new.excluded.revision,
    )


_UPSERT_SLOT = _newer(
    OpenSlot, [c for c in (*_SLOT, "owner_administration", "revision") if c != "slot_id"], ["slot_id"]
)
_UPSERT_SEATS = _newer(SeatsLeft, ["seats", "revision"], ["slot_id"])
_UPSERT_REQUEST = _newer(
    OpenRequest, [c for c in (*_REQUEST, "wanted", "revision") if c != "request_id"], ["request_id"]
)


async def _withdrawn(session: Session, events: Sequence[Any]) -> Changed:
    new = upsert(OpenSlot)
    rows = [
        {
            "slot_id": e.slot_id,
            "municipality": e.envelope.municipality,
            "workplace_id": e.slot_id,
            "placement_type": e.placement_type,
            "occupation": e.occupation,
            "starts_on": e.starts_on,
            "ends_on": e.starts_on,
            "seats": e.seats,
            "locality": "",
            "min_language": "none",
            "offers_needs": [],
            "shared_with": "administration",
            "named_municipalities": [],
            "withdrawn": True,
            "revision": e.envelope.revision,
        }
        for e in events
    ]  # a withdrawal that comes before its posting must still win
    await session.execute(
        new.on_conflict_do_update(
            index_elements=[OpenSlot.slot_id],
            set_={"withdrawn": True, "revision": new.excluded.revision},
            where=OpenSlot.revision < new.excluded.revision,
        ),
        rows,
    )
    return {(e.envelope.municipality, e.placement_type) for e in events}


async def _capacity(session: Session, events: Sequence[Any]) -> Changed:
    newest = {e.slot_id: e for e in sorted(events, key=lambda e: e.envelope.revision)}
    hosts = {e.envelope.municipality for e in events}
    before = await session.execute(
        select(OpenSlot.slot_id, OpenSlot.municipality, OpenSlot.placement_type, SeatsLeft.seats)
        .outerjoin(SeatsLeft, SeatsLeft.slot_id == OpenSlot.slot_id)
        .where(OpenSlot.slot_id.in_(newest), OpenSlot.municipality.in_(hosts))
    )
    changed = {(m, t) for id, m, t, seats in before if seats is not None and newest[id].seats_left > seats}
    rows = [
        {
            "slot_id": e.slot_id,
            "municipality": e.envelope.municipality,
            "seats": e.seats_left,
            "revision": e.envelope.revision,
        }
        for e in newest.values()
    ]
    await session.execute(_UPSERT_SEATS, rows)
    return changed


async def _requests(session: Session, events: Sequence[Any]) -> Changed:
    rows: dict[Any, dict[str, Any]] = {}
    for event in events:
        row = {name: getattr(event, name) for name in _REQUEST}
        row |= {
            "wishes": [wish.model_dump(mode="json") for wish in event.wishes],
            "wanted": wanted([(wish.occupation, wish.slot_id) for wish in event.wishes]),
            "needs": list(event.needs),
            "municipality": event.envelope.municipality,
            "administration": event.envelope.administration,
            "revision": event.envelope.revision,
        }
        if event.request_id not in rows or rows[event.request_id]["revision"] < row["revision"]:
            rows[event.request_id] = row
    await session.execute(_UPSERT_REQUEST, [row | {"state": "open"} for row in rows.values()])
    return {(row["municipality"], row["placement_type"]) for row in rows.values()}


async def _closed(session: Session, events: Sequence[Any]) -> Changed:
    for event in events:
        new = upsert(OpenRequest).values(
            request_id=event.request_id,
            municipality=event.envelope.municipality,
            administration=event.envelope.administration,
            learner_id=event.learner_id,
            placement_type=event.placement_type,
            starts_on=event.envelope.time.date(),
            ends_on=event.envelope.time.date(),
            cohort_id=event.request_id,
            locality="",
            language="none",
            needs=[],
            max_travel_minutes=0,
            wishes=[],
            wanted=[],
            state="closed",
            revision=event.envelope.revision,
        )
        await session.execute(
            new.on_conflict_do_update(
                index_elements=[OpenRequest.request_id],
                set_={"state": "closed", "revision": new.excluded.revision},
                where=OpenRequest.revision < new.excluded.revision,
            )
        )
    return set()


async def _reserved(session: Session, events: Sequence[Any]) -> Changed:
    await _proposals(session, events, "reserved")
    return set()


async def _refused(session: Session, events: Sequence[Any]) -> Changed:
    """Where there was no seat, the ledger has told so before. A learner who has a place already waits until
    something comes of it."""
    await _proposals(session, events, "refused")
    barred = [e for e in events if e.refusal in BARRED]
    taken = [e for e in events if e.refusal in (Refusal.LEARNER_IS_PLACED, Refusal.REQUEST_IS_CLOSED)]
    await forbid_pairs(session, [_pair(e) for e in barred], reason="not_possible")
    await _states(session, taken, "waiting")
    return await _states(session, [e for e in events if e not in taken], "open")


async def _declined(session: Session, events: Sequence[Any]) -> Changed:
    await _proposals(session, [e for e in events if e.match_id], "declined")
    ended = [e for e in events if getattr(e, "reason", None) == Reason.REQUEST_CLOSED]
    open_again = [e for e in events if e not in ended]
    await forbid_pairs(session, [_pair(e) for e in open_again], reason="declined")
    return await _states(session, open_again, "open") | await _free_again(session, events)


async def _confirmed(session: Session, events: Sequence[Any]) -> Changed:
    await _proposals(session, [e for e in events if e.match_id], "confirmed")
    await _states(session, events, "placed")
    return set()


async def _interrupted(session: Session, events: Sequence[Any]) -> Changed:
    again = [e for e in events if e.reason == Reason.SLOT_WITHDRAWN]
    await _states(session, [e for e in events if e not in again], "closed")
    return await _states(session, again, "open") | await _free_again(session, events)


async def _free_again(session: Session, events: Sequence[Any]) -> Changed:
    """What the learners' own earlier place or offer stood in the way of."""
    rows = await session.execute(
        update(OpenRequest)
        .where(
            OpenRequest.learner_id.in_({e.learner_id for e in events}),
            OpenRequest.municipality.in_({e.envelope.municipality for e in events}),
            OpenRequest.state == "waiting",
        )
        .values(state="open")
        .returning(OpenRequest.municipality, OpenRequest.placement_type)
        .execution_options(synchronize_session=False)
    )
    return {(m, t) for m, t in rows}


async def _agreed(session: Session, events: Sequence[Any]) -> Changed:
    for event in events:
        values = {
            "lead": event.lead,
            "municipalities": list(event.municipalities),
            "placement_types": list(event.placement_types),
            "valid_from": event.valid_from,
            "valid_to": event.valid_to,
        }
        new = upsert(Agreement).values(agreement_id=event.agreement_id, **values)
        await session.execute(new.on_conflict_do_update(index_elements=[Agreement.agreement_id], set_=values))
    return set()


def _pair(event: Any) -> tuple[Any, Any, str, str]:
    return event.request_id, event.slot_id, event.envelope.municipality, event.envelope.administration


async def _proposals(session: Session, events: Sequence[Any], state: str) -> None:
    """A match that went on is not pulled back by a late earlier event."""
    if not events:
        return
    later = {"reserved": ("approved",), "refused": ("approved",), "declined": ("approved", "reserved")}
    await session.execute(
        update(Proposal)
        .where(
            Proposal.proposal_id.in_([e.match_id for e in events]),
            Proposal.municipality.in_({e.envelope.municipality for e in events}),
            Proposal.state.in_(later.get(state, ("approved", "reserved", "declined"))),
        )
        .values(state=state)
        .execution_options(synchronize_session=False)
    )


async def _states(session: Session, events: Sequence[Any], state: str) -> Changed:
    """Sets the requests' state; a closed one stays closed."""
    if not events:
        return set()
    rows = await session.execute(
        update(OpenRequest)
        .where(
            OpenRequest.request_id.in_([e.request_id for e in events]),
            OpenRequest.municipality.in_({e.envelope.municipality for e in events}),
            OpenRequest.state != "closed",
        )
        .values(state=state)
        .returning(OpenRequest.municipality, OpenRequest.placement_type)
        .execution_options(synchronize_session=False)
    )
    return {(m, t) for m, t in rows}


async def _forget(session: Session, events: Sequence[Any]) -> Changed:
    """What was known of a learner is blanked; that there was a request stays, for the counts. Answers."""
    for event in events:
        home = event.envelope.municipality
        requests = await session.execute(
            update(OpenRequest)
            .where(OpenRequest.learner_id == event.learner_id, OpenRequest.municipality == home)
            .values(
                learner_id=NOBODY,
                locality="",
                language="none",
                needs=[],
                wishes=[],
                wanted=[],
                state="closed",
            )
        )
        proposals = await session.execute(
            update(Proposal)
            .where(Proposal.learner_id == event.learner_id, Proposal.municipality == home)
            .values(learner_id=NOBODY, reasons=[])
        )
        rows = sum(done.rowcount for done in (requests, proposals))  # type: ignore[attr-defined]
        outcome = ErasureOutcome.ERASED if rows else ErasureOutcome.NOTHING
        answer = ErasureAnswered(erasure_id=event.erasure_id, answer=outcome, rows=rows)
        tell(
            session,
            answer,
            municipality=home,
            administration=event.envelope.administration,
            revision=1,
            cause=event.envelope,
        )
    return set()


KINDS: dict[type[Event], Callable[[Session, Sequence[Any]], Awaitable[Changed]]] = {
    events.SlotPosted: _slots,
    events.SlotChanged: _slots,
    events.SlotWithdrawn: _withdrawn,
    events.CapacityChanged: _capacity,
    events.RequestOpened: _requests,
    events.RequestChanged: _requests,
    events.RequestClosed: _closed,
    events.SeatReserved: _reserved,
    events.SeatRefused: _refused,
    events.OfferDeclined: _declined,
    events.OfferExpired: _declined,
    events.PlacementConfirmed: _confirmed,
    events.PlacementInterrupted: _interrupted,
    events.SharingAgreed: _agreed,
    events.ErasureRequested: _forget,
}
