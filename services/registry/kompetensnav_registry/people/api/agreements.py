"""Placement agreements over HTTP."""

from datetime import UTC, date, datetime
from typing import Literal, cast
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from kompetensnav_chassis.codes import Day, Name
from kompetensnav_chassis.db import Session
from kompetensnav_contracts.vocabulary import Party
from kompetensnav_registry.ground.api.views import Coordinator, Following, LinkMade, Seen, View, links_of
from kompetensnav_registry.ground.edges.links import Purpose
from kompetensnav_registry.ledger.api.offers import placement_of
from kompetensnav_registry.people.actions import agreements
from kompetensnav_registry.people.domain.agreements import AgreedTerms
from kompetensnav_registry.people.tables.agreements import PlacementAgreement

router = APIRouter(prefix="/{municipality}")

Signer = Literal[Party.PROVIDER, Party.EMPLOYER, Party.LEARNER, Party.GUARDIAN]


class Terms(BaseModel):
    """What is agreed of a placement."""

    hours_per_week: float | None = Field(None, ge=0, le=48)
    starts_at: str | None = Field(None, pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    ends_at: str | None = Field(None, pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    meals: Literal["school", "employer", "own"] | None = None
    insured_by: Literal["provider", "employer", "authority"] | None = None

    def given(self) -> AgreedTerms:
        """What was said, and nothing that was left out."""
        return cast(AgreedTerms, self.model_dump(exclude_unset=True, exclude_none=True))


class NewPlacementAgreement(BaseModel):
    """The agreement of a placement."""

    terms: Terms = Terms()
    second_signer: Signer | None = Field(None, description="A party that two persons sign for together.")


class NewSignature(BaseModel):
    """A signature given outside the system, recorded by a coordinator."""

    party: Signer
    name: Name
    signed_on: Day


class NewAmendment(Seen):
    """New terms; what is left out stays."""

    terms: Terms


class SignatureView(View):
    """Who has signed."""

    party: str
    place: int
    name: str
    signed_on: date
    outside_the_system: bool
    of_revision: int


class AmendmentView(View):
    """An amendment, with what stood before."""

    number: int
    before: AgreedTerms
    after: AgreedTerms
    made_at: datetime
    undone_at: datetime | None


class PlacementAgreementView(View):
    """A placement agreement, who has signed it, and how it has changed."""

    agreement_id: UUID
    placement_id: UUID
    kind: str
    must_sign: list[str]
    second_signer: str | None
    terms: AgreedTerms
    state: str
    revision: int
    signatures: list[SignatureView] = []
    amendments: list[AmendmentView] = []


async def _agreement(session: Session, caller: Following, placement_id: UUID) -> PlacementAgreement:
    placement = await placement_of(session, caller, placement_id)
    return await agreements.agreement_of(session, placement=placement)


async def _view(session: Session, row: PlacementAgreement) -> PlacementAgreementView:
    await session.flush()
    signed = await agreements.signatures_of(session, row)
    changed = await agreements.amendments_of(session, row)
    return PlacementAgreementView.model_validate(row).model_copy(
        update={
            "signatures": [SignatureView.model_validate(s) for s in signed],
            "amendments": [AmendmentView.model_validate(a) for a in changed],
        }
    )


@router.post("/placements/{placement_id}/agreement", status_code=201)
async def draw_up(
    caller: Following, placement_id: UUID, new: NewPlacementAgreement
) -> PlacementAgreementView:
    """Draw up the agreement of a placement: provider, workplace and the learner, or a minor's guardian,
    sign."""
    async with caller.begin() as session:
        placement = await placement_of(session, caller, placement_id)
        row = await agreements.draw_up(
            session, placement=placement, terms=new.terms.given(), second_signer=new.second_signer
        )
        return await _view(session, row)


@router.get("/placements/{placement_id}/agreement")
async def show_agreement(caller: Following, placement_id: UUID) -> PlacementAgreementView:
    """The agreement of a placement."""
    async with caller.begin() as session:
        return await _view(session, await _agreement(session, caller, placement_id))


@router.post("/placements/{placement_id}/agreement/signatures", status_code=201)
async def record_signature(
    caller: Following, placement_id: UUID, new: NewSignature
) -> PlacementAgreementView:
    """Record a signature that was given outside the system."""
    async with caller.begin() as session:
        row = await _agreement(session, caller, placement_id)
        await agreements.sign(session, row=row, outside_the_system=True, **new.model_dump())
        return await _view(session, row)


@router.post("/placements/{placement_id}/agreement/links/{party}", status_code=201)
async def make_link_to_sign(
    request: Request, caller: Coordinator, placement_id: UUID, party: Signer
) -> LinkMade:
    """A link for a party to read and sign the agreement; good for thirty days."""
    async with caller.begin() as session:
        await _agreement(session, caller, placement_id)
    purpose = Purpose(party, kind="sign", placement_id=placement_id)
    return LinkMade(link=links_of(request).make(purpose, Purpose.far()))


@router.post("/placements/{placement_id}/agreement/amendments", status_code=201)
async def amend(caller: Following, placement_id: UUID, new: NewAmendment) -> PlacementAgreementView:
    """Change the terms; the parties sign anew."""
    async with caller.begin() as session:
        row = await _agreement(session, caller, placement_id)
        await agreements.amend(
            session, row=row, seen=new.revision, changes=new.terms.given(), by="coordinator"
        )
        return await _view(session, row)


@router.post("/placements/{placement_id}/agreement/amendments/undo")
async def undo_amendment(caller: Following, placement_id: UUID) -> PlacementAgreementView:
    """Take the latest amendment back."""
    async with caller.begin() as session:
        row = await _agreement(session, caller, placement_id)
        await agreements.undo_amendment(session, row=row, at=datetime.now(UTC))
        return await _view(session, row)
