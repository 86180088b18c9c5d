"""Reference data of the stack: occupations and how near they are, codes, localities, and the listing that is
searched. Nobody's data: no row-level security."""

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.ground.tables.foundation import CODE, Base


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
