"""Agreements about single placements: drawn up, signed by each party, amended, and amendments undone."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import uuid_utils.compat as uuids
from sqlalchemy import func, select

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import Conflict, NotFound
from kompetensnav_registry.ground.domain.editing import change
from kompetensnav_registry.ledger.tables.offers import Offer, Placement, Request
from kompetensnav_registry.people.domain.agreements import (
    AgreedTerms,
    NotAParty,
    NothingToUndo,
    kind_of,
    next_place,
    places,
    signers,
)
from kompetensnav_registry.people.tables.agreements import Amendment, PlacementAgreement, Signature


async def draw_up(
    session: Session, *, placement: Placement, terms: AgreedTerms, second_signer: str | None
) -> PlacementAgreement:
    """The agreement of a placement, ready to sign. Raises Conflict when there is one."""
    if await _of(session, placement):
        raise Conflict("The placement has an agreement.", "Placeringen har redan ett avtal.")
    offer = await session.get_one(Offer, placement.offer_id)
    request = await session.get_one(Request, offer.request_id)
    row = PlacementAgreement(
        agreement_id=uuids.uuid7(),
        municipality=placement.municipality,
        administration=placement.administration,
        placement_id=placement.placement_id,
        kind=kind_of(offer.placement_type),
        must_sign=list(signers(request.age_class)),
        second_signer=second_signer,
        terms=terms,
        revision=1,
    )
    places(row.must_sign, second_signer)
    if second_signer and second_signer not in row.must_sign:
        raise NotAParty(second_signer)
    session.add(row)
    return row


async def _of(session: Session, placement: Placement) -> PlacementAgreement | None:
    return await session.scalar(
        select(PlacementAgreement)
        .where(
            PlacementAgreement.placement_id == placement.placement_id,
            PlacementAgreement.municipality == placement.municipality,
        )
        .with_for_update()
    )


async def agreement_of(session: Session, *, placement: Placement) -> PlacementAgreement:
    """The placement's agreement, locked. Raises NotFound."""
    row = await _of(session, placement)
    if row is None:
        raise NotFound("The placement has no agreement yet.", "Placeringen har inget avtal än.")
    return row


async def sign(
    session: Session,
    *,
    row: PlacementAgreement,
    party: str,
    name: str,
    signed_on: date,
    outside_the_system: bool,
) -> PlacementAgreement:
    """One party's signature of the terms as they are now; the last one makes the agreement signed. Raises
    NotAParty or SignedAlready."""
    needed = places(row.must_sign, row.second_signer)
    given = {(s.party, s.place) for s in await signatures_of(session, row) if s.of_revision == row.revision}
    place = next_place(needed, given, party)
    session.add(
        Signature(
            signature_id=uuids.uuid7(),
            municipality=row.municipality,
            administration=row.administration,
            agreement_id=row.agreement_id,
            party=party,
            place=place,
            name=name,
            signed_on=signed_on,
            outside_the_system=outside_the_system,
            of_revision=row.revision,
        )
    )
    if needed == given | {(party, place)}:
        row.signed_terms = row.terms
    return row


async def signatures_of(session: Session, row: PlacementAgreement) -> Sequence[Signature]:
    """Who has signed, in which revision."""
    found = await session.scalars(
        select(Signature)
        .where(Signature.agreement_id == row.agreement_id, Signature.municipality == row.municipality)
        .order_by(Signature.of_revision, Signature.signature_id)
    )
    return found.all()


async def amend(
    session: Session, *, row: PlacementAgreement, seen: int, changes: AgreedTerms, by: str
) -> Amendment:
    """New terms, to be signed anew. Raises ChangedMeanwhile, or Conflict when nothing changes."""
    before, after = row.terms, row.terms | changes
    if before == after:
        raise Conflict("The terms are like that already.", "Villkoren är redan sådana.")
    change(row, seen, {"terms": after})
    number = await session.scalar(
        select(func.coalesce(func.max(Amendment.number), 0) + 1).where(
            Amendment.agreement_id == row.agreement_id, Amendment.municipality == row.municipality
        )
    )
    made = Amendment(
        amendment_id=uuids.uuid7(),
        municipality=row.municipality,
        administration=row.administration,
        agreement_id=row.agreement_id,
        number=number or 1,
        before=before,
        after=after,
        made_by=by,
    )
    session.add(made)
    return made


async def undo_amendment(session: Session, *, row: PlacementAgreement, at: Any) -> Amendment:
    """Takes the latest amendment back; terms that everyone had signed before are signed again. Raises
    NothingToUndo."""
    last = await session.scalar(
        select(Amendment)
        .where(
            Amendment.agreement_id == row.agreement_id,
            Amendment.municipality == row.municipality,
            Amendment.undone_at.is_(None),
        )
        .order_by(Amendment.number.desc())
        .limit(1)
    )
    if last is None:
        raise NothingToUndo
    last.undone_at = at
    change(row, row.revision, {"terms": last.before})
    return last


async def amendments_of(session: Session, row: PlacementAgreement) -> Sequence[Amendment]:
    """Every amendment, also undone ones, in order."""
    found = await session.scalars(
        select(Amendment)
        .where(Amendment.agreement_id == row.agreement_id, Amendment.municipality == row.municipality)
        .order_by(Amendment.number)
    )
    return found.all()
