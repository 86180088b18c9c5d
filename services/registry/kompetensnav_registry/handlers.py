"""What the registry does when something has happened elsewhere, and the question it answers."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from kompetensnav_chassis.broker import Listener
from kompetensnav_chassis.db import Scope, Session, Sessions, rescope, transaction
from kompetensnav_contracts.events.matching import ErasureAnswered as MatchingErasureAnswered
from kompetensnav_contracts.events.matching import LearnerMatched
from kompetensnav_contracts.events.notifications import ErasureAnswered as NotificationsErasureAnswered
from kompetensnav_contracts.events.registry import ErasureFacts
from kompetensnav_contracts.events.reporting import ErasureAnswered as ReportingErasureAnswered
from kompetensnav_registry.actions import asks, erasure, seats
from kompetensnav_registry.edges.links import Links

listener = Listener("registry")


@listener.on_many(LearnerMatched)
async def on_learners_matched(events: Sequence[LearnerMatched], session: Session) -> None:
    """Reserves or refuses a seat for each match, and makes the offers."""
    scope = session.info["scope"]
    hosts = {event.slot_municipality for event in events}
    await rescope(session, Scope(tuple({*scope.own, *hosts}), (), scope.administrations))
    await seats.reserve_seats(session, events)


@listener.on_many(
    MatchingErasureAnswered, NotificationsErasureAnswered, ReportingErasureAnswered, name="erasures"
)
async def on_erasures_answered(events: Sequence[ErasureFacts], session: Session) -> None:
    """Notes what each service has answered."""
    await erasure.note_answers(session, events, datetime.now(UTC))


def answer_contacts(links: Links) -> None:
    """Registers the answer to `ask.<municipality>.registry.contact`: {administration, questions} ->
    [contact]."""

    @listener.on_ask("contact")
    async def contact(municipality: str, asked: dict[str, Any], sessions: Sessions) -> list[Any]:
        administrations = (asked["administration"],) if asked.get("administration") else ()
        async with transaction(sessions, Scope((municipality,), (), administrations)) as session:
            return list(
                await asks.contacts(
                    session, municipality=municipality, questions=asked["questions"], links=links
                )
            )
