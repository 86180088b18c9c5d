"""Reporting's rows: one fact a counted event, and what was published. Totals are computed, never
incremented."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Date, DateTime, Index, String, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from kompetensnav_chassis.db import metadata
from kompetensnav_chassis.inbox import InboxRow
from kompetensnav_chassis.outbox import OutboxRow

CODE = String(40)


class Base(DeclarativeBase):
    """Reporting's tables."""

    metadata = metadata()
    type_annotation_map = {
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
    }


class Outbox(OutboxRow, Base):
    """Events on their way out."""


class Inbox(InboxRow, Base):
    """Events already handled."""


class FactRow(Base):
    """One counted event. Its key is the event's id, so that a repeat changes nothing."""

    __tablename__ = "fact"
    __table_args__ = (
        Index("ix_fact_municipality", "municipality", "name"),
        Index("ix_fact_thing", "thing_id", "revision"),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str | None] = mapped_column(CODE)
    name: Mapped[str] = mapped_column(String(100))
    thing_id: Mapped[UUID]
    revision: Mapped[int]
    placement_type: Mapped[str] = mapped_column(CODE)
    occupation: Mapped[str] = mapped_column(String(4))
    week: Mapped[date] = mapped_column(Date)
    number: Mapped[int]
    at: Mapped[datetime]


class PublishedReport(Base):
    """A report as it was published; never changed."""

    __tablename__ = "published_report"

    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    kind: Mapped[str] = mapped_column(CODE)
    up_to: Mapped[date] = mapped_column(Date)
    content: Mapped[dict[str, Any]]
    sha256: Mapped[str] = mapped_column(String(64))
    published_at: Mapped[datetime] = mapped_column(server_default=func.now())
