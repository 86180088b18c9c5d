"""The capacity ledger's rows: slots and seats."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Select,
    String,
    UniqueConstraint,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.ground.tables.foundation import CODE, Base
from kompetensnav_registry.ledger.domain.ledger import Days, Room
from kompetensnav_registry.rules.domain.terms import KeptSlotTerms


class Slot(Base):
    """An offer of capacity: workplace, occupation, period, seats and requirements."""

    __tablename__ = "slot"
    __table_args__ = (
        UniqueConstraint("municipality", "ref"),
        CheckConstraint("taken between 0 and seats", name="never_more_than_seats"),
        CheckConstraint("ends_on >= starts_on", name="period"),
        Index("ix_slot_workplace_id", "workplace_id"),
    )

    slot_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    ref: Mapped[str | None] = mapped_column(String(100))
    workplace_id: Mapped[UUID] = mapped_column(ForeignKey("workplace.workplace_id"))
    employer_id: Mapped[UUID] = mapped_column(ForeignKey("employer.employer_id"))
    placement_type: Mapped[str] = mapped_column(CODE)
    occupation: Mapped[str] = mapped_column(String(4))
    starts_on: Mapped[date] = mapped_column(Date)
    ends_on: Mapped[date] = mapped_column(Date)
    seats: Mapped[int]
    description: Mapped[str | None] = mapped_column(String(2000))
    """For people to read; reaches no event."""
    locality: Mapped[str] = mapped_column(CODE)
    min_language: Mapped[str] = mapped_column(CODE)
    offers_needs: Mapped[list[str]]
    shared_with: Mapped[str] = mapped_column(CODE)
    named_municipalities: Mapped[list[str]]
    administration: Mapped[str | None] = mapped_column(CODE)
    weekdays: Mapped[list[int]] = mapped_column(default=list, server_default="{}")
    """ISO weekdays (1 = Monday) of a split week; empty = the whole week."""
    supervisor_id: Mapped[UUID | None]
    terms: Mapped[KeptSlotTerms] = mapped_column(JSONB, default=dict, server_default="{}")
    """Hours, hazards and what is asked of learners, as the rules read them (`domain.terms`)."""
    own_found: Mapped[bool] = mapped_column(default=False)
    elsewhere: Mapped[bool] = mapped_column(default=False, server_default="false")
    """Lent by another stack, whose registry alone gives seats in it; this is its picture here."""
    taken: Mapped[int] = mapped_column(default=0)
    seats_left: Mapped[int]
    """As last told: the least of what the slot and its workplace's weeks have room for."""
    revision: Mapped[int] = mapped_column(default=1)
    capacity_revision: Mapped[int] = mapped_column(default=0)
    public_revision: Mapped[int] = mapped_column(default=0)
    is_public: Mapped[bool] = mapped_column(default=False)
    withdrawn_at: Mapped[datetime | None]
    withdrawn_because: Mapped[str | None] = mapped_column(CODE)
    posted_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def room(self) -> Room:
        """The slot as the ledger needs it."""
        withdrawn = self.withdrawn_at is not None
        return Room(self.slot_id, self.seats, self.starts_on, self.ends_on, withdrawn, self.supervisor_id)

    @property
    def days(self) -> Days:
        """When a learner in it is busy."""
        return Days(self.starts_on, self.ends_on, frozenset(self.weekdays))


class Seat(Base):
    """One seat given; holds no learner, so that a count of seats is never partial."""

    __tablename__ = "seat"
    __table_args__ = (
        Index("ix_seat_held", "workplace_id", postgresql_where="released_at is null"),
        Index("ix_seat_slot_id", "slot_id"),
    )

    seat_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    workplace_id: Mapped[UUID]
    slot_id: Mapped[UUID]
    starts_on: Mapped[date] = mapped_column(Date)
    ends_on: Mapped[date] = mapped_column(Date)
    supervisor_id: Mapped[UUID | None]
    cause_id: Mapped[UUID | None]
    """For what the workplace was asked: a round, or one learner's own search; none when nobody asked it."""
    published: Mapped[bool] = mapped_column(default=False)
    """Whether `seat.reserved` was published; only then does `seat.released`."""
    reserved_at: Mapped[datetime] = mapped_column(server_default=func.now())
    released_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(CODE)

    @property
    def room(self) -> Room:
        """What it takes of the ledger."""
        return Room(self.slot_id, 0, self.starts_on, self.ends_on, supervisor_id=self.supervisor_id)


def slots_of(municipality: str) -> Select[Slot]:
    """The slots of a municipality that are still offered, in a fixed order."""
    return (
        select(Slot)
        .where(Slot.municipality == municipality, Slot.withdrawn_at.is_(None))
        .order_by(Slot.starts_on, Slot.slot_id)
    )
