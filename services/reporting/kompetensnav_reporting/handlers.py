"""What reporting does when something has happened elsewhere: it counts it, once."""

from collections.abc import Sequence

from kompetensnav_chassis.broker import Listener
from kompetensnav_chassis.db import Session
from kompetensnav_contracts import Event
from kompetensnav_reporting import actions

listener = Listener("reporting")


@listener.on_many(*actions.EVENTS, name="placements", projection=True)
async def on_placements(events: Sequence[Event], session: Session) -> None:
    """Adds a fact for each event."""
    await actions.take_in(session, events)
