"""What has been lent to another stack."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.ground.tables.foundation import CODE, Base


class Loan(Base):
    """A slot and a municipality of another stack than its own: what was told last, or heard last."""

    __tablename__ = "loan"

    slot_id: Mapped[UUID] = mapped_column(primary_key=True)
    lent_to: Mapped[str] = mapped_column(CODE, primary_key=True)
    municipality: Mapped[str] = mapped_column(CODE, primary_key=True)
    """The slot's, as they say who lend it."""
    published: Mapped[dict[str, Any] | None]
    """The payload; none when it is lent no more."""
    revision: Mapped[int] = mapped_column(default=0)
