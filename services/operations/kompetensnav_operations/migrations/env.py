"""Alembic's way into this package."""

from kompetensnav_chassis.migrate import environment
from kompetensnav_operations.tables import Base

environment(Base.metadata)
