"""What the chassis asks of SQLAlchemy."""

from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, configure_mappers, mapped_column

from kompetensnav_chassis import db


class Base(DeclarativeBase):
    metadata = db.metadata()


class Zebra(Base):
    __tablename__ = "zebra"
    zebra_id: Mapped[UUID] = mapped_column(primary_key=True)
    mother: Mapped[UUID | None] = mapped_column(ForeignKey("zebra.zebra_id"))


class Middle(Base):
    __tablename__ = "middle"
    middle_id: Mapped[UUID] = mapped_column(ForeignKey("zebra.zebra_id"), primary_key=True)


class Ant(Base):
    __tablename__ = "ant"
    ant_id: Mapped[UUID] = mapped_column(ForeignKey("middle.middle_id"), primary_key=True)


def test_rows_are_written_after_those_they_refer_to_whatever_their_classes_are_called():
    """`_sort_key` is what SQLAlchemy's unit of work sorts by (orm/unitofwork.py, `SaveUpdateAll`)."""
    configure_mappers()
    mappers = sorted((kind.__mapper__ for kind in (Ant, Middle, Zebra)), key=lambda m: m._sort_key)
    assert [m.class_ for m in mappers] == [Zebra, Middle, Ant]
