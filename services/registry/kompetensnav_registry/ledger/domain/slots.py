"""What may be said of a slot."""

from datetime import date
from typing import TypedDict
from uuid import UUID

from kompetensnav_registry.rules.domain.terms import KeptSlotTerms


class SlotValues(TypedDict, total=False):
    """Of a slot, by those who may change it; what is left out stays as it is."""

    placement_type: str
    occupation: str
    starts_on: date
    ends_on: date
    seats: int
    min_language: str
    offers_needs: list[str]
    shared_with: str
    named_municipalities: list[str]
    administration: str | None
    weekdays: list[int]
    supervisor_id: UUID | None
    terms: KeptSlotTerms
    description: str | None
