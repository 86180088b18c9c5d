"""Ages as the rules count them."""

from datetime import date

from kompetensnav_contracts.vocabulary import AgeClass


def age(born_on: date, on: date) -> int:
    """Whole years on a day."""
    return on.year - born_on.year - ((on.month, on.day) < (born_on.month, born_on.day))


def age_class(born_on: date, on: date) -> AgeClass:
    """Age class on a day: AFS 2012:3 (younger child under 13; youth from the year one turns 16 with
    compulsory school completed, here taken as the autumn of that year; adult from 18)."""
    years = age(born_on, on)
    if years >= 18:
        return AgeClass.ADULT
    if years < 13:
        return AgeClass.YOUNGER_CHILD
    turned = on.year - born_on.year
    left_school = turned > 16 or (turned == 16 and on.month >= 7)
    return AgeClass.YOUTH if left_school else AgeClass.OLDER_CHILD
