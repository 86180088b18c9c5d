"""What a learning centre does for the schools that delegate to it: their learners, and no others.

The delegation is the authority. The transaction's scope is widened to the municipalities and administrations
that have delegated, and every query is held to their schools.
"""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import ColumnElement, select, tuple_

from kompetensnav_chassis.db import Scope, Session, rescope
from kompetensnav_chassis.errors import NotFound
from kompetensnav_registry.ground.actions.organisations import delegations_to, school_of
from kompetensnav_registry.ground.tables.learners import Learner
from kompetensnav_registry.ground.tables.organisations import Delegation, LearningCentre
from kompetensnav_registry.ledger.actions import direct
from kompetensnav_registry.ledger.domain.requests import RequestValues
from kompetensnav_registry.ledger.tables.offers import Offer, Request
from kompetensnav_registry.ledger.tables.slots import Slot
from kompetensnav_registry.people.actions import learners


async def reach(session: Session, *, centre: str, today: date) -> Sequence[Delegation]:
    """Widens the scope to what is delegated to the centre today. Raises NotFound when nothing is."""
    found = await delegations_to(session, centre=centre, on=today)
    if not found:
        raise NotFound(
            "No school delegates to this learning centre.", "Ingen skola har delegerat till lärcentrumet."
        )
    before = session.info["scope"]
    own = (*before.own, *sorted({d.granted_by for d in found}))
    await rescope(session, Scope(own, (), tuple(sorted({d.administration for d in found}))))
    return found


def is_delegated(found: Sequence[Delegation]) -> ColumnElement[bool]:
    """A learner of a school that delegates; never one with a security marking."""
    schools = [(d.granted_by, d.administration, d.school) for d in found]
    return tuple_(Learner.municipality, Learner.administration, Learner.school).in_(schools) & (
        Learner.security_marking == "none"
    )


async def open_request(
    session: Session, *, found: Sequence[Delegation], learner_id: UUID, about: RequestValues
) -> Request:
    """A placement request for a learner of a school that delegates; nobody marks the learner meanwhile.
    Raises NotFound."""
    learner = await _learner(session, found, learner_id)
    school = await school_of(session, municipality=learner.municipality, code=learner.school)
    return await learners.open_request(session, learner=learner, school=school, about=about)


async def offer_slot(
    session: Session,
    *,
    found: Sequence[Delegation],
    centre: str,
    request_id: UUID,
    slot_id: UUID,
    slot_municipality: str,
) -> Offer:
    """Offers a slot that the centre may use. Raises NotFound and the ledger's refusals."""
    row = await session.scalar(
        select(Request)
        .join(Learner, Learner.learner_id == Request.learner_id)
        .where(Request.request_id == request_id, is_delegated(found))  # every municipality that delegates
    )
    if row is None:
        raise NotFound("There is no such request.", "Det finns inget sådant önskemål.")
    return await direct.offer_slot(
        session,
        municipality=row.municipality,
        request_id=request_id,
        slot_id=slot_id,
        slot_municipality=slot_municipality,
        via=await session.get_one(LearningCentre, centre),
    )


def slots_shared_with(centre: LearningCentre) -> ColumnElement[bool]:
    """The slots a centre sees: those that name it, and those open to everyone."""
    return (Slot.shared_with == "public") | (
        (Slot.shared_with == "named") & Slot.named_municipalities.any(centre.code)  # type: ignore[arg-type]
    )


async def _learner(session: Session, found: Sequence[Delegation], learner_id: UUID) -> Learner:
    row = await session.scalar(
        select(Learner)  # every municipality that delegates
        .where(Learner.learner_id == learner_id, is_delegated(found))
        .with_for_update(read=True)
    )
    if row is None:
        raise NotFound("There is no such learner.", "Det finns ingen sådan elev eller deltagare.")
    return row
