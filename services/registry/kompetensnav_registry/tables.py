"""The registry's rows. Direct identifiers live in the schema `vault` and nowhere else."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Select,
    String,
    UniqueConstraint,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from kompetensnav_chassis.db import metadata
from kompetensnav_chassis.inbox import InboxRow
from kompetensnav_chassis.outbox import OutboxRow
from kompetensnav_registry.domain import Room

CODE = String(40)
VAULT = "vault"


class Base(DeclarativeBase):
    """The registry's tables."""

    metadata = metadata()
    type_annotation_map = {
        datetime: DateTime(timezone=True),
        list[str]: ARRAY(String(40)),
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
    }


class Outbox(OutboxRow, Base):
    """Events on their way out."""


class Inbox(InboxRow, Base):
    """Events already handled."""


class Slot(Base):
    """An offer of capacity: workplace, occupation, period, seats and requirements."""

    __tablename__ = "slot"
    __table_args__ = (
        UniqueConstraint("municipality", "ref"),
        CheckConstraint("taken between 0 and seats", name="never_more_than_seats"),
        CheckConstraint("ends_on >= starts_on", name="period"),
        Index("ix_slot_workplace_id", "workplace_id"),
    )

    slot_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    ref: Mapped[str | None] = mapped_column(String(100))
    workplace_id: Mapped[UUID] = mapped_column(ForeignKey("workplace.workplace_id"))
    employer_id: Mapped[UUID] = mapped_column(ForeignKey("employer.employer_id"))
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
    administration: Mapped[str | None] = mapped_column(CODE)
    own_found: Mapped[bool] = mapped_column(default=False)
    taken: Mapped[int] = mapped_column(default=0)
    seats_left: Mapped[int]
    """As last told: the least of what the slot and its workplace's weeks have room for."""
    revision: Mapped[int] = mapped_column(default=1)
    capacity_revision: Mapped[int] = mapped_column(default=0)
    public_revision: Mapped[int] = mapped_column(default=0)
    is_public: Mapped[bool] = mapped_column(default=False)
    withdrawn_at: Mapped[datetime | None]
    posted_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def room(self) -> Room:
        """The slot as the ledger needs it."""
        return Room(self.slot_id, self.seats, self.starts_on, self.ends_on, self.withdrawn_at is not None)


class Seat(Base):
    """One seat given; holds no learner, so that a count of seats is never partial."""

    __tablename__ = "seat"
    __table_args__ = (
        Index("ix_seat_held", "workplace_id", postgresql_where="released_at is null"),
        Index("ix_seat_slot_id", "slot_id"),
    )

    seat_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    workplace_id: Mapped[UUID]
    slot_id: Mapped[UUID]
    starts_on: Mapped[date] = mapped_column(Date)
    ends_on: Mapped[date] = mapped_column(Date)
    told: Mapped[bool] = mapped_column(default=False)
    """Whether `seat.reserved` told of it; only then does `seat.released`."""
    reserved_at: Mapped[datetime] = mapped_column(server_default=func.now())
    released_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(CODE)


class Offer(Base):
    """One learner, one seat, and the answers of those who have a say."""

    __tablename__ = "offer"
    __table_args__ = (
        Index("ix_offer_workplace_round", "workplace_id", "round_id"),
        Index("ix_offer_learner_id", "learner_id"),
        Index("ix_offer_slot_id", "slot_id"),
        Index("ix_offer_open", "answer_by", postgresql_where="state = 'open'"),
    )

    offer_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    match_id: Mapped[UUID | None] = mapped_column(unique=True)
    round_id: Mapped[UUID]
    seat_id: Mapped[UUID] = mapped_column(unique=True)
    slot_id: Mapped[UUID]
    workplace_id: Mapped[UUID]
    workplace_municipality: Mapped[str] = mapped_column(CODE)
    request_id: Mapped[UUID]
    learner_id: Mapped[UUID]
    placement_type: Mapped[str] = mapped_column(CODE)
    occupation: Mapped[str] = mapped_column(String(4))
    starts_on: Mapped[date] = mapped_column(Date)
    ends_on: Mapped[date] = mapped_column(Date)
    must_answer: Mapped[list[str]]
    are_told: Mapped[list[str]]
    answers: Mapped[dict[str, Any]]
    answer_by: Mapped[date] = mapped_column(Date)
    at_workplace: Mapped[int] = mapped_column(default=1)
    by_hand: Mapped[bool] = mapped_column(default=False)
    """A protected learner's: told to nobody, shown to case workers only."""
    state: Mapped[str] = mapped_column(CODE, default="open")
    revision: Mapped[int] = mapped_column(default=1)
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]


class Placement(Base):
    """One learner in one slot, agreed; the offer holds the particulars."""

    __tablename__ = "placement"

    placement_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    offer_id: Mapped[UUID] = mapped_column(ForeignKey("offer.offer_id"), unique=True)
    learner_id: Mapped[UUID]
    slot_id: Mapped[UUID] = mapped_column(index=True)
    starts_on: Mapped[date] = mapped_column(Date)
    ends_on: Mapped[date] = mapped_column(Date)
    by_hand: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(CODE, default="confirmed")
    reason: Mapped[str | None] = mapped_column(CODE)
    revision: Mapped[int] = mapped_column(default=1)
    confirmed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Request(Base):
    """What a learner needs, and the wishes."""

    __tablename__ = "request"
    __table_args__ = (UniqueConstraint("municipality", "administration", "ref"),)

    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    ref: Mapped[str | None] = mapped_column(String(100))
    learner_id: Mapped[UUID] = mapped_column(index=True)
    placement_type: Mapped[str] = mapped_column(CODE)
    starts_on: Mapped[date] = mapped_column(Date)
    ends_on: Mapped[date] = mapped_column(Date)
    cohort_id: Mapped[UUID]
    locality: Mapped[str] = mapped_column(CODE)
    age_class: Mapped[str] = mapped_column(CODE)
    language: Mapped[str] = mapped_column(CODE)
    needs: Mapped[list[str]]
    max_travel_minutes: Mapped[int]
    wishes: Mapped[list[dict[str, Any]]]
    by_hand: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(CODE, default="open")
    revision: Mapped[int] = mapped_column(default=1)
    opened_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Employer(Base):
    """A legal entity; a listed reference table without row-level security."""

    __tablename__ = "employer"

    employer_id: Mapped[UUID] = mapped_column(primary_key=True)
    org_number: Mapped[str] = mapped_column(String(10), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    sector: Mapped[str] = mapped_column(CODE)
    revision: Mapped[int] = mapped_column(default=1)


class Workplace(Base):
    """Where learners are received. Its row is the lock of the capacity ledger."""

    __tablename__ = "workplace"
    __table_args__ = (
        UniqueConstraint("municipality", "ref"),
        CheckConstraint("reception_capacity >= 0", name="reception_capacity"),
    )

    workplace_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    ref: Mapped[str | None] = mapped_column(String(100))
    employer_id: Mapped[UUID] = mapped_column(ForeignKey("employer.employer_id"))
    name: Mapped[str] = mapped_column(String(200))
    locality: Mapped[str] = mapped_column(CODE)
    reception_capacity: Mapped[int]
    revision: Mapped[int] = mapped_column(default=1)


class School(Base):
    """A school unit, and the random reference that stands for it outside the registry."""

    __tablename__ = "school"

    municipality: Mapped[str] = mapped_column(CODE, primary_key=True)
    code: Mapped[str] = mapped_column(CODE, primary_key=True)
    cohort_id: Mapped[UUID] = mapped_column(unique=True)


class SharingAgreement(Base):
    """Municipalities that share slots; a listed reference table (it names no person)."""

    __tablename__ = "sharing_agreement"

    agreement_id: Mapped[UUID] = mapped_column(primary_key=True)
    lead: Mapped[str] = mapped_column(CODE)
    municipalities: Mapped[list[str]]
    placement_types: Mapped[list[str]]
    valid_from: Mapped[date] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)
    revision: Mapped[int] = mapped_column(default=1)


class Learner(Base):
    """A person to be placed. The only row with a learner's identity."""

    __tablename__ = "learner"
    __table_args__ = (UniqueConstraint("municipality", "administration", "ref"), {"schema": VAULT})

    learner_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    ref: Mapped[str | None] = mapped_column(String(100))
    given_name: Mapped[str] = mapped_column(String(100))
    family_name: Mapped[str] = mapped_column(String(100))
    email: Mapped[str | None] = mapped_column(String(200))
    guardian_email: Mapped[str | None] = mapped_column(String(200))
    born_on: Mapped[date] = mapped_column(Date)
    school: Mapped[str] = mapped_column(CODE)
    locality: Mapped[str] = mapped_column(CODE)
    language: Mapped[str] = mapped_column(CODE)
    speaks: Mapped[str] = mapped_column(String(2), default="sv")
    security_marking: Mapped[str] = mapped_column(CODE, default="none")


class Contact(Base):
    """Whom to write to at a workplace, or the coordinator of a municipality."""

    __tablename__ = "contact"
    __table_args__ = (
        UniqueConstraint("municipality", "role", "workplace_id", postgresql_nulls_not_distinct=True),
        {"schema": VAULT},
    )

    contact_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    role: Mapped[str] = mapped_column(CODE)
    workplace_id: Mapped[UUID | None]
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(200))
    speaks: Mapped[str] = mapped_column(String(2), default="sv")


def slots_of(municipality: str) -> Select[Slot]:
    """The slots of a municipality that are still offered, in a fixed order."""
    return (
        select(Slot)
        .where(Slot.municipality == municipality, Slot.withdrawn_at.is_(None))
        .order_by(Slot.starts_on, Slot.slot_id)
    )
