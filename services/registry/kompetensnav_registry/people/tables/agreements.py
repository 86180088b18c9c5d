"""Placement agreements, their changes and signatures."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Date, ForeignKey, String, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.ground.tables.foundation import CODE, VAULT, Base
from kompetensnav_registry.people.domain.agreements import AgreedTerms


class PlacementAgreement(Base):
    """What the parties of one placement have agreed; lärling uses an education contract."""

    __tablename__ = "placement_agreement"
    __table_args__ = (UniqueConstraint("placement_id"),)

    agreement_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    placement_id: Mapped[UUID] = mapped_column(ForeignKey("placement.placement_id"))
    kind: Mapped[str] = mapped_column(CODE)
    must_sign: Mapped[list[str]]
    second_signer: Mapped[str | None] = mapped_column(CODE)
    """A party that signs by two persons together."""
    terms: Mapped[AgreedTerms] = mapped_column(JSONB)
    signed_terms: Mapped[AgreedTerms | None] = mapped_column(JSONB)
    """What everyone has signed; other terms than these wait for signatures."""
    revision: Mapped[int] = mapped_column(default=1)
    drawn_up_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def state(self) -> str:
        """`drawn_up`, `signed`, or `amended`: changed since, and not signed anew."""
        if self.signed_terms is None:
            return "drawn_up"
        return "signed" if self.terms == self.signed_terms else "amended"


class Amendment(Base):
    """A change of a placement agreement, with what stood before, so that it can be undone."""

    __tablename__ = "amendment"
    __table_args__ = (UniqueConstraint("agreement_id", "number"),)

    amendment_id: Mapped[UUID] = mapped_column(primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE)
    administration: Mapped[str] = mapped_column(CODE)
    agreement_id: Mapped[UUID] = mapped_column(ForeignKey("placement_agreement.agreement_id"))
    number: Mapped[int]
    before: Mapped[AgreedTerms] = mapped_column(JSONB)
    after: Mapped[AgreedTerms] = mapped_column(JSONB)
    made_by: Mapped[str] = mapped_column(CODE)
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
    undone_at: Mapped[datetime | None]


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
