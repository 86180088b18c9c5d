"""What may be said of a request, and its wishes."""

from collections.abc import Sequence
from datetime import date
from typing import NotRequired
from uuid import UUID

from typing_extensions import TypedDict

from kompetensnav_registry.rules.domain.terms import KeptRequestTerms

RANK_STEP = 0.1
"""How much less a wish counts than the one before it, when no preference is given."""


class Wished(TypedDict, total=False):
    """A wish as it is said: an occupation or a slot."""

    occupation: str | None
    slot_id: UUID | None
    preference: float | None
    host_preference: float | None
    new_field: bool


class Wish(TypedDict):
    """A wish as the row and the event have it."""

    rank: int
    occupation: str | None
    slot_id: str | None
    preference: float
    host_preference: float | None
    new_field: NotRequired[bool]


class RequestValues(TypedDict, total=False):
    """Of a request, without whose it is; what is left out stays as it is."""

    placement_type: str
    starts_on: date
    ends_on: date
    wishes: Sequence[Wished]
    needs: list[str]
    max_travel_minutes: int
    terms: KeptRequestTerms


def ranked(wishes: Sequence[Wished]) -> list[Wish]:
    """Wishes in order with rank and preference filled in, ready for the row and the event."""
    return [_ranked(wish, rank) for rank, wish in enumerate(wishes, 1)]


def _ranked(wish: Wished, rank: int) -> Wish:
    slot_id, given = wish.get("slot_id"), wish.get("preference")
    made = Wish(
        rank=rank,
        occupation=wish.get("occupation"),
        slot_id=str(slot_id) if slot_id else None,
        preference=max(RANK_STEP, 1 - RANK_STEP * (rank - 1)) if given is None else given,
        host_preference=wish.get("host_preference"),
    )
    if wish.get("new_field"):
        made["new_field"] = True
    return made
