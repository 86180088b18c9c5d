"""Alembic's way into this package."""

from pitea_introduktion.tables import Base

from kompetensnav_chassis.migrate import environment

environment(Base.metadata)
