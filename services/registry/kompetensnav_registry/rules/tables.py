"""A municipality's own numbers for a rule."""

from datetime import date
from typing import Any

from sqlalchemy import Date, String
from sqlalchemy.orm import Mapped, mapped_column

from kompetensnav_registry.ground.tables.foundation import CODE, Base


class RuleSetting(Base):
    """A municipality's own numbers for a rule it may configure, from a day."""

    __tablename__ = "rule_setting"

    municipality: Mapped[str] = mapped_column(CODE, primary_key=True)
    rule: Mapped[str] = mapped_column(String(4), primary_key=True)
    valid_from: Mapped[date] = mapped_column(Date, primary_key=True)
    valid_to: Mapped[date | None] = mapped_column(Date)
    parameters: Mapped[dict[str, Any]]
    switched_off: Mapped[bool] = mapped_column(default=False)
    decided_by: Mapped[str] = mapped_column(String(200))
    """The decision's reference in the municipality's register."""
