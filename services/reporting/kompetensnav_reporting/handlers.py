"""What reporting does when something has happened elsewhere: it counts it, once."""

from collections.abc import Sequence

from kompetensnav_chassis.broker.listener import Listener
from kompetensnav_chassis.db import Session
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts import Event
from kompetensnav_contracts.events.registry import ErasureRequested
from kompetensnav_contracts.events.reporting import ErasureAnswered
from kompetensnav_contracts.vocabulary import ErasureOutcome
from kompetensnav_reporting import actions

listener = Listener("reporting")


@listener.on_many(*actions.EVENTS, name="placements", projection=True)
async def on_placements(events: Sequence[Event], session: Session) -> None:
    """Adds a fact for each event."""
    await actions.take_in(session, events)


@listener.on_many(ErasureRequested, name="erasures")
async def on_erasures_requested(events: Sequence[ErasureRequested], session: Session) -> None:
    """Answers that nothing is held: facts are counted without whom they are about."""
    for event in events:
        tell(
            session,
            ErasureAnswered(erasure_id=event.erasure_id, answer=ErasureOutcome.NOTHING),
            municipality=event.envelope.municipality,
            administration=event.envelope.administration,
            revision=1,
            cause=event.envelope,
        )
