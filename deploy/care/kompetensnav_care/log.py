"""The event log as it stands in the streams, read from the first message to the last."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from nats.aio.client import Client

from kompetensnav_chassis import streams

MOST = 500
"""Messages a fetch."""
ERASED = "erased"
"""Why an outbox row is parked that tells of a learner who has been forgotten: its body is gone."""


def name_of(subject: str) -> str:
    """The event's name in a subject: after `nav.<municipality>.<int|pub>` or `nav.<from>.fed.<to>`, a
    replay's too."""
    parts = subject.split(".")
    if parts[0] == "replay":
        parts = parts[3:]
    return ".".join(parts[4 if parts[2:3] == ["fed"] else 3 :])


@dataclass(frozen=True)
class Published:
    """One message of a stream. `body` is None when it is no JSON object."""

    stream: str
    seq: int
    subject: str
    headers: dict[str, str]
    data: bytes
    body: dict[str, Any] | None

    @property
    def name(self) -> str:
        """The event's name, such as `registry.slot.posted.v1`; that of the original for a replay."""
        return name_of(self.subject)

    @property
    def municipality(self) -> str:
        """The municipality in the subject."""
        parts = self.subject.split(".")
        return parts[4] if parts[0] == "replay" else parts[1]

    @property
    def id(self) -> str:
        """The event's id; the same for a repeat and for a replay."""
        return self.headers.get("ce-id", f"{self.stream}:{self.seq}")

    @property
    def time(self) -> datetime:
        """When an event was published (header values are percent-encoded in the CloudEvents binding)."""
        return datetime.fromisoformat(unquote(self.headers["ce-time"]))

    def is_for(self, consumer: str) -> bool:
        """Whether a consumer of such events hears it: a replay is for one alone."""
        return not self.subject.startswith("replay.") or self.subject.split(".")[2] == consumer

    @property
    def is_event(self) -> bool:
        """Whether it has an envelope and a payload; poison has not."""
        return self.body is not None and "ce-specversion" in self.headers

    def fact(self, name: str) -> Any:
        """A field of the body; None when there is none."""
        return (self.body or {}).get(name)


async def read_log(client: Client, stream: str) -> list[Published]:
    """Every message of a stream, oldest first. Raises what nats-py raises when the stream is not there."""
    log: list[Published] = []
    async for messages in streams.batches(client, stream):
        for message in messages:
            log.append(
                Published(
                    stream, message.seq, message.subject, message.headers, message.data, _object(message.data)
                )
            )
    return log


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
