"""Free text comes in through here."""

from kompetensnav_chassis.errors import Problem
from kompetensnav_registry.ground.domain import texts
from kompetensnav_registry.ground.edges.numbers import personal_parts


class PersonalText(Problem):
    """A free text holds something personal."""

    type, status = "personal-text", 422


def check(field: str, text: str | None) -> None:
    """Raises PersonalText for a text with a person's number, a phone number or an address, with the place of
    each and the field it may be moved to."""
    found = personal_parts(text or "")
    if found:
        raise PersonalText(
            "The text holds something personal. Take it out, or move it to the field that is named.",
            "Texten innehåller personuppgifter. Ta bort dem, eller flytta dem till fältet som anges.",
            errors=texts.faults(field, found),
        )
