"""What this service tells. The first token of an event's name is the service's own."""

from datetime import date
from uuid import UUID

from kompetensnav_contracts.event import Event, fact


class DayAnnounced(Event):
    """An introduction day has been set, and there is room at it."""

    name = "introduktion.day.announced.v1"
    visibility = "pub"
    about = "day_id"
    summaries = {"sv": "Introduktionsdag {held_on}", "en": "Introduction day {held_on}"}

    day_id: UUID = fact("public", "The introduction day.")
    held_on: date = fact("public", "When it is held (ISO 8601).")
    places: int = fact("public", "How many can come.", ge=1)


class PlaceBooked(Event):
    """A placement's learner has a place at an introduction day."""

    name = "introduktion.place.booked.v1"
    about = "placement_id"
    summaries = {
        "sv": "Plats på introduktionsdag {held_on}",
        "en": "A place at the introduction day {held_on}",
    }

    placement_id: UUID = fact("reference", "The placement.")
    day_id: UUID = fact("public", "The introduction day.")
    held_on: date = fact("pseudonymous", "When the learner is to come (ISO 8601).")
