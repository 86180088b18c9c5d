"""The vault: the only rows with direct identifiers. Another role than the service's own sees none of them."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, Numeric, String, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.tables.foundation import CODE, VAULT, Base


class Learner(Base):
    """A person to be placed. The only row with a learner's identity."""

    __tablename__ = "learner"
    __table_args__ = (
        UniqueConstraint("municipality", "administration", "ref"),
        UniqueConstraint("municipality", "administration", "blind_index"),
        CheckConstraint(
            "security_marking = 'none' or case_worker is not null", name="protected_has_a_case_worker"
        ),
        Index("ix_learner_protected", "case_worker", postgresql_where="security_marking <> 'none'"),
        {"schema": VAULT},
    )

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
    left_on: Mapped[date | None] = mapped_column(Date)
    """Gone from the school's own system."""
    locality: Mapped[str] = mapped_column(CODE)
    language: Mapped[str] = mapped_column(CODE)
    speaks: Mapped[str] = mapped_column(String(2), default="sv")
    security_marking: Mapped[str] = mapped_column(CODE, default="none")
    case_worker: Mapped[str | None] = mapped_column(String(200))
    """Token subject of the one who places a protected learner by hand, and alone sees them."""
    sealed: Mapped[bytes | None]
    """The identity number, encrypted under the key below; without that key it is erased."""
    wrapped_key: Mapped[bytes | None]
    blind_index: Mapped[bytes | None]
    number_kind: Mapped[str | None] = mapped_column(CODE)
    revision: Mapped[int] = mapped_column(default=1, server_default="1")


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


class ViewLog(Base):
    """Who has looked at a protected learner, when, and at what."""

    __tablename__ = "view_log"
    __table_args__ = (
        Index("ix_view_log_learner_id", "learner_id", "viewed_at"),
        {"schema": VAULT},
    )

    view_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    learner_id: Mapped[UUID]
    viewed_by: Mapped[str] = mapped_column(String(200))
    what: Mapped[str] = mapped_column(CODE)
    viewed_at: Mapped[datetime] = mapped_column(server_default=func.now())


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


class SourceToken(Base):
    """The token of a school administrative system, sealed."""

    __tablename__ = "source_token"
    __table_args__ = ({"schema": VAULT},)

    source_id: Mapped[UUID] = mapped_column(ForeignKey("ss12000_source.source_id"), primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    sealed: Mapped[bytes]
    wrapped_key: Mapped[bytes]
