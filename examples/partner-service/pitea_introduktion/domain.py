"""When introduction days are held."""

from datetime import date, timedelta

PLACES = 12
"""How many can come to one day."""


def day_before(starts_on: date) -> date:
    """The introduction day of a placement: the Wednesday of the week before it begins."""
    monday = starts_on - timedelta(days=starts_on.weekday())
    return monday - timedelta(days=5)


def has_room(booked: int) -> bool:
    """Whether one more can come."""
    return booked < PLACES
