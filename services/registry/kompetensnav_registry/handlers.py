"""What the registry does when something has happened elsewhere, and the question it answers."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from kompetensnav_chassis.broker.listener import Listener
from kompetensnav_chassis.db import EVERYONE, Scope, Session, Sessions, rescope, transaction
from kompetensnav_contracts import Federated
from kompetensnav_contracts.events.matching import ErasureAnswered as MatchingErasureAnswered
from kompetensnav_contracts.events.matching import LearnerMatched
from kompetensnav_contracts.events.notifications import ErasureAnswered as NotificationsErasureAnswered
from kompetensnav_contracts.events.registry import (
    CapacityChanged,
    ErasurePayload,
    SeatAccepted,
    SeatAnswered,
    SeatAsked,
    SeatDeclined,
    SeatReturned,
    SharingAgreed,
    SlotChanged,
    SlotLent,
    SlotPosted,
    SlotRecalled,
    SlotWithdrawn,
)
from kompetensnav_contracts.events.reporting import ErasureAnswered as ReportingErasureAnswered
from kompetensnav_registry.exchange.actions import answers, borrowing, guests, lending
from kompetensnav_registry.ground.edges.links import Links
from kompetensnav_registry.ledger.actions import seats
from kompetensnav_registry.people.actions import contacts, erasure

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
async def on_erasures_answered(events: Sequence[ErasurePayload], session: Session) -> None:
    """Notes what each service has answered."""
    await erasure.note_answers(session, events, datetime.now(UTC))


@listener.on_many(SlotPosted, SlotChanged, SlotWithdrawn, CapacityChanged, SharingAgreed, name="lending")
async def on_lending(events: Sequence[Any], session: Session) -> None:
    """Tells other stacks of the slots that are lent to them, as they are now."""
    slots = {event.slot_id for event in events if not isinstance(event, SharingAgreed)}
    hosts = set(session.info["scope"].own)
    if agreed := [event for event in events if isinstance(event, SharingAgreed)]:
        hosts |= {code for event in agreed for code in event.municipalities}
        await rescope(session, Scope(tuple(sorted(hosts))))
        slots |= await lending.slots_under(session, hosts)
    await lending.lend(session, slots=slots, municipalities=hosts)


EXCHANGE: dict[type[Federated], Callable[[Session, Any], Awaitable[None]]] = {
    SlotLent: borrowing.note,
    SlotRecalled: borrowing.note,
    SeatAsked: guests.asked,
    SeatReturned: guests.returned,
    SeatAnswered: answers.answered,
    SeatAccepted: answers.accepted,
    SeatDeclined: answers.declined,
}


@listener.on_many(*EXCHANGE, name="exchange", in_turn=True)
async def on_exchange(events: Sequence[Federated], session: Session) -> None:
    """What registries of other stacks have told ours. Each act looks only at rows of the municipality that
    was told, or of the one that tells; whose learner it concerns is not known before, so the scope is
    widened."""
    await rescope(session, EVERYONE)
    for event in events:
        await EXCHANGE[type(event)](session, event)


def answer_contacts(links: Links) -> None:
    """Registers the answer to `ask.<municipality>.registry.contact`: {administration, questions} ->
    [contact]."""

    @listener.on_ask("contact")
    async def contact(municipality: str, asked: dict[str, Any], sessions: Sessions) -> list[Any]:
        administrations = (asked["administration"],) if asked.get("administration") else ()
        async with transaction(sessions, Scope((municipality,), (), administrations)) as session:
            return list(
                await contacts.contacts(
                    session, municipality=municipality, questions=asked["questions"], links=links
                )
            )
