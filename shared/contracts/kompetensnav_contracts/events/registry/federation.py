"""What registries of different stacks tell each other: slots that are lent, seats that are asked for. Nothing
here is about a learner: `reference` is made for one seat and leads nowhere in the stack that hears it."""

from datetime import date
from uuid import UUID

from kompetensnav_contracts.event import Event, Fact, Federated, fact
from kompetensnav_contracts.vocabulary import LanguageLevel, Need, PlacementType, Reason, Refusal


class WorkTerms(Fact):
    """Hours, hazards and what is asked of learners, as the rules on minors' work and education read them."""

    hours_per_day: float | None = fact("public", "Hours of work a day.", None, ge=0, le=24)
    hours_per_week: float | None = fact("public", "Hours of work a week.", None, ge=0, le=80)
    starts_at: str | None = fact("public", "When the day begins (hh:mm).", None)
    ends_at: str | None = fact("public", "When the day ends (hh:mm).", None)
    break_minutes: int | None = fact("public", "Minutes of the break.", None, ge=0, le=240)
    break_after: float | None = fact("public", "Hours of work before the first break.", None, ge=0, le=24)
    hazards: tuple[str, ...] = fact("public", "Task hazards, after the annex of AFS 2012:3.", ())
    setting: str | None = fact("public", "Where the tasks are, for background checks.", None)
    programmes: tuple[str, ...] = fact("public", "Programmes it takes; empty = any.", ())
    study_years: tuple[int, ...] = fact("public", "Study years it takes; empty = any.", ())
    needs_licence: bool = fact("public", "The tasks ask for a driving licence (B).", False)


class SlotLent(Federated):
    """A slot may be used by a municipality of another stack. The whole state, and what is left."""

    name = "registry.slot.lent.v1"
    about = "slot_id"
    summaries = {"sv": "Plats {slot_id} utlånad till {to}", "en": "Slot {slot_id} lent to {to}"}

    slot_id: UUID = fact("reference", "The slot.")
    workplace_id: UUID = fact("reference", "The workplace that offers it.")
    employer_id: UUID = fact("reference", "The employer behind the workplace.")
    org_number: str | None = fact(
        "public", "Organisation number of the employer; only for legal persons.", None, pattern=r"^\d{10}$"
    )
    placement_type: PlacementType = fact("public", "Placement type.")
    occupation: str = fact("public", "Occupation, SSYK 2012, four digits.", pattern=r"^\d{4}$")
    starts_on: date = fact("public", "First day (ISO 8601).")
    ends_on: date = fact("public", "Last day (ISO 8601).")
    seats: int = fact("public", "Most learners at once.", ge=0)
    seats_left: int = fact("public", "Seats that can still be reserved.", ge=0)
    locality: str = fact("public", "Locality code of the workplace.")
    min_language: LanguageLevel = fact("public", "Lowest Swedish level.", LanguageLevel.NONE)
    offers_needs: tuple[Need, ...] = fact("public", "Requirement codes the workplace can meet.", ())
    weekdays: tuple[int, ...] = fact(
        "public", "ISO weekdays (1 = Monday) of a split week; empty = the whole week.", ()
    )
    terms: WorkTerms = fact("public", "What the rules need to know of it.", WorkTerms())


class SlotRecalled(Federated):
    """A slot is lent no more. Seats that are held in it stay."""

    name = "registry.slot.recalled.v1"
    about = "slot_id"
    summaries = {
        "sv": "Plats {slot_id} inte längre utlånad till {to}",
        "en": "Slot {slot_id} not lent to {to}",
    }

    slot_id: UUID = fact("reference", "The slot.")


class SeatAsked(Federated):
    """A seat in a lent slot is asked for. Who would have it is not told."""

    name = "registry.seat.asked.v1"
    about = "reference"
    summaries = {"sv": "Plats efterfrågad i {slot_id}", "en": "Seat asked for in {slot_id}"}

    reference: UUID = fact("reference", "Made for this seat alone; leads to nothing in the stack that hears.")
    slot_id: UUID = fact("reference", "The slot.")
    starts_on: date = fact("public", "Its first day, as the asker knows it (ISO 8601).")
    ends_on: date = fact("public", "Its last day, as the asker knows it (ISO 8601).")
    weekdays: tuple[int, ...] = fact("public", "Its weekdays, as the asker knows them.", ())


class SeatReturned(Federated):
    """A seat that was asked for, or held, is not needed any more."""

    name = "registry.seat.returned.v1"
    about = "reference"
    summaries = {"sv": "Plats lämnad tillbaka: {reason}", "en": "Seat returned: {reason}"}

    reference: UUID = fact("reference", "As in the asking.")
    slot_id: UUID = fact("reference", "The slot.")
    reason: Reason = fact("public", "Why, as a code that tells nothing of a person.")


class SeatAnswered(Federated):
    """The registry that owns the workplace has reserved the seat, or refused it."""

    name = "registry.seat.answered.v1"
    about = "reference"
    summaries = {"sv": "Svar om plats i {slot_id}", "en": "Answer about a seat in {slot_id}"}

    reference: UUID = fact("reference", "As in the asking.")
    slot_id: UUID = fact("reference", "The slot.")
    refusal: Refusal | None = fact("public", "Why there is no seat; empty = it is held.", None)
    seats_left: int = fact("public", "Seats that are left in the slot.", ge=0)


class SeatAccepted(Federated):
    """The employer has said yes to a learner from the other stack."""

    name = "registry.seat.accepted.v1"
    about = "reference"
    summaries = {"sv": "Arbetsgivaren har sagt ja", "en": "The employer says yes"}

    reference: UUID = fact("reference", "As in the asking.")


class SeatDeclined(Federated):
    """The employer has said no, or the slot is gone; the seat is free again."""

    name = "registry.seat.declined.v1"
    about = "reference"
    summaries = {"sv": "Arbetsgivaren har sagt nej: {reason}", "en": "The employer says no: {reason}"}

    reference: UUID = fact("reference", "As in the asking.")
    reason: Reason = fact("public", "Why, as a code that tells nothing of a person.")


class GuestAsked(Event):
    """An employer is asked about a learner from another stack, for whom a seat is held."""

    name = "registry.guest.asked.v1"
    about = "reference"
    summaries = {
        "sv": "Gäst från {sent_by} i plats {slot_id}",
        "en": "Guest from {sent_by} in slot {slot_id}",
    }

    reference: UUID = fact("reference", "This seat's reference, for both stacks.")
    workplace_id: UUID = fact("reference", "The workplace.")
    slot_id: UUID = fact("reference", "The slot.")
    sent_by: str = fact("public", "SCB code of the municipality that asks.")
    placement_type: PlacementType = fact("public", "Placement type.")
    starts_on: date = fact("public", "First day (ISO 8601).")
    answer_by: date = fact("internal", "Last day to answer (ISO 8601).")


class GuestEnded(Event):
    """A learner from another stack will not come, or not come back: the seat is free again."""

    name = "registry.guest.ended.v1"
    about = "reference"
    summaries = {"sv": "Gäst kommer inte: {reason}", "en": "Guest does not come: {reason}"}

    reference: UUID = fact("reference", "This seat's reference, for both stacks.")
    workplace_id: UUID = fact("reference", "The workplace.")
    slot_id: UUID = fact("reference", "The slot.")
    sent_by: str = fact("public", "SCB code of the municipality that asked.")
    placement_type: PlacementType = fact("public", "Placement type.")
    starts_on: date = fact("public", "First day (ISO 8601).")
    reason: Reason = fact("internal", "Why, as a code.")
