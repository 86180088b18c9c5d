"""Where an event is spoken: `nav.<municipality>.<int|pub>.<service>.<thing>.<happened>.v<n>`."""

import re

from kompetensnav_contracts.event import MUNICIPALITY, Event


def subject(event: type[Event] | Event, municipality: str = "*") -> str:
    """The NATS subject of an event (in one municipality), or of an event class everywhere (`*`).

    Raises ValueError for a municipality that is no code: a subject never holds anything but tokens.
    """
    if municipality != "*" and not re.fullmatch(MUNICIPALITY, municipality):
        raise ValueError(f"{municipality!r} is no municipality code")
    return f"nav.{municipality}.{event.visibility}.{event.name}"
