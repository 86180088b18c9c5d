"""What the console's API is asked and answers."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from kompetensnav_chassis.retry import Comparison
from kompetensnav_operations.actions import dead_letters
from kompetensnav_operations.actions.dead_letters import Selection
from kompetensnav_operations.domain.dead_letters import State
from kompetensnav_operations.domain.picture import Queue

Reason = Annotated[str, Field(min_length=3, max_length=500, description="Why; it is kept in the audit.")]
Name = Annotated[str, Field(max_length=200)]


class Chosen(BaseModel):
    """Which dead letters: these, or all that fit."""

    ids: list[int] = Field([], max_length=10_000)
    state: Name = State.WAITING
    consumer: Name = ""
    reason: Name = ""
    fingerprint: Name = ""
    type: Name = ""
    text: Name = ""
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    upto: int = Field(
        0, ge=0, description="The newest dead letter that was seen; what came later is not meant."
    )

    @property
    def selection(self) -> Selection:
        """As the actions take it."""
        return Selection(**{**self.model_dump(exclude={"all"}), "ids": tuple(self.ids)})


class Meant(Chosen):
    """Which dead letters an act is of; all of them only when that is said."""

    all: bool = Field(False, description="Every dead letter in that state, when nothing else is chosen.")

    @model_validator(mode="after")
    def _is_said(self) -> Self:
        said = self.model_fields_set - {"state", "upto"}
        if not any(getattr(self, name) for name in said):
            raise ValueError("choose dead letters by ids or by a filter, or say all")
        return self


class ForReason(BaseModel):
    """An act, and why."""

    reason: Reason


class OfDeadLetters(ForReason):
    """An act on dead letters."""

    dead_letters: Meant


class ToReplay(OfDeadLetters):
    """What to replay, and how fast."""

    rate: int = Field(50, ge=1, le=500, description="Dead letters a second, at most.")


class ToPause(ForReason):
    """Until when."""

    until: AwareDatetime


class Edited(ForReason):
    """An edited body, as text."""

    body: str = Field(max_length=1_000_000)


class DeadLetterView(BaseModel):
    """A dead letter, without its body."""

    dead_letter_id: int
    consumer: str
    stream: str
    origin_seq: int
    event_id: str | None
    type: str
    trace_id: str | None
    reason: str
    error: str
    fingerprint: str
    died_at: datetime
    deliveries: int
    size: int
    state: str
    replays: int
    came_of: int | None
    settled_by: str | None
    settled_at: datetime | None
    why: str | None

    model_config = {"from_attributes": True}


class DeadLetters(BaseModel):
    """A page of dead letters."""

    items: list[DeadLetterView]
    total: int


class SampleView(BaseModel):
    """What a queue was like at a time; rates are messages a second."""

    at: datetime
    waiting: int
    in_flight: int
    oldest: float | None
    dead: int
    redelivered: int
    rate_in: float
    rate_out: float

    model_config = {"from_attributes": True}


class QueueView(BaseModel):
    """A queue, how old that is in seconds, and what it was like."""

    queue: Queue
    age: float
    samples: list[SampleView]


class Paused(BaseModel):
    """A queue that is given nothing until a time."""

    paused: str
    until: datetime


class Resumed(BaseModel):
    """A queue that goes on."""

    resumed: str


class LoginView(BaseModel):
    """Somebody who is logged in."""

    model_config = ConfigDict(from_attributes=True)

    login_id: UUID
    subject: str
    roles: list[str]
    began_at: AwareDatetime
    seen_at: AwareDatetime


class LoginEnded(BaseModel):
    """A login that is over."""

    ended: UUID


class WholeDeadLetter(BaseModel):
    """A dead letter with every try; its body without values."""

    dead_letter: DeadLetterView
    stack: str
    body: Any
    comparison: Comparison | None
    """With the message that it says it is of: what differs is never replayed. None when it has none."""
    attempts: list[dead_letters.Try]


class Revealed(BaseModel):
    """A dead letter's body with its values."""

    kind: str
    body: str
    headers: dict[str, str]


class ReplayView(BaseModel):
    """A replay, and what has come of it so far: outcome -> dead letters."""

    replay_id: UUID
    by: str
    reason: str
    rate: int
    state: str
    stopped_why: str | None
    made_at: datetime
    began_at: datetime | None
    ended_at: datetime | None
    outcomes: dict[str, int] = {}

    model_config = {"from_attributes": True}


class EventFound(BaseModel):
    """Where an event is."""

    stream: str
    seq: int
    at: datetime
    subject: str

    model_config = {"from_attributes": True}


class Found(BaseModel):
    """What was looked for."""

    events: list[EventFound]
    dead_letters: list[DeadLetterView]


class EventView(BaseModel):
    """An event, its body without values."""

    subject: str
    at: datetime
    headers: dict[str, str]
    body: Any


class AlertView(BaseModel):
    """An alert."""

    alert_id: UUID
    rule: str
    target: str
    value: float
    limit: float
    began_at: datetime
    ended_at: datetime | None
    seen_by: str | None

    model_config = {"from_attributes": True}


class Alerts(BaseModel):
    """Those that go on, and the last hundred that are over."""

    open: list[AlertView]
    ended: list[AlertView]


class SeenBy(BaseModel):
    """Who looks after an alert."""

    seen_by: str


class Forgotten(BaseModel):
    """What is not missed any more."""

    forgotten: str
    at: datetime
