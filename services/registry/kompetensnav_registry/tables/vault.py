"""The vault: the only rows with direct identifiers. Another role than the service's own sees none of them."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.tables.foundation import CODE, VAULT, Base


class Learner(Base):
    """A person to be placed. The only row with a learner's identity."""

    __tablename__ = "learner"
    __table_args__ = (UniqueConstraint("municipality", "administration", "ref"), {"schema": VAULT})

    learner_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    ref: Mapped[str | None] = mapped_column(String(100))
    given_name: Mapped[str] = mapped_column(String(100))
    family_name: Mapped[str] = mapped_column(String(100))
    email: Mapped[str | None] = mapped_column(String(200))
    guardian_email: Mapped[str | None] = mapped_column(String(200))
    phone: Mapped[str | None] = mapped_column(String(40))
    address: Mapped[str | None] = mapped_column(String(200))
    postal_code: Mapped[str | None] = mapped_column(String(5))
    born_on: Mapped[date] = mapped_column(Date)
    school: Mapped[str] = mapped_column(CODE)
    programme: Mapped[str | None] = mapped_column(CODE)
    study_year: Mapped[int | None]
    aims_at: Mapped[str | None] = mapped_column(String(4))
    """Occupation that the education leads to (SSYK 2012)."""
    finishes_on: Mapped[date | None] = mapped_column(Date)
    locality: Mapped[str] = mapped_column(CODE)
    language: Mapped[str] = mapped_column(CODE)
    speaks: Mapped[str] = mapped_column(String(2), default="sv")
    security_marking: Mapped[str] = mapped_column(CODE, default="none")


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


class Signature(Base):
    """Who signed a placement agreement, for which party."""

    __tablename__ = "signature"
    __table_args__ = (
        UniqueConstraint("agreement_id", "of_revision", "party", "place"),
        {"schema": VAULT},
    )

    signature_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    agreement_id: Mapped[UUID] = mapped_column(ForeignKey("placement_agreement.agreement_id"))
    party: Mapped[str] = mapped_column(CODE)
    place: Mapped[int]
    """1, or 2 for a second signer."""
    name: Mapped[str] = mapped_column(String(200))
    signed_on: Mapped[date] = mapped_column(Date)
    outside_the_system: Mapped[bool]
    of_revision: Mapped[int]
    """The revision of the agreement that was signed."""


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
