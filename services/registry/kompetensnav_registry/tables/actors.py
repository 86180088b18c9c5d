"""Those who act: administrations, schools, learning centres, employers and their workplaces, and what
employers need. No person is named here."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, Date, ForeignKey, Index, String, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.tables.foundation import CODE, Base


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


class Employer(Base):
    """A legal entity; a listed reference table without row-level security."""

    __tablename__ = "employer"
    __table_args__ = (Index("ix_employer_words", "words", postgresql_using="gin"),)

    employer_id: Mapped[UUID] = mapped_column(primary_key=True)
    org_number: Mapped[str | None] = mapped_column(String(10), unique=True)
    """Of a legal person; a sole trader's is a personal number and lies in the vault."""
    name: Mapped[str] = mapped_column(String(200))
    sector: Mapped[str] = mapped_column(CODE)
    kind: Mapped[str] = mapped_column(CODE, default="company", server_default="company")
    sni: Mapped[str | None] = mapped_column(String(5))
    employees: Mapped[int | None]
    is_sole_trader: Mapped[bool] = mapped_column(default=False, server_default="false")
    words: Mapped[Any] = mapped_column(
        TSVECTOR, Computed("to_tsvector('swedish', name)", persisted=True), deferred=True
    )
    merged_into: Mapped[UUID | None]
    revision: Mapped[int] = mapped_column(default=1)


class EmployerMerge(Base):
    """Two registrations of one employer made one, and what it takes to part them again."""

    __tablename__ = "employer_merge"

    merge_id: Mapped[UUID] = mapped_column(primary_key=True)
    kept: Mapped[UUID] = mapped_column(ForeignKey("employer.employer_id"))
    gone: Mapped[UUID] = mapped_column(ForeignKey("employer.employer_id"))
    moved: Mapped[dict[str, Any]]
    """Table -> ids of the rows that were moved."""
    municipalities: Mapped[list[str]]
    merged_by: Mapped[str] = mapped_column(String(200))
    merged_at: Mapped[datetime] = mapped_column(server_default=func.now())
    undone_at: Mapped[datetime | None]


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


class Demand(Base):
    """An employer's competence need: how many in an occupation, and by when."""

    __tablename__ = "demand"
    __table_args__ = (Index("ix_demand_municipality", "municipality", "occupation"),)

    demand_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    employer_id: Mapped[UUID] = mapped_column(ForeignKey("employer.employer_id"))
    workplace_id: Mapped[UUID | None] = mapped_column(ForeignKey("workplace.workplace_id"))
    occupation: Mapped[str] = mapped_column(String(4))
    number: Mapped[int]
    needed_by: Mapped[date] = mapped_column(Date)
    """The horizon: last day by which they are needed."""
    stated_on: Mapped[date] = mapped_column(Date)
    ended_on: Mapped[date | None] = mapped_column(Date)
    revision: Mapped[int] = mapped_column(default=1)


class Invitation(Base):
    """An employer invites adult learners of an occupation and town to a visit; names none of them."""

    __tablename__ = "invitation"

    invitation_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    workplace_id: Mapped[UUID] = mapped_column(ForeignKey("workplace.workplace_id"))
    occupation: Mapped[str] = mapped_column(String(4))
    locality: Mapped[str] = mapped_column(CODE)
    finishing: Mapped[str] = mapped_column(String(7))
    """Half-year in which they finish: `2027-H1`."""
    invited_at: Mapped[datetime] = mapped_column(server_default=func.now())


class RuleSetting(Base):
    """A municipality's own numbers for a rule it may configure, from a day."""

    __tablename__ = "rule_setting"

    municipality: Mapped[str] = mapped_column(CODE, primary_key=True)
    rule: Mapped[str] = mapped_column(String(4), primary_key=True)
    valid_from: Mapped[date] = mapped_column(Date, primary_key=True)
    valid_to: Mapped[date | None] = mapped_column(Date)
    parameters: Mapped[dict[str, Any]]
    switched_off: Mapped[bool] = mapped_column(default=False)
    decided_by: Mapped[str] = mapped_column(String(200))
    """The decision's reference in the municipality's register."""


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
