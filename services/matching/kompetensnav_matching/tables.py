"""Matching's rows: what it needs of slots and requests, rounds with their proposals, and what people have
decided."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Date,
    DateTime,
    Identity,
    Index,
    Select,
    String,
    Uuid,
    and_,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from kompetensnav_chassis.db import metadata
from kompetensnav_chassis.inbox import InboxRow
from kompetensnav_chassis.outbox import OutboxRow
from kompetensnav_matching import domain

CODE = String(40)


class Base(DeclarativeBase):
    """Matching's tables."""

    metadata = metadata()
    type_annotation_map = {
        datetime: DateTime(timezone=True),
        list[str]: ARRAY(String(40)),
        list[UUID]: ARRAY(Uuid),
        list[dict[str, Any]]: JSONB,
        dict[str, Any]: JSONB,
    }


class Outbox(OutboxRow, Base):
    """Events on their way out."""


class Inbox(InboxRow, Base):
    """Events already handled."""


class Round(Base):
    """A matching round: what it is for, and its draft."""

    __tablename__ = "round"
    __table_args__ = (Index("ix_round_due", "draft_at", postgresql_where="state = 'scheduled'"),)

    round_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    municipalities: Mapped[list[str]]
    administrations: Mapped[list[str]]
    agreement_id: Mapped[UUID | None]
    repairs: Mapped[UUID | None] = mapped_column(index=True)
    placement_type: Mapped[str] = mapped_column(CODE)
    starts_on: Mapped[date] = mapped_column(Date)
    ends_on: Mapped[date] = mapped_column(Date)
    cohorts: Mapped[list[UUID]]
    state: Mapped[str] = mapped_column(CODE, default="draft")
    draft_at: Mapped[datetime | None]
    learners: Mapped[int] = mapped_column(default=0)
    seats: Mapped[int] = mapped_column(default=0)
    matched: Mapped[int] = mapped_column(default=0)
    cost: Mapped[int] = mapped_column(default=0)
    inputs: Mapped[str | None] = mapped_column(String(64))
    mode: Mapped[str] = mapped_column(CODE, default=domain.MOST_PLACED)
    proof: Mapped[dict[str, Any] | None]
    """What `domain.Proof` tells of the draft."""
    new_field_minutes: Mapped[int] = mapped_column(default=0)
    bottlenecks: Mapped[list[dict[str, Any]] | None]
    """`domain.Bottleneck`s, those that would place most first."""
    scarcity: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    """Slot -> what one seat more would spare all, tenths of a minute."""
    crowded: Mapped[list[UUID] | None] = mapped_column(deferred=True)
    """Slots of which one seat more would place one learner more."""
    revision: Mapped[int] = mapped_column(default=0)
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
    approved_at: Mapped[datetime | None]


class Proposal(Base):
    """A learner's row in a round: the proposed slot or none, with reasons, and what came of it."""

    __tablename__ = "proposal"
    __table_args__ = (
        Index("ix_proposal_round_id", "round_id"),
        Index("ix_proposal_request_id", "request_id"),
        Index("ix_proposal_awaited", "slot_id", postgresql_where="state = 'approved'"),
    )

    proposal_id: Mapped[UUID] = mapped_column(primary_key=True)
    round_id: Mapped[UUID]
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    request_id: Mapped[UUID]
    learner_id: Mapped[UUID]
    slot_id: Mapped[UUID | None]
    cost: Mapped[int]
    wish_rank: Mapped[int | None]
    reasons: Mapped[list[dict[str, Any]]]
    by: Mapped[str] = mapped_column(CODE, default="solver")
    pinned: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(CODE, default="draft")


class OpenSlot(Base):
    """A slot as matching needs it; the registry owns the rest."""

    __tablename__ = "open_slot"
    __table_args__ = (Index("ix_open_slot_placement_type", "placement_type", "municipality"),)

    slot_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    workplace_id: Mapped[UUID]
    placement_type: Mapped[str] = mapped_column(CODE)
    occupation: Mapped[str] = mapped_column(String(4))
    starts_on: Mapped[date] = mapped_column(Date)
    ends_on: Mapped[date] = mapped_column(Date)
    seats: Mapped[int]
    locality: Mapped[str] = mapped_column(CODE)
    min_language: Mapped[str] = mapped_column(CODE)
    offers_needs: Mapped[list[str]]
    shared_with: Mapped[str] = mapped_column(CODE)
    named_municipalities: Mapped[list[str]]
    owner_administration: Mapped[str | None] = mapped_column(CODE)
    withdrawn: Mapped[bool] = mapped_column(default=False)
    revision: Mapped[int]

    def with_seats(self, seats: int) -> domain.Slot:
        """The slot for the solver, with the seats that are left in it."""
        return domain.Slot(
            slot_id=self.slot_id,
            municipality=self.municipality,
            workplace_id=self.workplace_id,
            occupation=self.occupation,
            starts_on=self.starts_on,
            ends_on=self.ends_on,
            seats=seats,
            locality=self.locality,
            min_language=self.min_language,
            offers_needs=frozenset(self.offers_needs),
            shared_with=self.shared_with,
            named_municipalities=frozenset(self.named_municipalities),
            administration=self.owner_administration,
        )


class SeatsLeft(Base):
    """How many seats are left in a slot, as the ledger last told; a row of its own, since it may be heard of
    before the slot is."""

    __tablename__ = "seats_left"

    slot_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    seats: Mapped[int]
    revision: Mapped[int]


class OpenRequest(Base):
    """A placement request as matching needs it: a reference, wishes and limits."""

    __tablename__ = "open_request"
    __table_args__ = (Index("ix_open_request_placement_type", "placement_type", "municipality", "state"),)

    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    learner_id: Mapped[UUID]
    placement_type: Mapped[str] = mapped_column(CODE)
    starts_on: Mapped[date] = mapped_column(Date)
    ends_on: Mapped[date] = mapped_column(Date)
    cohort_id: Mapped[UUID]
    locality: Mapped[str] = mapped_column(CODE)
    language: Mapped[str] = mapped_column(CODE)
    needs: Mapped[list[str]]
    max_travel_minutes: Mapped[int]
    wishes: Mapped[list[dict[str, Any]]]
    wanted: Mapped[list[str]]
    """What the wishes can be met by (`domain.wanted`), so that a repair reads only those it concerns."""
    state: Mapped[str] = mapped_column(CODE, default="open")
    revision: Mapped[int]

    @property
    def request(self) -> domain.Request:
        """The request for the solver."""
        wishes = tuple(
            domain.Wish(
                w["rank"],
                w["occupation"],
                UUID(w["slot_id"]) if w["slot_id"] else None,
                w["preference"],
                w["host_preference"],
                w.get("new_field", False),
            )
            for w in self.wishes
        )
        return domain.Request(
            request_id=self.request_id,
            learner_id=self.learner_id,
            municipality=self.municipality,
            administration=self.administration,
            starts_on=self.starts_on,
            ends_on=self.ends_on,
            locality=self.locality,
            language=self.language,
            needs=frozenset(self.needs),
            max_travel_minutes=self.max_travel_minutes,
            wishes=wishes,
        )


class Forbidden(Base):
    """A pair that may not be proposed: refused earlier, or forbidden by a coordinator."""

    __tablename__ = "forbidden"

    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    slot_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    reason: Mapped[str] = mapped_column(CODE)


class Stale(Base):
    """Something changed that a repair of earlier rounds should look at; a row a change, so that none waits or
    is lost."""

    __tablename__ = "stale"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    placement_type: Mapped[str] = mapped_column(CODE)


class StandingRule(Base):
    """A municipality's standing decision that repairs are approved without asking."""

    __tablename__ = "standing_rule"

    municipality: Mapped[str] = mapped_column(CODE, primary_key=True)
    approve_repairs: Mapped[bool]
    decided_by: Mapped[str] = mapped_column(String(200))
    decided_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class Agreement(Base):
    """A sharing agreement; a listed reference table (it names no person)."""

    __tablename__ = "agreement"

    agreement_id: Mapped[UUID] = mapped_column(primary_key=True)
    lead: Mapped[str] = mapped_column(CODE)
    municipalities: Mapped[list[str]]
    placement_types: Mapped[list[str]]
    valid_from: Mapped[date] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)


class Locality(Base):
    """Where a locality lies; a listed reference table."""

    __tablename__ = "locality"

    locality: Mapped[str] = mapped_column(CODE, primary_key=True)
    latitude: Mapped[float]
    longitude: Mapped[float]


class TravelTime(Base):
    """Minutes between two localities, which override the estimate; a listed reference table."""

    __tablename__ = "travel_time"

    home: Mapped[str] = mapped_column(CODE, primary_key=True)
    work: Mapped[str] = mapped_column(CODE, primary_key=True)
    minutes: Mapped[int]


def open_slots(round: Round) -> Select[OpenSlot, int]:
    """The slots a round can use, and how many of their seats are neither taken nor waited for."""
    awaited = (
        select(func.count())
        .where(
            Proposal.slot_id == OpenSlot.slot_id,
            Proposal.state == "approved",
            Proposal.municipality.in_(round.municipalities),
        )
        .correlate(OpenSlot)
        .scalar_subquery()
    )
    free = func.greatest(0, func.coalesce(SeatsLeft.seats, OpenSlot.seats) - awaited)
    return (
        select(OpenSlot, free.label("free"))
        .outerjoin(
            SeatsLeft,
            and_(SeatsLeft.slot_id == OpenSlot.slot_id, SeatsLeft.municipality == OpenSlot.municipality),
        )
        .where(
            OpenSlot.placement_type == round.placement_type,
            OpenSlot.municipality.in_(round.municipalities),
            OpenSlot.starts_on >= round.starts_on,
            OpenSlot.ends_on <= round.ends_on,
            OpenSlot.withdrawn.is_(False),
        )
    )


def open_requests(round: Round) -> Select[OpenRequest]:
    """The requests a round is for: open, in its period, of its cohorts (all when it names none)."""
    found = select(OpenRequest).where(
        OpenRequest.placement_type == round.placement_type,
        OpenRequest.municipality.in_(round.municipalities),
        OpenRequest.administration.in_(round.administrations),
        OpenRequest.starts_on <= round.ends_on,
        OpenRequest.ends_on >= round.starts_on,
        OpenRequest.state == "open",
    )
    return found.where(OpenRequest.cohort_id.in_(round.cohorts)) if round.cohorts else found
