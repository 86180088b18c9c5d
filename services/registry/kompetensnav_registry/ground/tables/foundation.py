"""What every table of the registry stands on."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, SmallInteger, String
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase

from kompetensnav_chassis.db import metadata
from kompetensnav_chassis.inbox import InboxRow
from kompetensnav_chassis.outbox import OutboxRow

CODE = String(40)

VAULT = "vault"


class Base(DeclarativeBase):
    """The registry's tables."""

    metadata = metadata()
    type_annotation_map = {
        datetime: DateTime(timezone=True),
        list[str]: ARRAY(String(40)),
        list[int]: ARRAY(SmallInteger),
        dict[str, Any]: JSONB,
    }


class Outbox(OutboxRow, Base):
    """Events on their way out."""


class Inbox(InboxRow, Base):
    """Events already handled."""
