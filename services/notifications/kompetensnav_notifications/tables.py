"""Notifications' rows: messages and the facts that digests are counted from. No address and no text is
kept."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import TypedDict
from uuid import UUID

from sqlalchemy import Date, DateTime, Index, String, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from kompetensnav_chassis.db import metadata
from kompetensnav_chassis.inbox import InboxRow
from kompetensnav_chassis.outbox import OutboxRow

CODE = String(40)


class MailData(TypedDict, total=False):
    """What a message is about, in values that any reader may see: dates as YYYY-MM-DD, and numbers of
    offers."""

    placement_type: str
    starts_on: str
    answer_by: str
    slots: int
    sender: str
    """Name of the municipality of another stack."""
    finishing: str
    occupation: str
    valid_to: str
    days_left: int


class Base(DeclarativeBase):
    """Notifications' tables."""

    metadata = metadata()
    type_annotation_map = {
        datetime: DateTime(timezone=True),
        MailData: JSONB,
    }


class Outbox(OutboxRow, Base):
    """Events on their way out."""


class Inbox(InboxRow, Base):
    """Events already handled."""


class Message(Base):
    """One message to one recipient on one channel. Its key says what must never be sent twice."""

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("kind", "cause_id", "party", "recipient_id", "channel", name="uq_message_key"),
        Index("ix_message_due", "due_at", postgresql_where="state in ('waiting', 'claimed')"),
        Index("ix_message_group", "round_id", "workplace_id"),
    )

    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str | None] = mapped_column(CODE)
    kind: Mapped[str] = mapped_column(CODE)
    cause_id: Mapped[UUID]
    party: Mapped[str] = mapped_column(CODE)
    recipient_id: Mapped[UUID]
    channel: Mapped[str] = mapped_column(CODE, default="email")
    round_id: Mapped[UUID]
    workplace_id: Mapped[UUID | None]
    offer_id: Mapped[UUID | None]
    data: Mapped[MailData] = mapped_column("facts")
    state: Mapped[str] = mapped_column(CODE, default="waiting")
    due_at: Mapped[datetime]
    best_before: Mapped[datetime]
    claimed_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(CODE)


class OfferFact(Base):
    """An offer (or a match that got no seat) as digests count it; holds no learner."""

    __tablename__ = "offer_fact"
    __table_args__ = (Index("ix_offer_fact_group", "round_id", "workplace_id"),)

    match_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    round_id: Mapped[UUID]
    workplace_id: Mapped[UUID]
    at_workplace: Mapped[int]
    outcome: Mapped[str | None] = mapped_column(CODE)


class RoundFact(Base):
    """An approved round, and how many matches it told."""

    __tablename__ = "round_fact"

    round_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    placement_type: Mapped[str] = mapped_column(CODE)
    starts_on: Mapped[date] = mapped_column(Date)
    matched: Mapped[int]


@dataclass(frozen=True)
class NewMessage:
    """A row of `Message` that is to be written."""

    message_id: UUID
    municipality: str
    administration: str | None
    kind: str
    cause_id: UUID
    party: str
    recipient_id: UUID
    round_id: UUID
    workplace_id: UUID | None
    offer_id: UUID | None
    data: MailData
    due_at: datetime
    best_before: datetime
    channel: str = "email"
    state: str = "waiting"
    attempts: int = 0


@dataclass(frozen=True)
class NewFact:
    """A row of `OfferFact` that is to be written."""

    match_id: UUID
    municipality: str
    round_id: UUID
    workplace_id: UUID
    at_workplace: int
    outcome: str | None
