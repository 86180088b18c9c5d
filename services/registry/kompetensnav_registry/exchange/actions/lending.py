"""Slots that are lent to municipalities of other stacks: told when they are, when they change and when they
are no more."""

from collections.abc import Collection, Iterable
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from kompetensnav_chassis.db import Session, among
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import SlotLent, SlotRecalled, WorkTerms
from kompetensnav_contracts.vocabulary import LanguageLevel, Need, PlacementType, Sharing
from kompetensnav_registry.actors.tables import Employer
from kompetensnav_registry.exchange.tables import Loan
from kompetensnav_registry.ground.tables.organisations import SharingAgreement
from kompetensnav_registry.ledger.tables.slots import Slot


async def agreements_with_others(session: Session) -> list[SharingAgreement]:
    """The sharing agreements that somebody of another stack has signed."""
    found = await session.scalars(select(SharingAgreement).where(SharingAgreement.elsewhere != []))
    return list(found)


def borrowers(slot: Slot, agreements: Iterable[SharingAgreement]) -> set[str]:
    """The municipalities of other stacks that may use a slot: named in it, or it is open to everyone, and
    they have signed an agreement that covers its type and its days."""
    if slot.withdrawn_at or slot.own_found or slot.elsewhere:
        return set()
    may: set[str] = set()
    for agreement in agreements:
        if (
            slot.municipality in agreement.municipalities
            and slot.placement_type in agreement.placement_types
            and agreement.valid_from <= slot.starts_on
            and (agreement.valid_to is None or slot.ends_on <= agreement.valid_to)
        ):
            may |= set(agreement.elsewhere)
    if slot.shared_with == Sharing.PUBLIC:
        return may
    return may & set(slot.named_municipalities) if slot.shared_with == Sharing.NAMED else set()


async def lend(session: Session, *, slots: Collection[UUID], municipalities: Collection[str]) -> None:
    """Tells those who may use the slots, as they are now, what they have not been told yet."""
    agreements = await agreements_with_others(session)
    if not agreements or not slots:
        return
    hosts = set(municipalities)
    found = await session.scalars(
        select(Slot)
        .where(among(Slot.slot_id, slots), Slot.municipality.in_(hosts), Slot.elsewhere.is_(False))
        .order_by(Slot.slot_id)
    )
    ours = {slot.slot_id: slot for slot in found}
    keys = [
        {"slot_id": id, "lent_to": to, "municipality": slot.municipality, "revision": 0}
        for id, slot in ours.items()
        for to in sorted(borrowers(slot, agreements))
    ]
    if keys:
        await session.execute(insert(Loan).on_conflict_do_nothing(), keys)
    loans = await session.scalars(
        select(Loan)
        .where(among(Loan.slot_id, ours), Loan.municipality.in_(hosts))
        .order_by(Loan.slot_id, Loan.lent_to)
        .with_for_update()
    )
    if not (held := loans.all()):
        return
    now = await session.execute(  # read under the loans' lock: whoever comes later sees no less
        select(Slot, Employer.org_number)
        .join(Employer, Employer.employer_id == Slot.employer_id)
        .where(among(Slot.slot_id, ours), Slot.municipality.in_(hosts))
        .execution_options(populate_existing=True)
    )
    rows = {slot.slot_id: (slot, org_number) for slot, org_number in now}
    for loan in held:
        slot, org_number = rows[loan.slot_id]
        if loan.lent_to in borrowers(slot, agreements):
            event: SlotLent | SlotRecalled = _lent(slot, org_number, loan.lent_to)
            payload = event.model_dump(mode="json")
        else:
            payload, event = None, SlotRecalled(to=loan.lent_to, slot_id=slot.slot_id)
        if payload == loan.published:
            continue
        loan.published, loan.revision = payload, loan.revision + 1
        tell(session, event, municipality=slot.municipality, revision=loan.revision)


async def slots_under(session: Session, municipalities: Collection[str]) -> set[UUID]:
    """The slots of municipalities, for when an agreement is new."""
    found = await session.scalars(
        select(Slot.slot_id).where(
            Slot.municipality.in_(municipalities),
            Slot.shared_with.in_((Sharing.NAMED, Sharing.PUBLIC)),
            Slot.withdrawn_at.is_(None),
        )
    )
    return set(found)


def _lent(slot: Slot, org_number: str | None, to: str) -> SlotLent:
    return SlotLent(
        to=to,
        slot_id=slot.slot_id,
        workplace_id=slot.workplace_id,
        employer_id=slot.employer_id,
        placement_type=PlacementType(slot.placement_type),
        occupation=slot.occupation,
        starts_on=slot.starts_on,
        ends_on=slot.ends_on,
        seats=slot.seats,
        seats_left=slot.seats_left,
        locality=slot.locality,
        min_language=LanguageLevel(slot.min_language),
        offers_needs=tuple(Need(need) for need in slot.offers_needs),
        weekdays=tuple(slot.weekdays),
        org_number=org_number,
        terms=WorkTerms.model_validate(slot.terms),
    )
