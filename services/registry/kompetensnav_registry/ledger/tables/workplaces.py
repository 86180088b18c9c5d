"""Whose accounts the ledger keeps: workplaces, their weeks, and their supervisors."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.ground.tables.foundation import CODE, VAULT, Base


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
    """Learners per week over all placement types, where no `ReceptionWeek` says otherwise."""
    cfar: Mapped[str | None] = mapped_column(String(8))
    address: Mapped[str | None] = mapped_column(String(200))
    postal_code: Mapped[str | None] = mapped_column(String(5))
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    revision: Mapped[int] = mapped_column(default=1)


class ReceptionWeek(Base):
    """A week in which a workplace receives more or fewer learners than it usually does."""

    __tablename__ = "reception_week"
    __table_args__ = (CheckConstraint("learners >= 0", name="learners"),)

    workplace_id: Mapped[UUID] = mapped_column(ForeignKey("workplace.workplace_id"), primary_key=True)
    week: Mapped[date] = mapped_column(Date, primary_key=True)
    """Its Monday."""
    municipality: Mapped[str] = mapped_column(CODE)
    learners: Mapped[int]


class Supervisor(Base):
    """A named person at a workplace who is there every day."""

    __tablename__ = "supervisor"
    __table_args__ = (
        CheckConstraint("most_at_once between 1 and 50", name="most_at_once"),
        Index("ix_supervisor_workplace_id", "workplace_id"),
        {"schema": VAULT},
    )

    supervisor_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    workplace_id: Mapped[UUID] = mapped_column(ForeignKey("workplace.workplace_id"))
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(200))
    phone: Mapped[str | None] = mapped_column(String(40))
    is_adult: Mapped[bool]
    in_the_tasks_since: Mapped[date | None] = mapped_column(Date)
    trained_by: Mapped[str | None] = mapped_column(String(200))
    """Who gave the supervisor training."""
    trained_on: Mapped[date | None] = mapped_column(Date)
    most_at_once: Mapped[int]
    """Learners at the same time, over all placement types."""
    languages: Mapped[list[str]] = mapped_column(default=list)
    left_on: Mapped[date | None] = mapped_column(Date)
    revision: Mapped[int] = mapped_column(default=1)
