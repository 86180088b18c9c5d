"""What the registry tells of slots, requests, seats, offers, placements, and of those to be forgotten."""

from datetime import date
from uuid import UUID

from kompetensnav_contracts.event import Event, Fact, fact
from kompetensnav_contracts.vocabulary import (
    AgeClass,
    ErasureOutcome,
    LanguageLevel,
    Need,
    Party,
    PlacementType,
    Reason,
    Refusal,
    Sharing,
)


class SlotPayload(Event):
    """The whole state of a slot: what a listener needs to use it."""

    slot_id: UUID = fact("reference", "The slot.")
    workplace_id: UUID = fact("reference", "The workplace that offers it.")
    employer_id: UUID = fact("reference", "The employer behind the workplace.")
    placement_type: PlacementType = fact("public", "Placement type.")
    occupation: str = fact("public", "Occupation, SSYK 2012, four digits.", pattern=r"^\d{4}$")
    starts_on: date = fact("public", "First day (ISO 8601).")
    ends_on: date = fact("public", "Last day (ISO 8601).")
    seats: int = fact("public", "Most learners at once.", ge=0)
    locality: str = fact("public", "Locality code of the workplace.")
    min_language: LanguageLevel = fact("public", "Lowest Swedish level.", LanguageLevel.NONE)
    offers_needs: tuple[Need, ...] = fact("public", "Requirement codes the workplace can meet.", ())
    shared_with: Sharing = fact("internal", "How far it is shared.", Sharing.MUNICIPALITY)
    named_municipalities: tuple[str, ...] = fact("internal", "SCB codes, when shared with named ones.", ())
    administration: str | None = fact("internal", "The administration that owns it, when kept to it.", None)
    weekdays: tuple[int, ...] = fact(
        "public", "ISO weekdays (1 = Monday) of a split week; empty = the whole week.", ()
    )


class SlotPosted(SlotPayload):
    """An employer offers seats for learners in a period."""

    name = "registry.slot.posted.v1"
    about = "slot_id"
    summaries = {
        "sv": "{seats} plats(er) för {placement_type} i yrke {occupation} från {starts_on}",
        "en": "{seats} seat(s) for {placement_type} in occupation {occupation} from {starts_on}",
    }


class SlotChanged(SlotPayload):
    """A slot's period, seats or requirements have been corrected."""

    name = "registry.slot.changed.v1"
    about = "slot_id"
    summaries = {"sv": "Plats {slot_id} ändrad", "en": "Slot {slot_id} changed"}


class SlotWithdrawn(Event):
    """A slot is no longer offered; its open offers are declined and seats freed."""

    name = "registry.slot.withdrawn.v1"
    about = "slot_id"
    summaries = {"sv": "Plats {slot_id} återtagen", "en": "Slot {slot_id} withdrawn"}

    slot_id: UUID = fact("reference", "The slot.")
    placement_type: PlacementType = fact("public", "Placement type.")
    occupation: str = fact("public", "Occupation, SSYK 2012, four digits.")
    starts_on: date = fact("public", "First day (ISO 8601).")
    seats: int = fact("public", "Seats that are no longer offered.")


class SlotOffered(Event):
    """A slot is open to everyone (public twin of slot.posted and slot.changed)."""

    name = "registry.slot.offered.v1"
    visibility = "pub"
    about = "slot_id"
    summaries = {"sv": "Öppen plats {slot_id}", "en": "Open slot {slot_id}"}

    slot_id: UUID = fact("reference", "The slot.")
    employer_id: UUID = fact("reference", "The employer.")
    placement_type: PlacementType = fact("public", "Placement type.")
    occupation: str = fact("public", "Occupation, SSYK 2012, four digits.")
    starts_on: date = fact("public", "First day (ISO 8601).")
    ends_on: date = fact("public", "Last day (ISO 8601).")
    seats: int = fact("public", "Most learners at once.")
    locality: str = fact("public", "Locality code of the workplace.")


class SlotRetracted(Event):
    """A slot is no longer open to everyone (public twin: withdrawn, or sharing narrowed)."""

    name = "registry.slot.retracted.v1"
    visibility = "pub"
    about = "slot_id"
    summaries = {"sv": "Plats {slot_id} inte längre öppen", "en": "Slot {slot_id} no longer open"}

    slot_id: UUID = fact("reference", "The slot.")


class CapacityChanged(Event):
    """The number of free seats in a slot has changed. Says never for whom or in which form."""

    name = "registry.capacity.changed.v1"
    about = "slot_id"
    summaries = {"sv": "{seats_left} lediga i plats {slot_id}", "en": "{seats_left} free in slot {slot_id}"}

    slot_id: UUID = fact("reference", "The slot.")
    seats_left: int = fact("public", "Seats that can still be reserved.", ge=0)


class Wish(Fact):
    """One thing a learner wishes for: an occupation, or a certain slot."""

    rank: int = fact("pseudonymous", "1 is the first wish.", ge=1)
    occupation: str | None = fact("pseudonymous", "SSYK 2012, four digits.", None)
    slot_id: UUID | None = fact("pseudonymous", "A certain slot.", None)
    preference: float = fact("pseudonymous", "How much the learner wants it, 0 to 1.", 1.0, gt=0, le=1)
    host_preference: float | None = fact(
        "pseudonymous",
        "How much the employer wants this learner, 0 to 1; empty = no opinion.",
        None,
        ge=0,
        le=1,
    )
    new_field: bool = fact(
        "pseudonymous", "The learner's own wish to try something outside the usual choice.", False
    )


class RequestPayload(Event):
    """The whole state of a placement request, as coarse as matching can do with."""

    request_id: UUID = fact("reference", "The placement request.")
    learner_id: UUID = fact("pseudonymous", "Random reference of the learner.")
    placement_type: PlacementType = fact("pseudonymous", "Placement type.")
    starts_on: date = fact("pseudonymous", "First day of the period (ISO 8601).")
    ends_on: date = fact("pseudonymous", "Last day of the period (ISO 8601).")
    cohort_id: UUID = fact("pseudonymous", "Random reference of those placed together; not the school.")
    locality: str = fact("pseudonymous", "Locality of at least 200 inhabitants the learner travels from.")
    age_class: AgeClass = fact("pseudonymous", "Age class, never an age.")
    language: LanguageLevel = fact("pseudonymous", "Swedish level.", LanguageLevel.FLUENT)
    needs: tuple[Need, ...] = fact("pseudonymous", "Requirement codes the place must meet.", ())
    max_travel_minutes: int = fact("pseudonymous", "Longest travel one way, minutes.", 60, ge=0)
    wishes: tuple[Wish, ...] = fact("pseudonymous", "Ranked wishes; empty = anything suitable.", ())


class RequestOpened(RequestPayload):
    """A learner needs a placement."""

    name = "registry.request.opened.v1"
    about = "request_id"
    summaries = {
        "sv": "Önskemål {request_id} om {placement_type}",
        "en": "Request {request_id}: {placement_type}",
    }


class RequestChanged(RequestPayload):
    """A learner's wishes or limits have changed."""

    name = "registry.request.changed.v1"
    about = "request_id"
    summaries = {"sv": "Önskemål {request_id} ändrat", "en": "Request {request_id} changed"}


class RequestClosed(Event):
    """A request needs no placement any more."""

    name = "registry.request.closed.v1"
    about = "request_id"
    summaries = {"sv": "Önskemål {request_id} stängt", "en": "Request {request_id} closed"}

    request_id: UUID = fact("reference", "The placement request.")
    learner_id: UUID = fact("pseudonymous", "Random reference of the learner.")
    placement_type: PlacementType = fact("pseudonymous", "Placement type.")


class SeatPayload(Event):
    """One seat of a slot, and for which match."""

    match_id: UUID = fact("reference", "The match that asked for it.")
    round_id: UUID = fact("reference", "The round that matched.")
    slot_id: UUID = fact("reference", "The slot.")
    workplace_id: UUID = fact("reference", "The workplace.")
    workplace_municipality: str = fact("internal", "SCB code of the workplace's municipality.")
    request_id: UUID = fact("reference", "The placement request.")
    at_workplace: int = fact("internal", "Matches of the same round at this workplace.", 1, ge=1)


class SeatReserved(SeatPayload):
    """The ledger has reserved a seat."""

    name = "registry.seat.reserved.v1"
    about = "seat_id"
    summaries = {"sv": "Plats reserverad i {slot_id}", "en": "Seat reserved in {slot_id}"}

    seat_id: UUID = fact("reference", "The seat.")


class SeatRefused(SeatPayload):
    """The ledger could not give a seat."""

    name = "registry.seat.refused.v1"
    about = "match_id"
    summaries = {"sv": "Plats nekad i {slot_id}: {refusal}", "en": "Seat refused in {slot_id}: {refusal}"}

    refusal: Refusal = fact("internal", "Why.")
    rule: str | None = fact(
        "internal",
        "Id of the rule that forbids it (`R9`), when `refusal` is `rule`.",
        None,
        pattern=r"^R\d+$",
    )


class SeatReleased(Event):
    """A reserved seat is free again."""

    name = "registry.seat.released.v1"
    about = "seat_id"
    summaries = {"sv": "Plats frigjord i {slot_id}: {reason}", "en": "Seat released in {slot_id}: {reason}"}

    seat_id: UUID = fact("reference", "The seat.")
    slot_id: UUID = fact("reference", "The slot.")
    reason: Reason = fact("internal", "Why.")


class OfferPayload(Event):
    """One learner, one slot, and who has a say."""

    offer_id: UUID = fact("reference", "The offer.")
    match_id: UUID | None = fact("reference", "The match behind it; empty for an own-found slot.", None)
    round_id: UUID = fact("reference", "The round (or the own-found registration) behind it.")
    seat_id: UUID = fact("reference", "The seat it holds.")
    slot_id: UUID = fact("reference", "The slot.")
    workplace_id: UUID = fact("reference", "The workplace.")
    workplace_municipality: str = fact("internal", "SCB code of the workplace's municipality.")
    request_id: UUID = fact("reference", "The placement request.")
    learner_id: UUID = fact("pseudonymous", "Random reference of the learner.")
    placement_type: PlacementType = fact("pseudonymous", "Placement type.")
    occupation: str = fact("pseudonymous", "Occupation, SSYK 2012, four digits.")
    starts_on: date = fact("pseudonymous", "First day (ISO 8601).")
    ends_on: date = fact("pseudonymous", "Last day (ISO 8601).")
    must_answer: tuple[Party, ...] = fact("internal", "Those who must say yes.")
    are_told: tuple[Party, ...] = fact("internal", "Those who are only told.")
    at_workplace: int = fact("internal", "Matches of the same round at this workplace.", 1, ge=1)
    elsewhere: bool = fact("internal", "The workplace's own stack asks and tells the employer.", False)


class OfferMade(OfferPayload):
    """A seat is held for a learner; those concerned are asked or told."""

    name = "registry.offer.made.v1"
    about = "offer_id"
    summaries = {"sv": "Erbjudande {offer_id} lämnat", "en": "Offer {offer_id} made"}

    answer_by: date = fact("internal", "Last day to answer (ISO 8601).")


class OfferAccepted(OfferPayload):
    """One of those who must answer has said yes."""

    name = "registry.offer.accepted.v1"
    about = "offer_id"
    summaries = {"sv": "Erbjudande {offer_id}: ja från {party}", "en": "Offer {offer_id}: yes from {party}"}

    party: Party = fact("internal", "Who said yes.")


class OfferDeclined(OfferPayload):
    """Someone has said no; the seat is free again."""

    name = "registry.offer.declined.v1"
    about = "offer_id"
    summaries = {"sv": "Erbjudande {offer_id}: nej från {party}", "en": "Offer {offer_id}: no from {party}"}

    party: Party = fact("internal", "Who said no.")
    reason: Reason = fact("internal", "Why.")


class OfferExpired(OfferPayload):
    """Nobody answered in time; the seat is free again."""

    name = "registry.offer.expired.v1"
    about = "offer_id"
    summaries = {"sv": "Erbjudande {offer_id} obesvarat", "en": "Offer {offer_id} expired"}


class PlacementPayload(OfferPayload):
    """One learner in one slot, agreed."""

    placement_id: UUID = fact("reference", "The placement.")


class PlacementConfirmed(PlacementPayload):
    """Everyone who must has said yes."""

    name = "registry.placement.confirmed.v1"
    about = "placement_id"
    summaries = {"sv": "Placering {placement_id} klar", "en": "Placement {placement_id} confirmed"}

    days_to_place: int = fact("internal", "Days from the request was opened to confirmation.", ge=0)


class PlacementStarted(PlacementPayload):
    """The learner has begun."""

    name = "registry.placement.started.v1"
    about = "placement_id"
    summaries = {"sv": "Placering {placement_id} påbörjad", "en": "Placement {placement_id} started"}


class PlacementInterrupted(PlacementPayload):
    """The placement ended early."""

    name = "registry.placement.interrupted.v1"
    about = "placement_id"
    summaries = {"sv": "Placering {placement_id} avbruten", "en": "Placement {placement_id} interrupted"}

    reason: Reason = fact("internal", "Why, as a code; never free text.")
    interrupted_on: date = fact("pseudonymous", "Last day of presence (ISO 8601).")


class PlacementCompleted(PlacementPayload):
    """The placement was carried through."""

    name = "registry.placement.completed.v1"
    about = "placement_id"
    summaries = {"sv": "Placering {placement_id} genomförd", "en": "Placement {placement_id} completed"}


class PresenceConfirmed(Event):
    """The supervisor or the school has confirmed how much of a week the learner was there."""

    name = "registry.presence.confirmed.v1"
    about = "presence_id"
    summaries = {"sv": "Närvaro bekräftad, vecka {week}", "en": "Presence confirmed, week {week}"}

    presence_id: UUID = fact("reference", "This week of this placement.")
    placement_id: UUID = fact("reference", "The placement.")
    learner_id: UUID = fact("pseudonymous", "Random reference of the learner.")
    placement_type: PlacementType = fact("pseudonymous", "Placement type.")
    week: date = fact("pseudonymous", "The week's Monday (ISO 8601).")
    days: int = fact("pseudonymous", "Days of presence.", ge=0, le=7)
    hours: float = fact("pseudonymous", "Hours of presence.", ge=0, le=80)
    party: Party = fact("internal", "Who confirmed: employer (the supervisor) or provider (the school).")


class ErasureRequested(Event):
    """A learner is to be forgotten: every service that has heard of them answers what it has done."""

    name = "registry.erasure.requested.v1"
    about = "erasure_id"
    summaries = {"sv": "Radering {erasure_id} begärd", "en": "Erasure {erasure_id} requested"}

    erasure_id: UUID = fact("reference", "This erasure.")
    learner_id: UUID = fact("pseudonymous", "Random reference of the learner.")
    answer_by: date = fact("internal", "Last day to answer (ISO 8601).")


class ErasurePayload(Event):
    """A service's answer to an erasure; each service tells an event of its own."""

    erasure_id: UUID = fact("reference", "The erasure.")
    answer: ErasureOutcome = fact("internal", "Erased, retained, or nothing was held.")
    rows: int = fact("internal", "Rows that were erased or are retained.", 0, ge=0)
    ground: str | None = fact("internal", "The law or decision it is retained by, as a reference.", None)
    until: date | None = fact("internal", "Last day it is retained (ISO 8601).", None)


class PlacementCounted(Event):
    """One placement was confirmed somewhere (public twin without learner, workplace or place)."""

    name = "registry.placement.counted.v1"
    visibility = "pub"
    about = "count_id"
    summaries = {
        "sv": "En placering i {placement_type} {month}",
        "en": "One {placement_type} placement {month}",
    }

    count_id: UUID = fact("reference", "Random reference of the count; leads to nothing.")
    placement_type: PlacementType = fact("public", "Placement type.")
    month: str = fact("public", "Month of the start, ISO 8601 (YYYY-MM).", pattern=r"^\d{4}-\d{2}$")
