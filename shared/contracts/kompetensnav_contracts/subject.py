"""Where an event is spoken: `nav.<municipality>.<int|pub>.<service>.<thing>.<happened>.v<n>`, and between
stacks `nav.<from>.fed.<to>.<service>.<thing>.<happened>.v<n>`."""

import re

from kompetensnav_contracts.event import MUNICIPALITY, Event, Federated


def subject(event: type[Event] | Event, municipality: str = "*") -> str:
    """The NATS subject of an event (in one municipality), or of an event class everywhere (`*`).

    Raises ValueError for a municipality that is no code: a subject never holds anything but tokens.
    """
    if municipality != "*" and not re.fullmatch(MUNICIPALITY, municipality):
        raise ValueError(f"{municipality!r} is no municipality code")
    if isinstance(event, type):
        return (
            f"nav.{municipality}.{event.visibility}.{'*.' if event.visibility == 'fed' else ''}{event.name}"
        )
    to = f"{event.to}." if isinstance(event, Federated) else ""
    return f"nav.{municipality}.{event.visibility}.{to}{event.name}"
