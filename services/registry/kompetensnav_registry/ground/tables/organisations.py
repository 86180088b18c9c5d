"""Administrations, schools, education providers and learning centres, and who shares with whom."""

from datetime import date
from uuid import UUID

from sqlalchemy import Date, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.ground.tables.foundation import CODE, Base


class Administration(Base):
    """A förvaltning under a committee: the one that is responsible for its learners' data."""

    __tablename__ = "administration"

    municipality: Mapped[str] = mapped_column(CODE, primary_key=True)
    code: Mapped[str] = mapped_column(CODE, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    committee: Mapped[str] = mapped_column(String(200))
    revision: Mapped[int] = mapped_column(default=1)


class EducationProvider(Base):
    """A huvudman: a municipality, or who runs an independent school; a listed reference table."""

    __tablename__ = "education_provider"

    provider_id: Mapped[UUID] = mapped_column(primary_key=True)
    org_number: Mapped[str] = mapped_column(String(10), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(CODE)
    revision: Mapped[int] = mapped_column(default=1)


class School(Base):
    """A school unit, and the random reference that stands for it outside the registry."""

    __tablename__ = "school"

    municipality: Mapped[str] = mapped_column(CODE, primary_key=True)
    code: Mapped[str] = mapped_column(CODE, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), default="", server_default="")
    administration: Mapped[str | None] = mapped_column(CODE)
    provider_id: Mapped[UUID | None] = mapped_column(ForeignKey("education_provider.provider_id"))
    school_forms: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    revision: Mapped[int] = mapped_column(default=1, server_default="1")
    cohort_id: Mapped[UUID] = mapped_column(unique=True)


class LearningCentre(Base):
    """A lärcentrum: an organisation with coordinators of its own; a listed reference table. Its code begins
    with a letter, and stands where a municipality's code would in its coordinators' tokens."""

    __tablename__ = "learning_centre"

    code: Mapped[str] = mapped_column(CODE, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    lies_in: Mapped[str] = mapped_column(CODE)
    """SCB code."""
    revision: Mapped[int] = mapped_column(default=1)


class Delegation(Base):
    """A school lets a learning centre place its learners; a listed reference table (it names no person)."""

    __tablename__ = "delegation"
    __table_args__ = (Index("ix_delegation_centre", "centre"),)

    delegation_id: Mapped[UUID] = mapped_column(primary_key=True)
    centre: Mapped[str] = mapped_column(ForeignKey("learning_centre.code"))
    granted_by: Mapped[str] = mapped_column(CODE)
    """SCB code of the school's municipality."""
    administration: Mapped[str] = mapped_column(CODE)
    school: Mapped[str] = mapped_column(CODE)
    valid_from: Mapped[date] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)
    revision: Mapped[int] = mapped_column(default=1)


class SharingAgreement(Base):
    """Municipalities that share slots; a listed reference table (it names no person)."""

    __tablename__ = "sharing_agreement"

    agreement_id: Mapped[UUID] = mapped_column(primary_key=True)
    lead: Mapped[str] = mapped_column(CODE)
    municipalities: Mapped[list[str]]
    elsewhere: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    """Those of them whose registry is another stack's."""
    placement_types: Mapped[list[str]]
    valid_from: Mapped[date] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)
    revision: Mapped[int] = mapped_column(default=1)
