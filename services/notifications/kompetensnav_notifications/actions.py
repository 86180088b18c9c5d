"""What notifications does: writes one row per recipient, keeps digests back until they are whole, settles
messages."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import and_, case, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from kompetensnav_chassis.codes import occupation_name
from kompetensnav_chassis.db import Session, nudge
from kompetensnav_chassis.identity import municipalities
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts import Event
from kompetensnav_contracts.events import registry
from kompetensnav_contracts.events.matching import RoundApproved
from kompetensnav_contracts.events.notifications import ErasureAnswered, MessageFailed, MessageSent
from kompetensnav_contracts.vocabulary import ErasureOutcome, Party, Reason
from kompetensnav_notifications.tables import MailData, Message, NewFact, NewMessage, OfferFact, RoundFact

JOB = "send"
NOBODY = UUID(int=0)
"""Stands where a learner was who has been erased."""
DIGEST_WAIT = timedelta(seconds=30)
"""An employer's mail waits so long for the other offers of its round; normally all are there at once."""
OUTCOME_WAIT = timedelta(days=30)
"""How long a mail about the outcome waits at most for the last answer; offers run out long before."""
KEPT = timedelta(days=14)
"""Best before, for messages without a day of their own."""
LEASE = timedelta(seconds=20)
"""A claim that is not settled by then (the process was killed) is taken up again."""
AboutOffer = registry.OfferPayload | registry.SeatPayload
ABOUT_PLACEMENTS = (
    registry.OfferPayload,
    registry.WorkplaceAsked,
    registry.GuestAsked,
    registry.GuestEnded,
    RoundApproved,
)
"""Events that say which placement type they are about, and its first day."""
_GROUPS = text("select pg_advisory_xact_lock(7310)")


async def take_in(session: Session, events: Sequence[Event], now: datetime) -> None:
    """Writes the messages that the events call for. Digests are counted over municipalities, one batch at a
    time."""
    await session.execute(_GROUPS)
    messages: list[NewMessage] = []
    counted: dict[UUID, NewFact] = {}
    for event in events:
        taken = await _take(session, event, now, counted)
        if getattr(event, "elsewhere", False):  # the workplace's own stack writes to the employer
            taken = [row for row in taken if row.party != Party.EMPLOYER]
        messages += taken
    if counted:
        new = upsert(OfferFact)
        kept = func.coalesce(
            new.excluded.outcome, OfferFact.outcome
        )  # a late offer.made does not undo an outcome
        await session.execute(
            new.on_conflict_do_update(index_elements=[OfferFact.match_id], set_={"outcome": kept}),
            [vars(fact) for fact in counted.values()],
        )
    if messages:
        rows = [vars(message) for message in messages]
        await session.execute(upsert(Message).on_conflict_do_nothing(constraint="uq_message_key"), rows)
    workplaces = {event.workplace_id for event in events if hasattr(event, "workplace_id")}
    await _release(
        session, {event.round_id for event in events if hasattr(event, "round_id")}, workplaces, now
    )
    nudge(session, JOB)


async def _take(
    session: Session, event: Event, now: datetime, counted: dict[UUID, NewFact]
) -> list[NewMessage]:
    match event:
        case registry.OfferMade():
            _fact(counted, event, None)
            return _offer_messages(event, now)
        case registry.SeatRefused():
            _fact(counted, event, "refused")
            return []
        case registry.PlacementConfirmed():
            _fact(counted, event, "confirmed")
            learner = _message(event, "confirmation", Party.LEARNER, now)
            return [learner, _employer(event, "outcome", now + OUTCOME_WAIT, now)]
        case registry.OfferDeclined() | registry.OfferExpired():
            reason = event.reason if isinstance(event, registry.OfferDeclined) else Reason.EXPIRED
            party = event.party if isinstance(event, registry.OfferDeclined) else None
            outcomes = {Reason.SLOT_WITHDRAWN: "withdrawn", Reason.EXPIRED: "expired"}
            _fact(counted, event, outcomes.get(reason, "declined"))
            messages = []
            if party != Party.LEARNER and reason != Reason.REQUEST_CLOSED:
                kind = "withdrawal" if reason == Reason.SLOT_WITHDRAWN else "decline"
                messages.append(_message(event, kind, Party.LEARNER, now))
            if party != Party.EMPLOYER and reason != Reason.SLOT_WITHDRAWN:
                messages.append(_employer(event, "outcome", now + OUTCOME_WAIT, now))
            return messages
        case registry.PlacementInterrupted() if event.reason == Reason.SLOT_WITHDRAWN:
            return [_message(event, "withdrawal", Party.LEARNER, now)]
        case RoundApproved():
            return await _digest(session, event, now)
        case registry.WorkplaceAsked():
            return [_asked(event, now)]
        case registry.GuestAsked():
            deadline = MailData(answer_by=event.answer_by.isoformat())
            return [_about_guest(event, "guest", now, _end_of(event.answer_by), deadline)]
        case registry.GuestEnded():
            return [_about_guest(event, "guest_ended", now, now + KEPT, MailData())]
        case registry.InvitationMade():
            who = MailData(finishing=event.finishing, occupation=occupation_name(event.occupation))
            return [_to_coordinator(event, "invitation", event.invitation_id, now, who)]
        case registry.AgreementExpiring():
            days = MailData(valid_to=event.valid_to.isoformat(), days_left=event.days_left)
            cause_id = uuid5(event.agreement_id, event.valid_to.isoformat())
            return [_to_coordinator(event, "expiring", cause_id, now, days)]
    return []


def _end_of(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=1)


def _fact(counted: dict[UUID, NewFact], event: AboutOffer, outcome: str | None) -> None:
    match_id = (
        event.match_id or event.offer_id if isinstance(event, registry.OfferPayload) else event.match_id
    )
    before = counted[match_id].outcome if match_id in counted else None
    counted[match_id] = NewFact(
        match_id=match_id,
        municipality=event.workplace_municipality,
        round_id=event.round_id,
        workplace_id=event.workplace_id,
        at_workplace=event.at_workplace,
        outcome=outcome or before,
    )


def _offer_messages(event: registry.OfferMade, now: datetime) -> list[NewMessage]:
    last, data = _end_of(event.answer_by), MailData(answer_by=event.answer_by.isoformat())
    messages = []
    for party in (Party.LEARNER, Party.GUARDIAN):
        if party in event.must_answer or party in event.are_told:
            kind = "offer" if party in event.must_answer else "notice"
            messages.append(_message(event, kind, party, now, data=data, best_before=last))
    if Party.EMPLOYER in event.must_answer or Party.EMPLOYER in event.are_told:
        due = now if event.at_workplace == 1 else now + DIGEST_WAIT
        messages.append(_employer(event, "offer", due, now, data=data, best_before=last))
    return messages


def _message(
    event: registry.OfferPayload,
    kind: str,
    party: Party,
    now: datetime,
    *,
    data: MailData | None = None,
    best_before: datetime | None = None,
) -> NewMessage:
    """A message to the learner's side about one offer."""
    return _row(
        kind=kind,
        cause_id=event.offer_id,
        party=party,
        recipient_id=event.learner_id,
        municipality=event.envelope.municipality,
        administration=event.envelope.administration,
        event=event,
        due_at=now,
        best_before=best_before or now + KEPT,
        data=data,
        offer_id=event.offer_id,
    )


def _employer(
    event: AboutOffer,
    kind: str,
    due_at: datetime,
    now: datetime,
    *,
    data: MailData | None = None,
    best_before: datetime | None = None,
) -> NewMessage:
    """The one message per workplace and round."""
    return _row(
        kind=kind,
        cause_id=event.round_id,
        party=Party.EMPLOYER,
        recipient_id=event.workplace_id,
        municipality=event.workplace_municipality,
        administration=None,
        event=event,
        due_at=due_at,
        best_before=best_before or now + OUTCOME_WAIT + KEPT,
        data=data,
    )


def _asked(event: registry.WorkplaceAsked, now: datetime) -> NewMessage:
    """The mail that asks a workplace to offer its slots again."""
    return _row(
        event=event,
        kind="again",
        cause_id=event.asking_id,
        party=Party.EMPLOYER,
        recipient_id=event.workplace_id,
        municipality=event.envelope.municipality,
        administration=None,
        due_at=now,
        best_before=_end_of(event.answer_by),
        data=MailData(slots=event.slots, answer_by=event.answer_by.isoformat()),
    )


def _about_guest(
    event: registry.GuestAsked | registry.GuestEnded,
    kind: str,
    now: datetime,
    best_before: datetime,
    data: MailData,
) -> NewMessage:
    """A mail to an employer about a learner from another stack."""
    return _row(
        event=event,
        kind=kind,
        cause_id=event.reference,
        party=Party.EMPLOYER,
        recipient_id=event.workplace_id,
        municipality=event.envelope.municipality,
        administration=None,
        due_at=now,
        best_before=best_before,
        data=data | MailData(sender=municipalities().get(event.sent_by, event.sent_by)),
    )


def _to_coordinator(event: Event, kind: str, cause_id: UUID, now: datetime, data: MailData) -> NewMessage:
    """A mail to the municipality's coordinator that is not about a round."""
    municipality = event.envelope.municipality
    return _row(
        event=event,
        kind=kind,
        cause_id=cause_id,
        party=Party.COORDINATOR,
        recipient_id=_coordinator_of(municipality),
        municipality=municipality,
        administration=None,
        due_at=now,
        best_before=now + KEPT,
        data=data,
        is_at_workplace=False,
    )


def _coordinator_of(municipality: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"urn:kompetensnav:coordinator:{municipality}")


def _row(
    *,
    event: Event,
    kind: str,
    cause_id: UUID,
    party: Party,
    recipient_id: UUID,
    municipality: str,
    administration: str | None,
    due_at: datetime,
    best_before: datetime,
    data: MailData | None = None,
    offer_id: UUID | None = None,
    is_at_workplace: bool = True,
) -> NewMessage:
    about = MailData()
    if isinstance(event, ABOUT_PLACEMENTS):
        about = MailData(placement_type=event.placement_type, starts_on=event.starts_on.isoformat())
    key = f"{kind}:{party.value}:{recipient_id}:email"
    return NewMessage(
        message_id=uuid5(cause_id, key),  # the same after a restored backup, so that a repeat shows
        municipality=municipality,
        administration=administration,
        kind=kind,
        cause_id=cause_id,
        party=party.value,
        recipient_id=recipient_id,
        round_id=getattr(event, "round_id", cause_id),
        workplace_id=getattr(event, "workplace_id", None) if is_at_workplace else None,
        offer_id=offer_id,
        data=about | (data or MailData()),
        due_at=due_at,
        best_before=best_before,
    )


async def _digest(session: Session, event: RoundApproved, now: datetime) -> list[NewMessage]:
    municipality = event.envelope.municipality
    row = {
        "round_id": event.round_id,
        "municipality": municipality,
        "placement_type": event.placement_type,
        "starts_on": event.starts_on,
        "matched": event.matched,
    }
    await session.execute(upsert(RoundFact).values(row).on_conflict_do_nothing())
    if event.matched == 0:
        return []
    return [
        _row(
            event=event,
            kind="digest",
            cause_id=event.round_id,
            party=Party.COORDINATOR,
            recipient_id=_coordinator_of(municipality),
            municipality=municipality,
            administration=None,
            due_at=now + OUTCOME_WAIT,
            best_before=now + OUTCOME_WAIT + KEPT,
        )
    ]


async def _release(
    session: Session, rounds: Collection[UUID], workplaces: Collection[UUID], now: datetime
) -> None:
    """Lets go of the digests of these rounds that are whole now."""
    if not rounds:
        return
    group = and_(OfferFact.round_id == Message.round_id, OfferFact.workplace_id == Message.workplace_id)
    # every municipality: a digest counts all of a round's offers
    messages_of = select(func.count()).where(group).correlate(Message).scalar_subquery()
    expected = select(func.max(OfferFact.at_workplace)).where(group).correlate(Message).scalar_subquery()
    settled = (
        select(func.count()).where(group, OfferFact.outcome.is_not(None)).correlate(Message).scalar_subquery()
    )
    matched = (  # every municipality of the round
        select(RoundFact.matched)
        .where(RoundFact.round_id == Message.round_id)
        .correlate(Message)
        .scalar_subquery()
    )
    decided = (  # every municipality of the round
        select(func.count())
        .where(OfferFact.round_id == Message.round_id, OfferFact.outcome.is_not(None))
        .correlate(Message)
        .scalar_subquery()
    )
    await session.execute(
        update(Message)  # every municipality of the round
        .where(
            Message.round_id.in_(rounds),
            Message.state == "waiting",
            Message.due_at > now,
            or_(Message.workplace_id.in_(workplaces), Message.kind == "digest"),
            or_(
                and_(Message.kind == "offer", messages_of >= expected),
                and_(Message.kind == "outcome", settled >= expected),
                and_(Message.kind == "digest", decided >= matched),
            ),
        )
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )


async def claim(session: Session, *, now: datetime, most: int) -> Sequence[Message]:
    """Takes messages that are due, for a while; what is too late is settled as such."""
    rows = await session.scalars(
        select(Message)  # every municipality: a job
        .where(
            Message.due_at <= now,
            or_(Message.state == "waiting", and_(Message.state == "claimed", Message.claimed_until < now)),
        )
        .order_by(Message.due_at, Message.message_id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    claimed = []
    for row in rows.all():
        if row.best_before < now:
            for name, value in _settled(now, "too_late").items():
                setattr(row, name, value)
            _tell(session, row, "too_late")
            continue
        row.state, row.claimed_until, row.attempts = "claimed", now + LEASE, row.attempts + 1
        claimed.append(row)
    return claimed


async def counts(session: Session, rows: Sequence[Message]) -> dict[UUID, dict[str, int]]:
    """Message id -> what came of the offers that it is about: an employer's at its workplace, a digest's in
    all."""
    rounds = {row.round_id for row in rows if row.kind == "digest"}
    workplaces = {row.workplace_id for row in rows if row.party == Party.EMPLOYER}
    if not rounds and not workplaces:
        return {}
    found = await session.execute(
        select(OfferFact.round_id, OfferFact.workplace_id, OfferFact.outcome, func.count())
        .where(  # every municipality of the rounds: numbers only
            or_(
                OfferFact.round_id.in_(rounds),
                and_(
                    OfferFact.workplace_id.in_(workplaces),
                    OfferFact.round_id.in_({row.round_id for row in rows}),
                ),
            )
        )
        .group_by(OfferFact.round_id, OfferFact.workplace_id, OfferFact.outcome)
    )
    by_group: dict[tuple[UUID, UUID | None], Counter[str]] = defaultdict(Counter)
    for round_id, workplace_id, outcome, n in found:
        by_group[round_id, workplace_id][outcome or "open"] += n
        by_group[round_id, None][outcome or "open"] += n
    counted = {}
    for row in rows:
        if row.kind != "digest" and row.party != Party.EMPLOYER:
            continue
        outcomes = by_group[row.round_id, None if row.kind == "digest" else row.workplace_id]
        offered = sum(n for outcome, n in outcomes.items() if outcome != "refused")
        names = ("confirmed", "declined", "expired", "withdrawn", "open")
        counted[row.message_id] = {
            "offered": offered,
            **{name: outcomes[name] for name in names},
        }
    return counted


async def settle(
    session: Session, *, rows: Sequence[Message], now: datetime, failure: str | None = None
) -> None:
    """Records that messages were handed over, or will not be. They were claimed in an earlier transaction."""
    mine = await session.scalars(
        update(Message)
        .where(
            Message.message_id.in_([row.message_id for row in rows]),
            Message.municipality.in_({row.municipality for row in rows}),
            Message.state == "claimed",
        )
        .values(**_settled(now, failure))
        .returning(Message.message_id)
        .execution_options(synchronize_session=False)
    )
    settled = set(mine)
    for row in rows:
        if row.message_id in settled:
            _tell(session, row, failure)


async def put_back(session: Session, *, message_id: UUID, due_at: datetime) -> None:
    """Tries again later."""
    row = await session.get(Message, message_id, with_for_update=True)
    if row is not None and row.state == "claimed":
        row.state, row.due_at, row.claimed_until = "waiting", due_at, None


def _settled(now: datetime, failure: str | None) -> dict[str, str | datetime | None]:
    return {"state": "failed" if failure else "sent", "settled_at": now, "reason": failure}


def _tell(session: Session, row: Message, failure: str | None) -> None:
    message_id, cause_id, kind, party, channel = (
        row.message_id, row.cause_id, row.kind, row.party, row.channel
    )  # fmt: skip
    event: Event = MessageSent(
        message_id=message_id, cause_id=cause_id, kind=kind, party=party, channel=channel
    )
    if failure:
        event = MessageFailed(
            message_id=message_id, cause_id=cause_id, kind=kind, party=party, channel=channel, reason=failure
        )
    tell(session, event, municipality=row.municipality, administration=row.administration, revision=1)


async def forget(session: Session, event: registry.ErasureRequested) -> None:
    """Messages keep what they were about and lose whom they went to; those not sent yet are not sent."""
    envelope = event.envelope
    done = await session.execute(
        update(Message)
        .where(Message.recipient_id == event.learner_id, Message.municipality == envelope.municipality)
        .values(
            recipient_id=NOBODY,
            state=case((Message.state == "waiting", "failed"), else_=Message.state),
            reason=case((Message.state == "waiting", "no_contact"), else_=Message.reason),
        )
        .execution_options(synchronize_session=False)
    )
    rows = done.rowcount  # type: ignore[attr-defined]
    answer = ErasureOutcome.ERASED if rows else ErasureOutcome.NOTHING
    tell(
        session,
        ErasureAnswered(erasure_id=event.erasure_id, answer=answer, rows=rows),
        municipality=envelope.municipality,
        administration=envelope.administration,
        revision=1,
        cause=envelope,
    )
