"""Agreements: who signs one about a placement, and whether everyone has."""

from collections.abc import Collection, Sequence

from typing_extensions import TypedDict

from kompetensnav_contracts.vocabulary import AgeClass, Party, PlacementType


class AgreedTerms(TypedDict, total=False):
    """What is agreed of a placement; times of day are HH:MM."""

    hours_per_week: float
    starts_at: str
    ends_at: str
    meals: str
    insured_by: str


class SignedAlready(Exception):
    """That party has signed these terms. | Den parten har redan skrivit under."""


class NotAParty(Exception):
    """That party does not sign this agreement. | Den parten skriver inte under avtalet."""


class NothingToUndo(Exception):
    """There is no amendment to undo. | Det finns ingen ändring att ångra."""


def kind_of(placement_type: str) -> str:
    """What the agreement is called: lärling has an education contract (Skollagen 16 kap 11 a §)."""
    return "education_contract" if placement_type == PlacementType.APPRENTICESHIP else "placement_agreement"


def signers(age: str) -> list[Party]:
    """The parties of a placement agreement: provider, workplace, and the learner or, for a minor, a
    guardian."""
    person = Party.LEARNER if age == AgeClass.ADULT else Party.GUARDIAN
    return [Party.PROVIDER, Party.EMPLOYER, person]


def places(must_sign: Sequence[str], second_signer: str | None) -> set[tuple[str, int]]:
    """(party, 1 or 2) of every signature that is needed."""
    return {(party, 1) for party in must_sign} | ({(second_signer, 2)} if second_signer else set())


def next_place(needed: Collection[tuple[str, int]], given: Collection[tuple[str, int]], party: str) -> int:
    """Which signature of a party comes next. Raises NotAParty or SignedAlready."""
    wanted = sorted(place for who, place in needed if who == party)
    if not wanted:
        raise NotAParty
    left = [place for place in wanted if (party, place) not in given]
    if not left:
        raise SignedAlready
    return left[0]
