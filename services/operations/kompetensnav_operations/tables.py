"""The console's rows: dead letters, replays, the audit, and what it has seen. The streams hold the events; of
a dead letter's body nothing is kept here but the ids it names."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    String,
    Text,
    any_,
    func,
    literal,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Mapped, mapped_column

from kompetensnav_chassis.db import metadata
from kompetensnav_chassis.inbox import InboxRow
from kompetensnav_chassis.outbox import OutboxRow

NAME = String(200)


def among(
    column: InstrumentedAttribute[int] | InstrumentedAttribute[int | None], ids: Iterable[int]
) -> ColumnElement[bool]:
    """Whether a column is one of many numbers, as one parameter however many they are."""
    return column == any_(literal(list(ids), ARRAY(BigInteger)))


class Base(DeclarativeBase):
    """The console's tables."""

    metadata = metadata()
    type_annotation_map = {
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
        int: BigInteger,
        float: Float,
    }


class Outbox(OutboxRow, Base):
    """Events on their way out."""


class Inbox(InboxRow, Base):
    """Events already handled: the console hears none."""


class DeadLetter(Base):
    """A dead letter: where it came from, why it died, and what has become of it. A death is one by its time
    too, for a stream that is made anew counts from 1 again."""

    __tablename__ = "dead_letter"
    __table_args__ = (
        Index("uq_dead_letter_death", "consumer", "stream", "origin_seq", "died_at", unique=True),
        Index("ix_dead_letter_state", "state", "consumer", "died_at"),
        Index("ix_dead_letter_died_at", "died_at"),
        Index("ix_dead_letter_fingerprint", "fingerprint"),
        Index("ix_dead_letter_event_id", "event_id"),
        Index("ix_dead_letter_refs", "refs", postgresql_using="gin"),
        Index("ix_dead_letter_sent", "sent_at", postgresql_where="state = 'replayed'"),
    )

    dead_letter_id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    seq: Mapped[int]
    """Its place in the stream of dead letters."""
    consumer: Mapped[str] = mapped_column(NAME)
    stream: Mapped[str] = mapped_column(NAME)
    origin_seq: Mapped[int]
    subject: Mapped[str] = mapped_column(Text)
    event_id: Mapped[str | None] = mapped_column(NAME)
    type: Mapped[str] = mapped_column(NAME)
    trace_id: Mapped[str | None] = mapped_column(String(32))
    refs: Mapped[list[str]]
    reason: Mapped[str] = mapped_column(NAME)
    error: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(String(12))
    died_at: Mapped[datetime]
    deliveries: Mapped[int]
    size: Mapped[int]
    state: Mapped[str] = mapped_column(String(20))
    replays: Mapped[int] = mapped_column(server_default="0")
    """How often it has been sent to its consumer again."""
    came_of: Mapped[int | None]
    """The dead letter whose replay died as this one."""
    replay_id: Mapped[UUID | None]
    """The replay that has it, or had it last."""
    sent_at: Mapped[datetime | None]
    sent_seq: Mapped[int | None]
    """Where the stream has it once more."""
    settled_by: Mapped[str | None] = mapped_column(NAME)
    settled_at: Mapped[datetime | None]
    why: Mapped[str | None] = mapped_column(Text)
    """The reason for discarding it."""


class Replay(Base):
    """Dead letters given to their consumers again, in one go."""

    __tablename__ = "replay"

    replay_id: Mapped[UUID] = mapped_column(primary_key=True)
    by: Mapped[str] = mapped_column(NAME)
    reason: Mapped[str] = mapped_column(Text)
    selection: Mapped[dict[str, Any]]
    """How the dead letters were chosen."""
    rate: Mapped[int]
    """Dead letters a second, at most."""
    state: Mapped[str] = mapped_column(String(20))
    """`planned`, `canary`, `running`, `stopped`, `done`."""
    stopped_why: Mapped[str | None] = mapped_column(String(40))
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
    began_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class ReplayDeadLetter(Base):
    """A dead letter of a replay, and what came of it there."""

    __tablename__ = "replay_dead_letter"
    __table_args__ = (
        Index("ix_replay_dead_letter_dead_letter_id", "dead_letter_id"),
        Index("ix_replay_dead_letter_sent", "replay_id", postgresql_where="outcome = 'sent'"),
    )

    replay_id: Mapped[UUID] = mapped_column(
        ForeignKey("replay.replay_id", ondelete="CASCADE"), primary_key=True
    )
    dead_letter_id: Mapped[int] = mapped_column(primary_key=True)
    outcome: Mapped[str | None] = mapped_column(String(20))
    """None = not yet; `sent`, `handled`, `returned`, or why it was left out."""
    tries: Mapped[int] = mapped_column(server_default="0")
    """How often the broker has not taken it."""


class Correction(Base):
    """An edited dead letter: the event that it becomes by one replay, and by no other. The body is kept until
    the event is sent, for a day at most."""

    __tablename__ = "correction"

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    replay_id: Mapped[UUID] = mapped_column(ForeignKey("replay.replay_id"), unique=True)
    dead_letter_id: Mapped[int]
    by: Mapped[str] = mapped_column(NAME)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    subject: Mapped[str] = mapped_column(Text)
    headers: Mapped[dict[str, Any]]
    body: Mapped[bytes | None]
    sent_seq: Mapped[int | None]


class Attempt(Base):
    """A try of a message that did not succeed."""

    __tablename__ = "attempt"
    __table_args__ = (Index("ix_attempt_at", "at"),)

    consumer: Mapped[str] = mapped_column(NAME, primary_key=True)
    stream: Mapped[str] = mapped_column(NAME, primary_key=True)
    origin_seq: Mapped[int] = mapped_column(primary_key=True)
    delivery: Mapped[int] = mapped_column(primary_key=True)
    phase: Mapped[str] = mapped_column(String(10), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(NAME)
    version: Mapped[str] = mapped_column(NAME)
    error: Mapped[str] = mapped_column(Text)
    frames: Mapped[str] = mapped_column(Text)
    again_in: Mapped[float | None]


class GivenUp(Base):
    """A message that the server gave up, by its own word; stuck until it is a dead letter."""

    __tablename__ = "given_up"

    consumer: Mapped[str] = mapped_column(NAME, primary_key=True)
    stream: Mapped[str] = mapped_column(NAME, primary_key=True)
    origin_seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class Seen(Base):
    """An event, and the ids by which it is found."""

    __tablename__ = "seen"
    __table_args__ = (
        Index("ix_seen_refs", "refs", postgresql_using="gin"),
        Index("ix_seen_at", "at"),
    )

    stream: Mapped[str] = mapped_column(NAME, primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    subject: Mapped[str] = mapped_column(Text)
    refs: Mapped[list[str]]
    """Its own id, that of its chain, its trace, and the ids it names."""


class Bookmark(Base):
    """How far a stream has been read. One that was made anew is read from its beginning."""

    __tablename__ = "bookmark"

    stream: Mapped[str] = mapped_column(NAME, primary_key=True)
    created: Mapped[str] = mapped_column(String(40))
    seq: Mapped[int]
    deleted: Mapped[int] = mapped_column(server_default="0")
    """Messages that had been taken out of it at the last look."""
    first: Mapped[int] = mapped_column(server_default="0")
    """The first message that it held then."""


class Sample(Base):
    """What a queue was like at a minute; kept for fourteen days."""

    __tablename__ = "sample"
    __table_args__ = (Index("ix_sample_at", "at"),)

    queue: Mapped[str] = mapped_column(String(400), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    waiting: Mapped[int]
    in_flight: Mapped[int]
    oldest: Mapped[float]
    dead: Mapped[int]
    redelivered: Mapped[int]
    delivered: Mapped[int]
    """The consumer's own count of deliveries."""
    rate_in: Mapped[float]
    rate_out: Mapped[float]


class Kept(Base):
    """The last picture of everything, so that it can be shown when nothing answers."""

    __tablename__ = "kept"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    at: Mapped[datetime]
    content: Mapped[dict[str, Any]]


class Pause(Base):
    """A consumer that somebody has paused."""

    __tablename__ = "pause"

    stream: Mapped[str] = mapped_column(NAME, primary_key=True)
    consumer: Mapped[str] = mapped_column(NAME, primary_key=True)
    by: Mapped[str] = mapped_column(NAME)
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    until: Mapped[datetime]


class LoginRow(Base):
    """Somebody who is logged in, until they leave, are quiet for too long, or are put out."""

    __tablename__ = "login"

    login_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[bytes] = mapped_column(unique=True)
    """SHA-256 of what their browser keeps: whoever reads this table cannot be them."""
    subject: Mapped[str] = mapped_column(NAME)
    roles: Mapped[list[str]]
    began_at: Mapped[datetime] = mapped_column(server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Alert(Base):
    """A rule that is, or was, broken."""

    __tablename__ = "alert"
    __table_args__ = (
        Index("uq_alert_open", "rule", "target", unique=True, postgresql_where="ended_at is null"),
    )

    alert_id: Mapped[UUID] = mapped_column(primary_key=True)
    rule: Mapped[str] = mapped_column(String(40))
    target: Mapped[str] = mapped_column(String(400))
    value: Mapped[float]
    limit: Mapped[float]
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    quiet_at: Mapped[datetime | None]
    """Since when the rule holds again; the alert ends when it has done so for a while."""
    seen_by: Mapped[str | None] = mapped_column(NAME)
    """Who has said that they look after it."""


class Notice(Base):
    """What somebody is told about an alert: on each channel once when it begins, and once when it ends."""

    __tablename__ = "notice"
    __table_args__ = (Index("ix_notice_due", "due_at", postgresql_where="sent_at is null"),)

    alert_id: Mapped[UUID] = mapped_column(primary_key=True)
    event: Mapped[str] = mapped_column(String(10), primary_key=True)
    channel: Mapped[str] = mapped_column(String(10), primary_key=True)
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(server_default="0")
    sent_at: Mapped[datetime | None]


class Audit(Base):
    """Who did what, and who was not let; only ever added to, each entry sealed with the one before."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_target", "target"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(NAME)
    roles: Mapped[list[str]]
    act: Mapped[str] = mapped_column(String(40))
    target: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    result: Mapped[str] = mapped_column(String(40))
    detail: Mapped[dict[str, Any]]
    previous: Mapped[str] = mapped_column(String(64))
    seal: Mapped[str] = mapped_column(String(64))
