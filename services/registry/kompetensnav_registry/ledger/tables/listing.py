"""The listing that is searched."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Computed, Date, Index, String
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.ground.tables.foundation import CODE, Base


class Listing(Base):
    """A slot as it is found: shareable facts only, free of row-level security, so that text and distance can
    be searched over many municipalities. Kept up to date in the transaction that changes the slot."""

    __tablename__ = "listing"
    __table_args__ = (
        Index("ix_listing_words", "words", postgresql_using="gin"),
        Index("ix_listing_occupation", "occupation", "starts_on"),
        Index("ix_listing_home", "home", "starts_on"),
        Index("ix_listing_place", "latitude", "longitude"),
    )

    slot_id: Mapped[UUID] = mapped_column(primary_key=True)
    home: Mapped[str] = mapped_column(CODE)
    """SCB code of the municipality it lies in; who may see the row is asked of `shared_with`."""
    workplace_id: Mapped[UUID]
    employer_id: Mapped[UUID]
    employer: Mapped[str] = mapped_column(String(200))
    workplace: Mapped[str] = mapped_column(String(200))
    placement_type: Mapped[str] = mapped_column(CODE)
    occupation: Mapped[str] = mapped_column(String(4))
    occupation_name: Mapped[str] = mapped_column(String(200))
    locality: Mapped[str] = mapped_column(CODE)
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    starts_on: Mapped[date] = mapped_column(Date)
    ends_on: Mapped[date] = mapped_column(Date)
    seats_left: Mapped[int]
    shared_with: Mapped[str] = mapped_column(CODE)
    named_municipalities: Mapped[list[str]]
    owner: Mapped[str | None] = mapped_column(CODE)
    """The administration it is kept to."""
    description: Mapped[str | None] = mapped_column(String(2000))
    words: Mapped[Any] = mapped_column(
        TSVECTOR,
        Computed(
            "to_tsvector('swedish', employer || ' ' || workplace || ' ' || occupation_name || ' ' ||"
            " coalesce(description, ''))",
            persisted=True,
        ),
        deferred=True,
    )
