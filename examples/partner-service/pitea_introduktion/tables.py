"""Introduction days, and who has a place at them: by placement, never by person."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Date, DateTime, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from kompetensnav_chassis.db import metadata
from kompetensnav_chassis.inbox import InboxRow
from kompetensnav_chassis.outbox import OutboxRow

CODE = String(40)


class Base(DeclarativeBase):
    """This service's tables."""

    metadata = metadata()
    type_annotation_map = {datetime: DateTime(timezone=True), dict[str, Any]: JSONB}


class Outbox(OutboxRow, Base):
    """Events on their way out."""


class Inbox(InboxRow, Base):
    """Events already handled."""


class Day(Base):
    """An introduction day."""

    __tablename__ = "day"

    day_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE, index=True)
    held_on: Mapped[date] = mapped_column(Date)
    booked: Mapped[int] = mapped_column(default=0)


class Place(Base):
    """A placement's place at a day."""

    __tablename__ = "place"

    placement_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str | None] = mapped_column(CODE)
    day_id: Mapped[UUID]
