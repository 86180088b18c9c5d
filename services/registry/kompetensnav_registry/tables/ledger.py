"""The capacity ledger's rows: slots, seats, offers, placements, and the requests behind them."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Numeric,
    Select,
    String,
    UniqueConstraint,
    func,
    select,
)
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.domain import Days, Room
from kompetensnav_registry.tables.foundation import CODE, Base


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
    description: Mapped[str | None] = mapped_column(String(2000))
    """For people to read; reaches no event."""
    locality: Mapped[str] = mapped_column(CODE)
    min_language: Mapped[str] = mapped_column(CODE)
    offers_needs: Mapped[list[str]]
    shared_with: Mapped[str] = mapped_column(CODE)
    named_municipalities: Mapped[list[str]]
    administration: Mapped[str | None] = mapped_column(CODE)
    weekdays: Mapped[list[int]] = mapped_column(default=list, server_default="{}")
    """ISO weekdays (1 = Monday) of a split week; empty = the whole week."""
    supervisor_id: Mapped[UUID | None]
    terms: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """Hours, hazards and what is asked of learners, as the rules read them (`domain.terms`)."""
    own_found: Mapped[bool] = mapped_column(default=False)
    elsewhere: Mapped[bool] = mapped_column(default=False, server_default="false")
    """Lent by another stack, whose registry alone gives seats in it; this is its picture here."""
    taken: Mapped[int] = mapped_column(default=0)
    seats_left: Mapped[int]
    """As last told: the least of what the slot and its workplace's weeks have room for."""
    revision: Mapped[int] = mapped_column(default=1)
    capacity_revision: Mapped[int] = mapped_column(default=0)
    public_revision: Mapped[int] = mapped_column(default=0)
    is_public: Mapped[bool] = mapped_column(default=False)
    withdrawn_at: Mapped[datetime | None]
    withdrawn_because: Mapped[str | None] = mapped_column(CODE)
    posted_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def room(self) -> Room:
        """The slot as the ledger needs it."""
        withdrawn = self.withdrawn_at is not None
        return Room(self.slot_id, self.seats, self.starts_on, self.ends_on, withdrawn, self.supervisor_id)

    @property
    def days(self) -> Days:
        """When a learner in it is busy."""
        return Days(self.starts_on, self.ends_on, frozenset(self.weekdays))


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
    supervisor_id: Mapped[UUID | None]
    cause_id: Mapped[UUID | None]
    """For what the workplace was asked: a round, or one learner's own search; none when nobody asked it."""
    told: Mapped[bool] = mapped_column(default=False)
    """Whether `seat.reserved` told of it; only then does `seat.released`."""
    reserved_at: Mapped[datetime] = mapped_column(server_default=func.now())
    released_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(CODE)

    @property
    def room(self) -> Room:
        """What it takes of the ledger."""
        return Room(self.slot_id, 0, self.starts_on, self.ends_on, supervisor_id=self.supervisor_id)


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
    answers: Mapped[dict[str, Any]]
    answer_by: Mapped[date] = mapped_column(Date)
    at_workplace: Mapped[int] = mapped_column(default=1)
    declared: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    """Rules that the employer has declared to follow, by saying yes (R10, R11, R20)."""
    elsewhere: Mapped[bool] = mapped_column(default=False, server_default="false")
    """In a slot lent by another stack: `seat_id` is the reference of the asking."""
    by_hand: Mapped[bool] = mapped_column(default=False)
    """A protected learner's: told to nobody, shown to case workers only."""
    told_state: Mapped[str | None] = mapped_column(CODE)
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
    told_state: Mapped[str | None] = mapped_column(CODE)
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
    wishes: Mapped[list[dict[str, Any]]]
    terms: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
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


class Asking(Base):
    """A workplace was asked to offer last period's slots again."""

    __tablename__ = "asking"
    __table_args__ = (Index("ix_asking_asked_on", "workplace_id", "asked_on"),)

    workplace_id: Mapped[UUID] = mapped_column(ForeignKey("workplace.workplace_id"), primary_key=True)
    cause_id: Mapped[UUID] = mapped_column(primary_key=True)
    """This asking."""
    municipality: Mapped[str] = mapped_column(CODE)
    kind: Mapped[str] = mapped_column(CODE)
    asked_on: Mapped[date] = mapped_column(Date)
    about: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """Of a mail to offer again: the slots and by how many days they are moved."""
    answered_at: Mapped[datetime | None]


class PublicCount(Base):
    """How many placements of a type begin in a month, and how many of them everyone has been told of."""

    __tablename__ = "public_count"

    municipality: Mapped[str] = mapped_column(CODE, primary_key=True)
    placement_type: Mapped[str] = mapped_column(CODE, primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    confirmed: Mapped[int]
    told: Mapped[int]


def slots_of(municipality: str) -> Select[Slot]:
    """The slots of a municipality that are still offered, in a fixed order."""
    return (
        select(Slot)
        .where(Slot.municipality == municipality, Slot.withdrawn_at.is_(None))
        .order_by(Slot.starts_on, Slot.slot_id)
    )
