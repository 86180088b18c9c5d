"""What is kept of a person, for how long, and what was erased."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, Numeric, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.ground.tables.foundation import CODE, VAULT, Base


class Retention(Base):
    """How long an administration keeps a type of document, by which decision (gallringsbeslut)."""

    __tablename__ = "retention"
    __table_args__ = (CheckConstraint("months between 0 and 1200", name="months"),)

    municipality: Mapped[str] = mapped_column(CODE, primary_key=True)
    administration: Mapped[str] = mapped_column(CODE, primary_key=True)
    document_type: Mapped[str] = mapped_column(CODE, primary_key=True)
    months: Mapped[int]
    decided_by: Mapped[str] = mapped_column(String(200))
    revision: Mapped[int] = mapped_column(default=1)


class BackgroundCheck(Base):
    """An extract from the criminal records was shown and given back: what kind, when, and to whom. Nothing of
    what it said (Skollagen 2 kap 33 §)."""

    __tablename__ = "background_check"
    __table_args__ = ({"schema": VAULT},)

    check_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    learner_id: Mapped[UUID] = mapped_column(ForeignKey("vault.learner.learner_id"), index=True)
    kind: Mapped[str] = mapped_column(CODE)
    shown_on: Mapped[date] = mapped_column(Date)
    checked_by: Mapped[str] = mapped_column(String(200))


class EsfParticipation(Base):
    """A learner in a project that is counted to the European Social Fund."""

    __tablename__ = "esf_participation"
    __table_args__ = (
        UniqueConstraint("learner_id", "project", "starts_on"),
        {"schema": VAULT},
    )

    participation_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    learner_id: Mapped[UUID] = mapped_column(ForeignKey("vault.learner.learner_id"))
    project: Mapped[str] = mapped_column(CODE)
    """The project's number at the fund."""
    starts_on: Mapped[date] = mapped_column(Date)
    ends_on: Mapped[date | None] = mapped_column(Date)


class EsfMonth(Base):
    """A month's file as it was made for SCB: how many rows, their hours, and a hash of the whole."""

    __tablename__ = "esf_month"
    __table_args__ = ({"schema": VAULT},)

    municipality: Mapped[str] = mapped_column(CODE, primary_key=True)
    administration: Mapped[str] = mapped_column(CODE, primary_key=True)
    project: Mapped[str] = mapped_column(CODE, primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    revision: Mapped[int]
    rows: Mapped[int]
    hours: Mapped[Decimal] = mapped_column(Numeric(9, 1))
    digest: Mapped[str] = mapped_column(String(64))
    """Keyed hash of the file: shows that it has changed, and nothing of what stands in it."""
    send_again: Mapped[bool] = mapped_column(default=False)
    """An earlier month was corrected since."""
    made_at: Mapped[datetime]


class Erasure(Base):
    """Somebody asks to be erased, or a retention has run out: what each service answers, and by when."""

    __tablename__ = "erasure"
    __table_args__ = (Index("ix_erasure_blind_ref", "blind_ref"), {"schema": VAULT})

    erasure_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    learner_id: Mapped[UUID]
    requested_by: Mapped[str] = mapped_column(String(200))
    requested_at: Mapped[datetime]
    answer_by: Mapped[date] = mapped_column(Date)
    asked: Mapped[list[str]]
    """Services that must answer."""
    case_worker: Mapped[str | None] = mapped_column(String(200))
    """A protected learner's: shown to nobody else."""
    blind_ref: Mapped[bytes | None]
    """Index of the school system's reference: so that a pull does not bring the learner back."""
    alarmed_at: Mapped[datetime | None]


class ErasureAnswer(Base):
    """What one service has answered: erased, retained (on what ground, until when), or nothing held."""

    __tablename__ = "erasure_answer"
    __table_args__ = ({"schema": VAULT},)

    erasure_id: Mapped[UUID] = mapped_column(primary_key=True)
    service: Mapped[str] = mapped_column(CODE, primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    answer: Mapped[str] = mapped_column(CODE)
    ground: Mapped[str | None] = mapped_column(String(200))
    until: Mapped[date | None] = mapped_column(Date)
    rows: Mapped[int]
    answered_at: Mapped[datetime]
