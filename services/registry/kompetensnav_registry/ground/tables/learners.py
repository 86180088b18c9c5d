"""The vault's learners, and who has looked at those with protected identity."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, Index, String, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column, validates

from kompetensnav_chassis.security import note
from kompetensnav_registry.ground.tables.foundation import CODE, VAULT, Base


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

    @validates("security_marking")
    def _note(self, _: str, marking: str) -> str:
        """Whatever way a marking comes or goes, it is in the security log (without whose it is)."""
        if marking != (self.security_marking or "none"):
            note("marking")
        return marking


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
