"""What may be said of employers, workplaces and the people there; what is left out stays as it is."""

from datetime import date
from typing import TypedDict


class EmployerValues(TypedDict, total=False):
    """Of an employer."""

    name: str
    sector: str
    kind: str
    sni: str | None
    employees: int | None


class Whereabouts(TypedDict, total=False):
    """Where a workplace is: of a sole trader's this may be a home, and lies in the vault."""

    address: str | None
    postal_code: str | None
    latitude: float | None
    longitude: float | None


class WorkplaceValues(Whereabouts, total=False):
    """Of a workplace."""

    name: str
    locality: str
    reception_capacity: int
    cfar: str | None


class ContactValues(TypedDict, total=False):
    """Of someone to write to."""

    name: str
    email: str
    speaks: str
    title: str | None
    phone: str | None
    administration: str | None


class SupervisorValues(TypedDict, total=False):
    """Of a supervisor."""

    name: str
    email: str | None
    phone: str | None
    is_adult: bool
    in_the_tasks_since: date | None
    trained_by: str | None
    trained_on: date | None
    most_at_once: int
    languages: list[str]
    left_on: date | None


class DemandValues(TypedDict, total=False):
    """Of what an employer needs."""

    occupation: str
    number: int
    needed_by: date
    ended_on: date | None
