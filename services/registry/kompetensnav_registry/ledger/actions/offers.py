"""Offers: made, answered by those who have a say, expired; and the placements they become."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TypedDict
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects.postgresql import insert

from kompetensnav_chassis.db import EVERYONE, Session, rescope
from kompetensnav_chassis.errors import NotFound
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts import Envelope, Event
from kompetensnav_contracts.events.registry import (
    OfferAccepted,
    OfferDeclined,
    OfferExpired,
    OfferMade,
    PlacementCompleted,
    PlacementConfirmed,
    PlacementCounted,
    PlacementInterrupted,
    PlacementStarted,
)
from kompetensnav_contracts.vocabulary import Party, PlacementType, Reason
from kompetensnav_registry.ground.actions import protected, scopes
from kompetensnav_registry.ground.domain.finishing import SMALLEST
from kompetensnav_registry.ledger.actions import asking, cases, ledger
from kompetensnav_registry.ledger.domain.offers import (
    STEPS,
    OfferIsSettled,
    Outcome,
    may_answer,
    outcome,
    step,
)
from kompetensnav_registry.ledger.tables.offers import Offer, Placement, PublicCount, Request
from kompetensnav_registry.ledger.tables.slots import Slot
from kompetensnav_registry.rules import actions as rules
from kompetensnav_registry.rules.domain.answers import answer_rule, parties


def make_offer(
    session: Session,
    *,
    request: Request,
    slot: Slot,
    seat_id: UUID,
    round_id: UUID,
    match_id: UUID | None = None,
    at_workplace: int = 1,
    also_must_answer: Sequence[str] = (),
    cause: Envelope | None = None,
) -> Offer:
    """Holds the seat for the learner and asks those who must answer."""
    rule = answer_rule(rules.answer_rules(), slot.placement_type, slot.starts_on)
    must_answer, are_told = parties(rule, request.age_class)
    row = new_offer(
        request,
        slot,
        seat_id=seat_id,
        round_id=round_id,
        match_id=match_id,
        must_answer=[*must_answer, *also_must_answer],
        are_told=list(are_told),
        answer_by=datetime.now(UTC).date() + timedelta(days=rule.days_to_answer),
        at_workplace=at_workplace,
    )
    session.add(row)
    _tell(session, row, OfferMade(answer_by=row.answer_by, **payload(row)), cause)
    return row


def new_offer(
    request: Request,
    slot: Slot,
    *,
    seat_id: UUID,
    round_id: UUID,
    must_answer: list[str],
    are_told: list[str],
    answer_by: date,
    match_id: UUID | None = None,
    at_workplace: int = 1,
    by_hand: bool = False,
    declared: list[str] | None = None,
    state: str = "open",
    settled_at: datetime | None = None,
) -> Offer:
    """The row of an offer of a slot to a learner."""
    return Offer(
        offer_id=uuids.uuid7(),
        municipality=request.municipality,
        administration=request.administration,
        match_id=match_id,
        round_id=round_id,
        seat_id=seat_id,
        slot_id=slot.slot_id,
        workplace_id=slot.workplace_id,
        workplace_municipality=slot.municipality,
        request_id=request.request_id,
        learner_id=request.learner_id,
        placement_type=slot.placement_type,
        occupation=slot.occupation,
        starts_on=slot.starts_on,
        ends_on=slot.ends_on,
        weekdays=slot.weekdays,
        must_answer=must_answer,
        are_told=are_told,
        answers={},
        answer_by=answer_by,
        at_workplace=at_workplace,
        declared=declared or [],
        elsewhere=slot.elsewhere,
        by_hand=by_hand,
        state=state,
        revision=1,
        settled_at=settled_at,
    )


def new_placement(offer: Offer) -> Placement:
    """The row of the placement that an offer becomes."""
    return Placement(
        placement_id=uuids.uuid7(),
        municipality=offer.municipality,
        administration=offer.administration,
        offer_id=offer.offer_id,
        learner_id=offer.learner_id,
        slot_id=offer.slot_id,
        starts_on=offer.starts_on,
        ends_on=offer.ends_on,
        by_hand=offer.by_hand,
        state="confirmed",
        revision=1,
    )


DECLARED = ["R10", "R11", "R20"]
"""What an employer declares by saying yes: risks assessed and a written routine, a supervisor every day, and
that nobody is replaced. The page says so beside the question."""


async def accept(session: Session, *, offer: Offer, party: str) -> Offer:
    """A yes from one party; the last one confirms the placement. Raises NotYours or OfferIsSettled."""
    may_answer(offer.state, offer.must_answer, offer.answers, party)
    offer.answers = {**offer.answers, party: True}
    if party == Party.EMPLOYER:
        offer.declared = DECLARED
    offer.revision += 1
    _tell(session, offer, OfferAccepted(party=party, **payload(offer)))
    if outcome(offer.must_answer, offer.answers) is Outcome.CONFIRMED:
        await _confirm(session, offer)
    return offer


async def decline(session: Session, *, offer: Offer, party: str, reason: Reason = Reason.DECLINED) -> Offer:
    """A no; the seat is free again. A coordinator may decline for anyone. Raises NotYours or
    OfferIsSettled."""
    if party == "coordinator":
        if offer.state != Outcome.OPEN:
            raise OfferIsSettled
    else:
        may_answer(offer.state, offer.must_answer, offer.answers, party)
    offer.answers = {**offer.answers, party: False}
    _settle(offer, Outcome.DECLINED)
    _tell(session, offer, OfferDeclined(party=party, reason=reason, **payload(offer)))
    await _free(session, [offer], reason)
    return offer


async def expire_offers(session: Session, *, today: date, most: int = 200) -> int:
    """Ends offers that nobody answered in time; returns how many. Runs for the whole stack."""
    is_late = (Offer.state == "open", Offer.answer_by < today)
    found = await session.scalars(
        select(Offer)  # every municipality: a job
        .where(*is_late)
        .order_by(Offer.workplace_id, Offer.offer_id)
        .limit(most)
    )
    late = await lock_offers(session, found.all(), *is_late)
    for offer in late:
        _settle(offer, "expired")
        _tell(session, offer, OfferExpired(**payload(offer)))
    await _free(session, late, Reason.EXPIRED)
    return len(late)


async def end_offers_of_slot(session: Session, *, slot: Slot, reason: Reason) -> None:
    """Ends what hangs on a withdrawn slot. Its learners may belong to any administration that shares it, so
    the scope is widened here, and only for this slot's rows."""
    before = session.info["scope"]
    await session.flush()
    await rescope(session, EVERYONE)
    offers = await session.scalars(
        select(Offer)  # every municipality that the slot was shared with
        .where(Offer.slot_id == slot.slot_id, Offer.state.in_(("open", "confirmed")))
        .order_by(Offer.offer_id)
        .with_for_update()
    )
    for offer in offers.all():
        if offer.state == "open":
            await decline(session, offer=offer, party="coordinator", reason=reason)
            continue
        placement = await session.scalar(
            select(Placement)  # every municipality that the slot was shared with
            .where(Placement.offer_id == offer.offer_id)
            .with_for_update()
        )
        if placement and placement.state in STEPS["interrupted"]:
            await interrupt(session, placement=placement, reason=reason)
    await session.flush()
    await rescope(session, before)


async def interrupt(session: Session, *, placement: Placement, reason: Reason) -> Placement:
    """Ends a placement early and frees the seat. Raises WrongStep."""
    placement.state = step(placement.state, "interrupted")
    placement.reason, placement.revision = reason, placement.revision + 1
    offer = await session.get_one(Offer, placement.offer_id)
    placement.interrupted_on = today = datetime.now(UTC).date()
    event = PlacementInterrupted(
        placement_id=placement.placement_id, reason=reason, interrupted_on=today, **payload(offer)
    )
    _tell(session, placement, event)
    offer.state = "interrupted"
    await _free(session, [offer], reason)
    return placement


async def advance(session: Session, *, placement: Placement, to: str) -> Placement:
    """Starts or completes a placement. Raises WrongStep, or RuleBroken when something that must be in place
    before the start is not."""
    placement.state = step(placement.state, to)
    placement.revision += 1
    offer = await session.get_one(Offer, placement.offer_id)
    if to == "started":
        await cases.check_start(session, placement=placement, offer=offer)
    kind = PlacementStarted if to == "started" else PlacementCompleted
    _tell(session, placement, kind(placement_id=placement.placement_id, **payload(offer)))
    return placement


async def find_offer(session: Session, *, municipality: str, offer_id: UUID) -> Offer:
    """The offer, locked. Raises NotFound, also for another administration's."""
    found = await session.scalars(
        select(Offer).where(
            Offer.offer_id == offer_id, Offer.municipality == municipality, Offer.by_hand.is_(False)
        )
    )
    locked = await lock_offers(session, found.all())
    if not locked:
        raise NotFound("There is no such offer.", "Det finns inget sådant erbjudande.")
    return locked[0]


async def find_placement(
    session: Session, *, municipality: str, placement_id: UUID, case_worker: str | None = None
) -> Placement:
    """The placement, locked; a protected learner's for the named case worker only. Raises NotFound, also for
    another administration's."""
    found = await session.scalars(
        select(Offer)
        .join(Placement, Placement.offer_id == Offer.offer_id)
        .where(Placement.placement_id == placement_id, Placement.municipality == municipality)
    )
    locked = await lock_offers(session, found.all())
    row = await session.scalar(
        select(Placement)
        .where(
            Placement.placement_id == placement_id,
            Placement.municipality == municipality,
            protected.shown(Placement, case_worker),
        )
        .with_for_update()
    )
    if row is not None and case_worker:
        await protected.log_rows(session, rows=[row], viewed_by=case_worker, what="placement")
    if not locked or row is None:
        raise NotFound("There is no such placement.", "Det finns ingen sådan placering.")
    return row


async def lock_offers(
    session: Session, offers: Sequence[Offer], *still: ColumnElement[bool]
) -> Sequence[Offer]:
    """The offers as they are now, locked after their workplaces (the ledger's lock order); `still` leaves out
    those that have changed meanwhile."""
    await ledger.lock_workplaces(session, {o.workplace_id: o.workplace_municipality for o in offers})
    found = await session.scalars(
        select(Offer)
        .where(
            Offer.offer_id.in_({o.offer_id for o in offers}),
            Offer.municipality.in_({o.municipality for o in offers}),
            *still,
        )
        .order_by(Offer.offer_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.all()


async def open_offers_of(
    session: Session, *, learners: Collection[UUID], municipalities: Collection[str]
) -> Sequence[Offer]:
    """The open offers of these learners that others know of, locked after their workplaces."""
    if not learners:
        return ()
    found = await session.scalars(
        select(Offer).where(
            Offer.learner_id.in_(learners),
            Offer.municipality.in_(municipalities),
            Offer.state == "open",
            Offer.by_hand.is_(False),
        )
    )
    return await lock_offers(session, found.all(), Offer.state == "open")


async def lock_workplaces_of(
    session: Session, *, learners: Collection[UUID], municipalities: Collection[str]
) -> None:
    """Locks all the workplaces that these learners have offers at: the first lock of what ends several of
    them."""
    if not learners:
        return
    at = await session.execute(
        select(Offer.workplace_id, Offer.workplace_municipality).where(
            Offer.learner_id.in_(learners), Offer.municipality.in_(municipalities)
        )
    )
    await ledger.lock_workplaces(session, {id: municipality for id, municipality in at})


class OfferState(TypedDict):
    """What every event about an offer carries."""

    offer_id: UUID
    match_id: UUID | None
    round_id: UUID
    seat_id: UUID
    slot_id: UUID
    workplace_id: UUID
    workplace_municipality: str
    request_id: UUID
    learner_id: UUID
    placement_type: PlacementType
    occupation: str
    starts_on: date
    ends_on: date
    must_answer: tuple[Party, ...]
    are_told: tuple[Party, ...]
    at_workplace: int
    elsewhere: bool


def payload(row: Offer) -> OfferState:
    """The offer as its events carry it."""
    return OfferState(
        offer_id=row.offer_id,
        match_id=row.match_id,
        round_id=row.round_id,
        seat_id=row.seat_id,
        slot_id=row.slot_id,
        workplace_id=row.workplace_id,
        workplace_municipality=row.workplace_municipality,
        request_id=row.request_id,
        learner_id=row.learner_id,
        placement_type=PlacementType(row.placement_type),
        occupation=row.occupation,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        must_answer=tuple(Party(party) for party in row.must_answer),
        are_told=tuple(Party(party) for party in row.are_told),
        at_workplace=row.at_workplace,
        elsewhere=row.elsewhere,
    )


async def _confirm(session: Session, offer: Offer) -> None:
    now = datetime.now(UTC)
    request = await session.scalar(
        select(Request)
        .where(Request.request_id == offer.request_id, Request.municipality == offer.municipality)
        .with_for_update()
    )
    assert request is not None
    offer.state, offer.settled_at = Outcome.CONFIRMED, now
    request.state = "placed"
    placement = new_placement(offer)
    session.add(placement)
    days = max(0, (now.date() - request.opened_at.date()).days)
    _tell(
        session,
        placement,
        PlacementConfirmed(placement_id=placement.placement_id, days_to_place=days, **payload(offer)),
    )
    await _count_for_everyone(session, offer)


async def _count_for_everyone(session: Session, offer: Offer) -> None:
    """The public count. Fewer than five of a type that begin in a month of a municipality are not published:
    the fifth is published together with the four before it."""
    key = (offer.municipality, offer.placement_type, f"{offer.starts_on:%Y-%m}")
    new = insert(PublicCount).values(
        municipality=key[0], placement_type=key[1], month=key[2], confirmed=1, published=0
    )
    counted = await session.scalar(
        new.on_conflict_do_update(
            index_elements=["municipality", "placement_type", "month"],
            set_={"confirmed": PublicCount.confirmed + 1},
        ).returning(PublicCount)
    )
    assert counted is not None
    await session.refresh(counted)
    if counted.confirmed < SMALLEST:
        return
    for _ in range(counted.confirmed - counted.published):
        event = PlacementCounted(count_id=uuids.uuid4(), placement_type=key[1], month=key[2])
        tell(session, event, municipality=key[0], revision=1)
    counted.published = counted.confirmed


def _settle(offer: Offer, state: str) -> None:
    offer.state, offer.settled_at, offer.revision = state, datetime.now(UTC), offer.revision + 1


async def _free(session: Session, offers: Sequence[Offer], reason: Reason) -> None:
    if not offers:
        return
    for offer in offers:
        request = await session.get(Request, offer.request_id)
        if request and request.state == "placed":
            request.state = "open" if reason is Reason.SLOT_WITHDRAWN else "closed"
    asking.give_back(session, [o for o in offers if o.elsewhere], reason)
    offers = [o for o in offers if not o.elsewhere]
    hosts = {offer.workplace_municipality for offer in offers}
    async with scopes.reaching(session, hosts):
        await ledger.release_seats(
            session, seat_ids=[o.seat_id for o in offers], municipalities=hosts, reason=reason
        )


def _tell(session: Session, row: Offer | Placement, event: Event, cause: Envelope | None = None) -> None:
    if row.by_hand:
        return
    tell(
        session,
        event,
        municipality=row.municipality,
        administration=row.administration,
        revision=row.revision,
        cause=cause,
    )
