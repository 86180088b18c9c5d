"""What becomes of seats: requests, offers, placements, and presence."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, Numeric, String, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.ground.tables.foundation import CODE, Base
from kompetensnav_registry.ledger.domain.requests import Wish
from kompetensnav_registry.rules.domain.terms import KeptRequestTerms


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
    weekdays: Mapped[list[int]] = mapped_column(default=list, server_default="{}")
    must_answer: Mapped[list[str]]
    are_told: Mapped[list[str]]
    answers: Mapped[dict[str, bool]] = mapped_column(JSONB)
    answer_by: Mapped[date] = mapped_column(Date)
    at_workplace: Mapped[int] = mapped_column(default=1)
    declared: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    """Rules that the employer has declared to follow, by saying yes (R10, R11, R20)."""
    elsewhere: Mapped[bool] = mapped_column(default=False, server_default="false")
    """In a slot lent by another stack: `seat_id` is the reference of the asking."""
    by_hand: Mapped[bool] = mapped_column(default=False)
    """A protected learner's: told to nobody, shown to case workers only."""
    published_state: Mapped[str | None] = mapped_column(CODE)
    """By hand since later: the state that was told last."""
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
    published_state: Mapped[str | None] = mapped_column(CODE)
    """By hand since later: the state that was told last."""
    state: Mapped[str] = mapped_column(CODE, default="confirmed")
    reason: Mapped[str | None] = mapped_column(CODE)
    interrupted_on: Mapped[date | None] = mapped_column(Date)
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
    wishes: Mapped[list[Wish]] = mapped_column(JSONB)
    terms: Mapped[KeptRequestTerms] = mapped_column(JSONB, default=dict, server_default="{}")
    """Decisions, consents and what the school says of the learner, as the rules read them."""
    by_hand: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(CODE, default="open")
    revision: Mapped[int] = mapped_column(default=1)
    opened_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Presence(Base):
    """One week of a placement: days and hours that the supervisor or the school has confirmed."""

    __tablename__ = "presence"
    __table_args__ = (
        CheckConstraint("hours between 0 and 80", name="hours"),
        CheckConstraint("days between 0 and 7", name="days"),
    )

    placement_id: Mapped[UUID] = mapped_column(ForeignKey("placement.placement_id"), primary_key=True)
    week: Mapped[date] = mapped_column(Date, primary_key=True)
    """Its Monday."""
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    days: Mapped[int]
    hours: Mapped[Decimal] = mapped_column(Numeric(4, 1))
    confirmed_by: Mapped[str] = mapped_column(CODE)
    revision: Mapped[int] = mapped_column(default=1)
    confirmed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PublicCount(Base):
    """How many placements of a type begin in a month, and how many of them are published."""

    __tablename__ = "public_count"

    municipality: Mapped[str] = mapped_column(CODE, primary_key=True)
    placement_type: Mapped[str] = mapped_column(CODE, primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    confirmed: Mapped[int]
    published: Mapped[int]
