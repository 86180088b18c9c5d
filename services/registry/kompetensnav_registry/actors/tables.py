"""Employers, whom to write to there, what was agreed with them, and what they need."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, Date, ForeignKey, Index, String, func
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.ground.tables.foundation import CODE, VAULT, Base


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


class Contact(Base):
    """Whom to write to at a workplace, or the coordinator of a municipality."""

    __tablename__ = "contact"
    __table_args__ = (
        Index(
            "uq_contact_main",
            "municipality",
            "role",
            "workplace_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where="is_main",
        ),
        {"schema": VAULT},
    )

    contact_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    role: Mapped[str] = mapped_column(CODE)
    workplace_id: Mapped[UUID | None]
    is_main: Mapped[bool] = mapped_column(default=True, server_default="true")
    """The one that is written to."""
    administration: Mapped[str | None] = mapped_column(CODE)
    """A coordinator's."""
    title: Mapped[str | None] = mapped_column(String(100))
    phone: Mapped[str | None] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(200))
    speaks: Mapped[str] = mapped_column(String(2), default="sv")


class SoleTrader(Base):
    """The person behind an enskild firma: the organisation number is the owner's personal number."""

    __tablename__ = "sole_trader"
    __table_args__ = ({"schema": VAULT},)

    employer_id: Mapped[UUID] = mapped_column(ForeignKey("employer.employer_id"), primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    name: Mapped[str] = mapped_column(String(200))
    sealed: Mapped[bytes]
    """The number, encrypted under the key below."""
    wrapped_key: Mapped[bytes]
    blind_index: Mapped[bytes] = mapped_column(unique=True)


class Home(Base):
    """The address of a sole trader's workplace, which may be where the person lives."""

    __tablename__ = "home"
    __table_args__ = ({"schema": VAULT},)

    workplace_id: Mapped[UUID] = mapped_column(ForeignKey("workplace.workplace_id"), primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    address: Mapped[str | None] = mapped_column(String(200))
    postal_code: Mapped[str | None] = mapped_column(String(5))
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]


class Document(Base):
    """A file that belongs to an agreement: a scanned signature, a routine. May name persons."""

    __tablename__ = "document"
    __table_args__ = (
        Index("ix_document_about_id", "about_id"),
        {"schema": VAULT},
    )

    document_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str | None] = mapped_column(CODE)
    about_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(CODE)
    media_type: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64))
    content: Mapped[bytes]
    added_on: Mapped[date] = mapped_column(Date)
