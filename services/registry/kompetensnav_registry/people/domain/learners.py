"""What may be said of a learner."""

from datetime import date
from typing import TypedDict


class LearnerValues(TypedDict, total=False):
    """Of a learner; what is left out stays as it is."""

    ref: str | None
    school: str
    given_name: str
    family_name: str
    email: str | None
    guardian_email: str | None
    phone: str | None
    address: str | None
    postal_code: str | None
    born_on: date
    programme: str | None
    study_year: int | None
    aims_at: str | None
    finishes_on: date | None
    locality: str
    language: str
    speaks: str
    security_marking: str
    case_worker: str | None
    left_on: date | None
