"""Access and erasure: what is kept about a learner, and what each service answers when asked to forget them.

Each service answers one of three things: erased; retained, on what ground and until when (public records may
only be erased by law or decision); or nothing. The matrix of answers has a deadline.
Sources: Regulation (EU) 2016/679 art. 12, 15 and 17; Arkivlagen (1990:782) 10 §.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Select, delete, func, or_, select, text, update

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import Conflict, NotFound
from kompetensnav_contracts.vocabulary import ErasureOutcome
from kompetensnav_registry.ground.edges.seal import Seal
from kompetensnav_registry.ground.tables.learners import Learner, ViewLog
from kompetensnav_registry.ledger.tables.offers import Offer, Placement, Presence, Request
from kompetensnav_registry.people.actions.forgetting import OTHERS, OURS, ask
from kompetensnav_registry.people.actions.learners import close_all
from kompetensnav_registry.people.tables.agreements import PlacementAgreement, Signature
from kompetensnav_registry.people.tables.vault import (
    BackgroundCheck,
    Erasure,
    ErasureAnswer,
    EsfParticipation,
    Retention,
)

log = structlog.get_logger()

FORGET = "forget"
"""The job that deletes what has been kept long enough."""

KEPT_FOR = timedelta(days=3650)
"""How long a signed placement agreement is kept where no decision says otherwise: ten years."""


Export = dict[str, Any]
"""Everything about a learner, by table, as it is handed out."""


async def access_export(session: Session, *, learner: Learner, seal: Seal) -> Export:
    """Everything that is kept about a learner, for the learner: the vault, what hangs on it, and who has
    looked. What other services have been told is some of the same, by the learner's reference."""
    here = (learner.learner_id, learner.municipality)
    number = None
    if learner.sealed and learner.wrapped_key:
        number = seal.open(learner.municipality, str(learner.learner_id), learner.sealed, learner.wrapped_key)
    sealed = {"sealed", "wrapped_key", "blind_index"}
    about = {k: v for k, v in _plain(learner).items() if k not in sealed} | {"identity_number": number}
    export: Export = {"learner": about}
    for table in (Request, Offer, Placement, BackgroundCheck, EsfParticipation, ViewLog):
        rows = await session.scalars(
            select(table).where(table.learner_id == here[0], table.municipality == here[1])
        )
        export[table.__tablename__] = [_plain(row) for row in rows]
    placements = [row["placement_id"] for row in export["placement"]]
    presence = await session.scalars(
        select(Presence).where(
            Presence.placement_id.in_([UUID(id) for id in placements]), Presence.municipality == here[1]
        )
    )
    export["presence"] = [_plain(row) for row in presence]
    signed = await session.scalars(
        select(Signature)
        .join(PlacementAgreement, PlacementAgreement.agreement_id == Signature.agreement_id)
        .where(
            PlacementAgreement.placement_id.in_([UUID(id) for id in placements]),
            Signature.municipality == here[1],
            Signature.party.in_(("learner", "guardian")),
        )
    )
    export["signature"] = [_plain(row) for row in signed]
    agreements = await session.scalars(
        select(PlacementAgreement).where(
            PlacementAgreement.placement_id.in_([UUID(id) for id in placements]),
            PlacementAgreement.municipality == here[1],
        )
    )
    export["placement_agreement"] = [_plain(row) for row in agreements]
    return export


def _plain(row: Any) -> Mapping[str, object]:
    values = {c.key: getattr(row, c.key) for c in row.__table__.columns}
    return {
        name: value if isinstance(value, str | int | bool | list | dict | type(None)) else str(value)
        for name, value in values.items()
        if not isinstance(value, bytes)
    }


async def request_erasure(
    session: Session, *, learner: Learner, requested_by: str, now: datetime, seal: Seal
) -> Erasure:
    """Asks every service to forget a learner, whom the caller has locked; the registry answers at once.
    Raises Conflict while the learner has an open offer or a placement that is not over."""
    today = now.date()
    active = await session.scalar(
        select(func.count()).where(
            Offer.learner_id == learner.learner_id,
            Offer.municipality == learner.municipality,
            (Offer.state == "open") | ((Offer.state == "confirmed") & (Offer.ends_on >= today)),
        )
    )
    if active:
        raise Conflict(
            "The learner has an offer or a placement that is not over. End it first.",
            "Personen har ett erbjudande eller en placering som inte är slut. Avsluta den först.",
        )
    await close_all(session, learners=[learner.learner_id], municipality=learner.municipality)
    # Nobody else knows of a protected learner: never heard, or asked to forget when the marking came.
    services = [OURS] if learner.security_marking != "none" else [OURS, *OTHERS]
    row = ask(session, learner=learner, services=services, requested_by=requested_by, now=now)
    row.blind_ref = seal.index(learner.municipality, learner.ref) if learner.ref else None
    await session.flush()
    session.add(await _erase_here(session, row, learner, now))
    return row


async def _erase_here(session: Session, row: Erasure, learner: Learner, now: datetime) -> ErasureAnswer:
    """The registry's own answer. The vault's row goes (with its key); what hangs on it keeps the random
    reference, which leads to nobody; a signed agreement is kept as the municipality has decided."""
    id, home = learner.learner_id, learner.municipality
    kept = await session.scalar(
        select(func.max(Signature.signed_on))
        .join(PlacementAgreement, PlacementAgreement.agreement_id == Signature.agreement_id)
        .join(Placement, Placement.placement_id == PlacementAgreement.placement_id)
        .where(Placement.learner_id == id, Placement.municipality == home)
    )
    decided = await session.get(Retention, (home, row.administration, "placement_agreement"))
    for table in (BackgroundCheck, EsfParticipation):
        await session.execute(delete(table).where(table.learner_id == id, table.municipality == home))
    await session.execute(
        update(Request)
        .where(Request.learner_id == id, Request.municipality == home)
        .values(wishes=[], needs=[], terms={}, ref=None, locality="", language="none")
    )
    await session.delete(learner)
    answer = ErasureAnswer(
        erasure_id=row.erasure_id,
        service=OURS,
        municipality=home,
        administration=row.administration,
        answer=ErasureOutcome.ERASED,
        rows=1,
        answered_at=now,
    )
    if kept:
        months = decided.months if decided else None
        until = kept + (timedelta(days=months * 30.44) if months is not None else KEPT_FOR)
        answer.answer, answer.until = ErasureOutcome.RETAINED, until
        answer.ground = (
            f"placement_agreement: {decided.decided_by}"
            if decided
            else "placement_agreement: Arkivlagen 10 §"
        )
    return answer


async def note_answers(session: Session, events: Sequence[Any], now: datetime) -> None:
    """What other services have answered."""
    for event in events:
        home = event.envelope.municipality
        there = await session.get(ErasureAnswer, (event.erasure_id, event.name.split(".")[0]))
        if there is None:
            session.add(
                ErasureAnswer(
                    erasure_id=event.erasure_id,
                    service=event.name.split(".")[0],
                    municipality=home,
                    administration=event.envelope.administration or "",
                    answer=event.answer,
                    ground=event.ground,
                    until=event.until,
                    rows=event.rows,
                    answered_at=now,
                )
            )


def shown_erasures(municipality: str, case_worker: str | None) -> Select[Erasure]:
    """The municipality's erasures; a protected learner's for the named case worker only."""
    mine = or_(Erasure.case_worker.is_(None), Erasure.case_worker == case_worker)
    return select(Erasure).where(Erasure.municipality == municipality, mine)


async def find_erasure(
    session: Session, *, municipality: str, erasure_id: UUID, case_worker: str | None = None
) -> tuple[Erasure, Sequence[ErasureAnswer]]:
    """An erasure and its answers. Raises NotFound."""
    row = await session.scalar(
        shown_erasures(municipality, case_worker).where(Erasure.erasure_id == erasure_id)
    )
    if row is None:
        raise NotFound("There is no such erasure.", "Det finns ingen sådan radering.")
    answers = await session.scalars(
        select(ErasureAnswer)
        .where(ErasureAnswer.erasure_id == erasure_id, ErasureAnswer.municipality == municipality)
        .order_by(ErasureAnswer.service)
    )
    return row, answers.all()


async def alarm(session: Session, *, today: date) -> int:
    """Logs erasures that somebody has not answered in time, each once; returns how many."""
    answered = (
        select(func.count())  # every municipality: a job
        .where(ErasureAnswer.erasure_id == Erasure.erasure_id)
        .correlate(Erasure)
        .scalar_subquery()
    )
    late = await session.scalars(
        select(Erasure)  # every municipality: a job
        .where(
            Erasure.answer_by < today,
            Erasure.alarmed_at.is_(None),
            answered < func.cardinality(Erasure.asked),
        )
        .with_for_update(skip_locked=True)
    )
    rows = late.all()
    for row in rows:
        row.alarmed_at = datetime.now(UTC)
        log.error("erasure_overdue", erasure_id=str(row.erasure_id), municipality=row.municipality)
    return len(rows)


_OWN = "where municipality = :municipality and administration = :administration"
DOCUMENT_TYPES = {
    "view_log": f"delete from vault.view_log {_OWN} and viewed_at < :before",
    "background_check": f"delete from vault.background_check {_OWN} and shown_on < :before",
    "document": "delete from vault.document where municipality = :municipality and added_on < :before",
    "placement_agreement": f"delete from vault.signature {_OWN} and signed_on < :before",
    "presence": f"delete from presence {_OWN} and week < :before",
    "invitation": "delete from invitation where municipality = :municipality and invited_at < :before",
}
"""Type of document -> how it is deleted when its time is up: an administration's own, and nobody else's.
Invitations and the documents of cooperation agreements are the municipality's, and are kept as long as any of
its administrations has decided."""


async def forget(session: Session, *, today: date) -> dict[str, int]:
    """Deletes what has been kept as long as each administration has decided, and what was retained of erased
    learners until the day that was answered; type -> how many. What nobody has decided about is kept."""
    retained = await session.execute(
        delete(Signature).where(  # every municipality: a job
            Signature.agreement_id.in_(
                select(PlacementAgreement.agreement_id)
                .join(Placement, Placement.placement_id == PlacementAgreement.placement_id)
                .join(Erasure, Erasure.learner_id == Placement.learner_id)
                .join(ErasureAnswer, ErasureAnswer.erasure_id == Erasure.erasure_id)
                .where(ErasureAnswer.service == OURS, ErasureAnswer.until < today)
            )
        )
    )
    forgotten = {"placement_agreement": retained.rowcount}  # type: ignore[attr-defined]
    rules = await session.scalars(select(Retention))  # every municipality: a job
    for rule in _longest_for_all(rules.all()):
        values = {
            "municipality": rule.municipality,
            "administration": rule.administration,
            "before": _months_before(today, rule.months),
        }
        statement = DOCUMENT_TYPES[rule.document_type]
        used = {name: value for name, value in values.items() if f":{name}" in statement}
        done = await session.execute(text(statement), used)
        deleted = done.rowcount  # type: ignore[attr-defined]
        forgotten[rule.document_type] = forgotten.get(rule.document_type, 0) + deleted
    return forgotten


def _longest_for_all(rules: Sequence[Retention]) -> list[Retention]:
    """The decisions; of those about what is the whole municipality's, only the one that keeps it longest."""
    found: dict[tuple[str, ...], Retention] = {}
    for rule in sorted(rules, key=lambda each: each.months):
        is_own = _OWN in DOCUMENT_TYPES[rule.document_type]
        whose = (rule.municipality, rule.administration) if is_own else (rule.municipality,)
        found[(*whose, rule.document_type)] = rule
    return list(found.values())


def _months_before(day: date, months: int) -> date:
    total = day.year * 12 + day.month - 1 - months
    return date(total // 12, total % 12 + 1, min(day.day, 28))


def as_json(export: Export) -> str:
    """The export as a file."""
    return json.dumps(export, ensure_ascii=False, indent=1, default=str)
