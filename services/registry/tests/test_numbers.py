"""Persons' numbers in a text: found and blotted out however they are written, and nothing else is."""

import pytest

from kompetensnav_registry.ground.edges.numbers import masked, personal_parts


@pytest.mark.parametrize(
    "text",
    ["19811228-9874-1", "198112289874/2", "640823-3234.5", "640823–3234", "19811228-9874/19640823-3234"],
)
def test_a_number_is_found_whatever_follows_it(text):
    assert {part.what for part in personal_parts(text)} >= {"number"}
    assert "9874" not in masked(text)
    assert "3234" not in masked(text)


@pytest.mark.parametrize("text", ["2027-03-01 - 2027-03-26", "Order 1234567890", "org.nr 556036-0793"])
def test_days_and_other_numbers_may_stand(text):
    assert personal_parts(text) == []
