"""Agreements with employers, and about single placements; who has signed lies in the vault."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.tables.foundation import CODE, Base


class CooperationAgreement(Base):
    """An employer and an organisation agree on a frame: how many seats a year, and until when."""

    __tablename__ = "cooperation_agreement"
    __table_args__ = (
        CheckConstraint("seats_per_year >= 0", name="seats_per_year"),
        CheckConstraint("valid_to is null or valid_to >= valid_from", name="period"),
        Index("ix_cooperation_agreement_valid_to", "valid_to"),
    )

    agreement_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    employer_id: Mapped[UUID] = mapped_column(ForeignKey("employer.employer_id"))
    signed_on: Mapped[date] = mapped_column(Date)
    valid_from: Mapped[date] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)
    seats_per_year: Mapped[int]
    outside_the_system: Mapped[bool]
    """Signed on paper or in another system; what is kept here is a record of it."""
    renews: Mapped[UUID | None] = mapped_column(ForeignKey("cooperation_agreement.agreement_id"), unique=True)
    ended_on: Mapped[date | None] = mapped_column(Date)
    reminded_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=1)


class PlacementAgreement(Base):
    """What the parties of one placement have agreed; lärling uses an education contract."""

    __tablename__ = "placement_agreement"
    __table_args__ = (UniqueConstraint("placement_id"),)

    agreement_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    placement_id: Mapped[UUID] = mapped_column(ForeignKey("placement.placement_id"))
    kind: Mapped[str] = mapped_column(CODE)
    must_sign: Mapped[list[str]]
    second_signer: Mapped[str | None] = mapped_column(CODE)
    """A party that signs by two persons together."""
    terms: Mapped[dict[str, Any]]
    signed_terms: Mapped[dict[str, Any] | None]
    """What everyone has signed; other terms than these wait for signatures."""
    revision: Mapped[int] = mapped_column(default=1)
    drawn_up_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def state(self) -> str:
        """`drawn_up`, `signed`, or `amended`: changed since, and not signed anew."""
        if self.signed_terms is None:
            return "drawn_up"
        return "signed" if self.terms == self.signed_terms else "amended"


class Amendment(Base):
    """A change of a placement agreement, with what stood before, so that it can be undone."""

    __tablename__ = "amendment"
    __table_args__ = (UniqueConstraint("agreement_id", "number"),)

    amendment_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    agreement_id: Mapped[UUID] = mapped_column(ForeignKey("placement_agreement.agreement_id"))
    number: Mapped[int]
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
    made_by: Mapped[str] = mapped_column(CODE)
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
    undone_at: Mapped[datetime | None]


class Retention(Base):
    """How long a municipality keeps a type of document, by which decision (gallringsbeslut)."""

    __tablename__ = "retention"
    __table_args__ = (CheckConstraint("months between 0 and 1200", name="months"),)

    municipality: Mapped[str] = mapped_column(CODE, primary_key=True)
    document_type: Mapped[str] = mapped_column(CODE, primary_key=True)
    months: Mapped[int]
    decided_by: Mapped[str] = mapped_column(String(200))
    revision: Mapped[int] = mapped_column(default=1)
