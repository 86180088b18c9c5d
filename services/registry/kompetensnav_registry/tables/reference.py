"""Reference data of the stack: occupations and how near they are, codes, localities, and the listing that is
searched. Nobody's data: no row-level security."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Computed, Date, ForeignKey, Index, String
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.tables.foundation import CODE, Base


class OccupationGroup(Base):
    """An occupation group, SSYK 2012, four digits."""

    __tablename__ = "occupation_group"

    code: Mapped[str] = mapped_column(String(4), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))


class Occupation(Base):
    """An occupation name of Arbetsförmedlingen's taxonomy, within its group."""

    __tablename__ = "occupation"
    __table_args__ = (Index("ix_occupation_group", "occupation_group"),)

    concept_id: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    occupation_group: Mapped[str] = mapped_column(ForeignKey("occupation_group.code"))


class Substitution(Base):
    """Who has one occupation may stand in for another, to a percentage (25 or 75)."""

    __tablename__ = "substitution"
    __table_args__ = (Index("ix_substitution_wanted", "wanted"),)

    wanted: Mapped[str] = mapped_column(ForeignKey("occupation.concept_id"), primary_key=True)
    substitute: Mapped[str] = mapped_column(ForeignKey("occupation.concept_id"), primary_key=True)
    percentage: Mapped[int]


class ClassificationCode(Base):
    """A code of an official classification: SNI 2007 or SUN 2020 (field, level)."""

    __tablename__ = "classification_code"

    classification: Mapped[str] = mapped_column(CODE, primary_key=True)
    code: Mapped[str] = mapped_column(String(10), primary_key=True)
    name: Mapped[str] = mapped_column(String(300))


class Locality(Base):
    """A locality: where it lies, and how many live there."""

    __tablename__ = "locality"
    __table_args__ = (Index("ix_locality_lies_in", "lies_in"),)

    code: Mapped[str] = mapped_column(CODE, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    lies_in: Mapped[str] = mapped_column(CODE)
    """SCB code of its municipality."""
    latitude: Mapped[float]
    longitude: Mapped[float]
    inhabitants: Mapped[int]


class PostalCode(Base):
    """A postal code, its town, and its municipality."""

    __tablename__ = "postal_code"

    postal_code: Mapped[str] = mapped_column(String(5), primary_key=True)
    town: Mapped[str] = mapped_column(String(200))
    lies_in: Mapped[str] = mapped_column(CODE)


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
