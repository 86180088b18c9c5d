"""What matching does when something has happened in the registry: it keeps its own picture, in stream
order."""

from collections.abc import Sequence

from kompetensnav_chassis.broker.listener import Listener
from kompetensnav_chassis.db import Scope, Session, rescope
from kompetensnav_contracts import Event
from kompetensnav_matching.actions import projection
from kompetensnav_matching.actions.stale import mark_stale

listener = Listener("matching")


@listener.on_many(*projection.KINDS, name="registry", projection=True)
async def on_registry(events: Sequence[Event], session: Session) -> None:
    """Takes the events into the picture, and has repairs looked at."""
    scope = session.info["scope"]
    hosts = {getattr(event, "workplace_municipality", event.envelope.municipality) for event in events}
    await rescope(session, Scope(tuple({*scope.own, *hosts}), (), scope.administrations))
    await mark_stale(session, await projection.apply(session, events))
