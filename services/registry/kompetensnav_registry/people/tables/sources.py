"""School systems that learners are read from."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.ground.tables.foundation import CODE, VAULT, Base


class Ss12000Source(Base):
    """A school administrative system that learners are pulled from; its token lies sealed in the vault."""

    __tablename__ = "ss12000_source"

    source_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    url: Mapped[str] = mapped_column(String(500))
    locality: Mapped[str] = mapped_column(CODE)
    """Where learners are taken to live until something else is known."""
    case_worker: Mapped[str | None] = mapped_column(String(200))
    """Who takes care of protected learners that come this way."""
    modified_after: Mapped[datetime | None]
    failed: Mapped[list[str]] = mapped_column(default=list)
    """Ids of persons that did not fit, asked for again the next time."""
    pulled_at: Mapped[datetime | None]


class SourceToken(Base):
    """The token of a school administrative system, sealed."""

    __tablename__ = "source_token"
    __table_args__ = ({"schema": VAULT},)

    source_id: Mapped[UUID] = mapped_column(ForeignKey("ss12000_source.source_id"), primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    sealed: Mapped[bytes]
    wrapped_key: Mapped[bytes]
