"""What every event carries: an envelope (who, when, where) and a body (the payload).

The envelope is CloudEvents 1.0 in binary content mode; the chassis writes it as message headers. The body is
the event class's fields and nothing else, and the published JSON Schema covers the body.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PrivateAttr

Visibility = Literal["int", "pub", "fed"]
Privacy = Literal["public", "internal", "reference", "pseudonymous"]
Language = Literal["sv", "en"]

MUNICIPALITY = r"^(\d{4}|[a-z][a-z0-9_]{1,30})$"
"""SCB municipality code, or a code beginning with a letter for a body that is no municipality."""


def fact(
    privacy: Privacy,
    description: str,
    default: Any = ...,
    *,
    examples: list[Any] | None = None,
    **limits: Any,
) -> Any:
    """A field of an event: what it means, and how private it is.

    `public` may be told to anyone; `internal` stays in the stack; `reference` is an opaque id of a thing;
    `pseudonymous` is about a learner and is refused in public events.
    """
    return Field(
        default,
        description=description,
        examples=examples,
        json_schema_extra={"x-privacy": privacy},
        **limits,
    )


class Fact(BaseModel):
    """A value inside an event's body; unknown fields are ignored, so fields may be added later."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Envelope(BaseModel):
    """Who told what, when and where: the CloudEvents attributes and our extensions."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    type: str
    source: str
    subject: str
    time: AwareDatetime
    municipality: str = Field(pattern=MUNICIPALITY)
    administration: str | None = None
    revision: int = Field(ge=1)
    correlationid: UUID
    causationid: UUID | None = None
    traceparent: str | None = None


class Event(Fact):
    """Something that has happened, in the past tense; never changed.

    Readers ignore fields they do not know, so an optional field may be added to a published event at any
    time; taking one away or changing its meaning needs a new class with a new name (`...V2`).
    """

    name: ClassVar[str]
    """`<service>.<thing>.<happened>.v<n>`"""
    visibility: ClassVar[Visibility] = "int"
    about: ClassVar[str]
    """The field that identifies the aggregate; it becomes the CloudEvents subject."""
    summaries: ClassVar[dict[Language, str]]
    """One sentence per language; `{field}` is replaced by the field's value."""

    _envelope: Envelope | None = PrivateAttr(default=None)

    @property
    def envelope(self) -> Envelope:
        """The envelope it arrived in. Raises LookupError for an event that was never sent."""
        if self._envelope is None:
            raise LookupError(f"{self.name} has not been sent, so it has no envelope")
        return self._envelope

    def sealed(self, envelope: Envelope) -> Self:
        """The same payload in an envelope."""
        sealed = self.model_copy()
        sealed._envelope = envelope
        return sealed

    @property
    def aggregate_id(self) -> str:
        """Identifies the thing the event is about; revisions count up within it."""
        return str(getattr(self, self.about))

    @property
    def url(self) -> str:
        """Where the thing is found in the owner's API, relative to the service."""
        things = self.name.split(".")[1] + "s"
        return f"/{self.envelope.municipality}/{things}/{self.aggregate_id}"

    def summary(self, language: Language = "sv") -> str:
        """The event in one sentence, for logs, consoles and people."""
        values = {name: _plain(getattr(self, name)) for name in type(self).model_fields}
        return self.summaries[language].format(**values)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


class Federated(Event):
    """An event to one municipality of another stack, and to nobody else. It holds nothing about a learner but
    references that mean nothing elsewhere."""

    visibility = "fed"

    to: str = fact("public", "SCB code of the municipality it is told to.", pattern=MUNICIPALITY)
