"""The one question other services may ask: how to reach someone, at the moment of writing to them."""

from collections.abc import Sequence
from typing import Literal, TypedDict
from uuid import UUID

from sqlalchemy import or_, select

from kompetensnav_chassis.db import Session
from kompetensnav_contracts.vocabulary import Party
from kompetensnav_registry.actors.tables import Contact
from kompetensnav_registry.ground.edges.links import Links, Purpose
from kompetensnav_registry.ground.tables.learners import Learner
from kompetensnav_registry.ledger.tables.offers import Offer


class Question(TypedDict, total=False):
    """Whom to reach, and what the link shall be for."""

    party: str
    learner_id: str
    offer_id: str
    workplace_id: str
    round_id: str
    kind: str


class Reachable(TypedDict):
    """How to reach them. Kept nowhere."""

    email: str
    language: Literal["sv", "en"]
    link: str | None


async def contacts(
    session: Session, *, municipality: str, questions: Sequence[Question], links: Links
) -> list[Reachable | None]:
    """For each question the address, language and link; None for someone who cannot be reached by mail.

    A learner with a security marking is never reached by mail: a case worker tells them.
    """
    learners = {
        row.learner_id: row
        for row in await session.scalars(
            select(Learner).where(
                Learner.municipality == municipality, Learner.learner_id.in_(_ids(questions, "learner_id"))
            )
        )
    }
    offers = {
        row.offer_id: row
        for row in await session.scalars(
            select(Offer).where(
                Offer.municipality == municipality, Offer.offer_id.in_(_ids(questions, "offer_id"))
            )
        )
    }
    wanted = or_(
        Contact.workplace_id.in_({UUID(q["workplace_id"]) for q in questions if q.get("workplace_id")}),
        Contact.role == Party.COORDINATOR,
    )
    people = list(
        await session.scalars(
            select(Contact).where(Contact.municipality == municipality, Contact.is_main, wanted)
        )
    )
    at = {row.workplace_id: row for row in people if row.role == "employer"}
    coordinator = next((row for row in people if row.role == "coordinator"), None)
    answered: list[Reachable | None] = []
    for asked in questions:
        party = asked["party"]
        if party == Party.COORDINATOR:
            answered.append(_reach(coordinator.email, coordinator.speaks, None) if coordinator else None)
        elif party == Party.EMPLOYER:
            contact = at.get(UUID(asked["workplace_id"]))
            purpose = _employers(UUID(asked["workplace_id"]), UUID(asked["round_id"]), asked.get("kind"))
            answered.append(
                _reach(contact.email, contact.speaks, links.make(purpose, Purpose.far())) if contact else None
            )
        else:
            learner, offer = learners.get(UUID(asked["learner_id"])), offers.get(UUID(asked["offer_id"]))
            address = learner and (learner.guardian_email if party == Party.GUARDIAN else learner.email)
            if learner is None or offer is None or not address or learner.security_marking != "none":
                answered.append(None)
                continue
            link = links.make(Purpose(party, offer_id=offer.offer_id), offer.answer_by)
            answered.append(_reach(address, learner.speaks, link))
    return answered


def _employers(workplace_id: UUID, cause_id: UUID, kind: str | None) -> Purpose:
    """What an employer's link is for: a round's offers, or (`again`) an asking's slots; `guest`: a seat that
    another stack has asked for."""
    if kind in ("guest", "guest_ended"):
        return Purpose(Party.EMPLOYER, kind="guest", reference=cause_id)
    if kind == "again":
        return Purpose(Party.EMPLOYER, kind=kind, workplace_id=workplace_id, asking_id=cause_id)
    return Purpose(Party.EMPLOYER, workplace_id=workplace_id, round_id=cause_id)


def _ids(questions: Sequence[Question], key: Literal["learner_id", "offer_id"]) -> set[UUID]:
    return {UUID(asked[key]) for asked in questions if asked.get(key)}


def _reach(email: str, speaks: str, link: str | None) -> Reachable:
    return {"email": email, "language": "en" if speaks == "en" else "sv", "link": link}
