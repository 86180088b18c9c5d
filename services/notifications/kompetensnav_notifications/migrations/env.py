"""Alembic's way into this package."""

from kompetensnav_chassis.migrate import environment
from kompetensnav_notifications.tables import Base

environment(Base.metadata)
