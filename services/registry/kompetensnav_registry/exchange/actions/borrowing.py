"""The picture of slots that other stacks have lent to us; matching sees them as slots of their
municipality."""

from typing import cast
from uuid import uuid5

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import InvalidMessage
from kompetensnav_chassis.identity import municipalities
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import (
    CapacityChanged,
    SlotChanged,
    SlotLent,
    SlotPosted,
    SlotRecalled,
)
from kompetensnav_contracts.vocabulary import Sharing
from kompetensnav_registry.actors.tables import Employer
from kompetensnav_registry.exchange.tables import Loan
from kompetensnav_registry.ledger.actions import listing
from kompetensnav_registry.ledger.actions.slots import payload
from kompetensnav_registry.ledger.domain.slots import SlotValues
from kompetensnav_registry.ledger.tables.slots import Slot
from kompetensnav_registry.ledger.tables.workplaces import Workplace
from kompetensnav_registry.rules.domain.terms import KeptSlotTerms

MANY = 10_000
"""Reception capacity of a workplace whose own registry keeps the account."""


async def note(session: Session, event: SlotLent | SlotRecalled) -> None:
    """A slot is lent to one of our municipalities, has changed, or is lent to it no more. What is older than
    what was heard before is passed over."""
    host = event.envelope.municipality
    key = {"slot_id": event.slot_id, "lent_to": event.to, "municipality": host, "revision": 0}
    await session.execute(insert(Loan).values(key).on_conflict_do_nothing())
    loan = await session.scalar(
        select(Loan)
        .where(Loan.slot_id == event.slot_id, Loan.lent_to == event.to, Loan.municipality == host)
        .with_for_update()
    )
    if loan is None or event.envelope.revision <= loan.revision:
        return
    loan.revision = event.envelope.revision
    loan.published = event.model_dump(mode="json") if isinstance(event, SlotLent) else None
    if isinstance(event, SlotLent):
        place = await _place(session, event)
    slot = await session.scalar(
        select(Slot)  # every municipality: whose it is, is looked at below
        .where(Slot.slot_id == event.slot_id)
        .with_for_update()
    )
    if slot is not None and (slot.municipality != host or not slot.elsewhere):
        raise InvalidMessage("the slot is another municipality's", "not-theirs")
    if isinstance(event, SlotLent):
        _lent(session, event, slot, place)
    elif slot is not None:
        _recalled(session, event, slot)


def left(session: Session, slot: Slot, seats: int) -> None:
    """So many seats are left, as the slot's own registry says."""
    if seats == slot.seats_left:
        return
    slot.seats_left, slot.capacity_revision = seats, slot.capacity_revision + 1
    listing.left(session, slot.slot_id, seats)
    event = CapacityChanged(slot_id=slot.slot_id, seats_left=seats)
    tell(session, event, municipality=slot.municipality, revision=slot.capacity_revision)


async def _place(session: Session, event: SlotLent) -> Workplace:
    """The workplace, for what points to it. Its name is not told between stacks: a sole trader's is a
    person's. Its ids here are made from theirs, so that no other stack can name what is ours."""
    host = event.envelope.municipality
    known = select(Employer.name).where(Employer.org_number == event.org_number)  # every municipality
    name = event.org_number and await session.scalar(known)
    name = name or f"Arbetsplats i {municipalities().get(host, host)}"
    await session.execute(
        insert(Employer)
        .values(
            employer_id=uuid5(event.employer_id, host),
            name=name,
            sector="private",
            kind="company",
            revision=1,
        )
        .on_conflict_do_nothing()
    )
    await session.execute(
        insert(Workplace)
        .values(
            workplace_id=uuid5(event.workplace_id, host), municipality=host,
            employer_id=uuid5(event.employer_id, host), name=name,
            locality=event.locality, reception_capacity=MANY, revision=1,
        )
        .on_conflict_do_nothing()
    )  # fmt: skip
    place = await session.scalar(
        select(Workplace).where(
            Workplace.workplace_id == uuid5(event.workplace_id, host), Workplace.municipality == host
        )
    )
    assert place is not None
    return place


def _lent(session: Session, event: SlotLent, slot: Slot | None, place: Workplace) -> None:
    host = event.envelope.municipality
    about = SlotValues(
        placement_type=event.placement_type,
        occupation=event.occupation,
        starts_on=event.starts_on,
        ends_on=event.ends_on,
        seats=event.seats,
        min_language=event.min_language,
        offers_needs=list(event.offers_needs),
        weekdays=list(event.weekdays),
        terms=cast(KeptSlotTerms, event.terms.model_dump(mode="json", exclude_defaults=True)),
    )
    if slot is None:
        slot = Slot(
            slot_id=event.slot_id, municipality=host, workplace_id=place.workplace_id,
            employer_id=place.employer_id, shared_with=Sharing.NAMED, named_municipalities=[event.to],
            elsewhere=True, own_found=False, taken=0, seats_left=event.seats, capacity_revision=0,
            public_revision=0, is_public=False, revision=1, locality=event.locality, **about,
        )  # fmt: skip
        session.add(slot)
        tell(session, payload(SlotPosted, slot), municipality=host, revision=1)
    else:
        named = sorted({*slot.named_municipalities, event.to})
        said = {**about, "locality": event.locality, "named_municipalities": named}
        if changed := {n: v for n, v in said.items() if getattr(slot, n) != v}:
            for name, value in changed.items():
                setattr(slot, name, value)
            slot.revision += 1
            tell(session, payload(SlotChanged, slot), municipality=host, revision=slot.revision)
    left(session, slot, event.seats_left)
    listing.show(session, slot, place)


def _recalled(session: Session, event: SlotRecalled, slot: Slot) -> None:
    """It is shared with nobody, and may be lent again; who has a seat keeps it."""
    slot.named_municipalities = [code for code in slot.named_municipalities if code != event.to]
    slot.revision += 1
    tell(session, payload(SlotChanged, slot), municipality=slot.municipality, revision=slot.revision)
    if not slot.named_municipalities:
        listing.hide(session, slot.slot_id)
