"""Seats asked for between stacks: ours in another's slots, and another's in ours."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Date, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.ground.tables.foundation import CODE, Base


class Ask(Base):
    """A seat asked for in another stack, for a match of ours. Its reference leads to nothing there."""

    __tablename__ = "ask"
    __table_args__ = (Index("ix_ask_waiting", "asked_at", postgresql_where="state = 'asked'"),)

    reference: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    slot_municipality: Mapped[str] = mapped_column(CODE)
    slot_id: Mapped[UUID]
    workplace_id: Mapped[UUID]
    match_id: Mapped[UUID]
    round_id: Mapped[UUID]
    request_id: Mapped[UUID] = mapped_column(index=True)
    at_workplace: Mapped[int]
    state: Mapped[str] = mapped_column(CODE, default="asked")
    """`asked`, then `held`, `refused`, `returned` or `given_up`."""
    refusal: Mapped[str | None] = mapped_column(CODE)
    asked_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]


class Guest(Base):
    """A seat of ours that another stack has asked for. Who has it is not known here."""

    __tablename__ = "guest"
    __table_args__ = (Index("ix_guest_slot_id", "slot_id"),)

    reference: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    sent_by: Mapped[str] = mapped_column(CODE)
    slot_id: Mapped[UUID]
    workplace_id: Mapped[UUID | None]
    seat_id: Mapped[UUID | None]
    state: Mapped[str] = mapped_column(CODE)
    """`held`, then `accepted`, `declined` or `returned`; or `refused` at once."""
    refusal: Mapped[str | None] = mapped_column(CODE)
    reason: Mapped[str | None] = mapped_column(CODE)
    answer_by: Mapped[date | None] = mapped_column(Date)
    """Last day for the employer; none when it is only told."""
    declared: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    """Rules that the employer has declared to follow, by saying yes."""
    revision: Mapped[int] = mapped_column(default=1)
    """Of what the other stack has been told."""
    asked_at: Mapped[datetime] = mapped_column(server_default=func.now())
    settled_at: Mapped[datetime | None]
