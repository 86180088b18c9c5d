"""The rules, with nothing around them."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st
from pitea_introduktion.domain import PLACES, day_before, has_room


def test_a_placement_that_begins_on_a_monday_has_its_day_on_the_wednesday_before():
    assert day_before(date(2027, 2, 1)) == date(2027, 1, 27)


@given(st.dates(min_value=date(2020, 1, 1)))
def test_the_day_is_a_wednesday_three_to_eleven_days_before(starts_on):
    day = day_before(starts_on)
    assert day.weekday() == 2
    assert 3 <= (starts_on - day).days <= 11


def test_a_day_has_so_many_places():
    assert has_room(PLACES - 1)
    assert not has_room(PLACES)
