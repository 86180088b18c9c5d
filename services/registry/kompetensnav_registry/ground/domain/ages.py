"""Ages as the rules count them."""

from datetime import date

from kompetensnav_contracts.vocabulary import AgeClass, PlacementType


def age(born_on: date, on: date) -> int:
    """Whole years on a day."""
    return on.year - born_on.year - ((on.month, on.day) < (born_on.month, born_on.day))


def age_class(born_on: date, on: date, *, in_compulsory_school: bool = False) -> AgeClass:
    """Age class on a day: AFS 2012:3 (younger child under 13; youth from the year one turns 16 with
    compulsory school completed, taken as the autumn of that year unless one is known to go there; adult from
    18)."""
    years = age(born_on, on)
    if years >= 18:
        return AgeClass.ADULT
    if years < 13:
        return AgeClass.YOUNGER_CHILD
    turned = on.year - born_on.year
    left_school = not in_compulsory_school and (turned > 16 or (turned == 16 and on.month >= 7))
    return AgeClass.YOUTH if left_school else AgeClass.OLDER_CHILD


COMPULSORY = {"GR", "GRS", "SP", "SAM"}
"""School forms of compulsory school, as in SS 12000."""


def in_compulsory_school(
    placement_type: str, school_form: str | None, study_year: int | None, on: date
) -> bool:
    """Whether somebody is known to go to compulsory school on a day. Prao is in it; the last grade is
    completed in the summer."""
    if placement_type == PlacementType.PRAO:
        return True
    if school_form not in COMPULSORY or study_year is None:
        return False
    return not (study_year >= 9 and on.month in (7, 8))
