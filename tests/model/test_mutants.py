"""The checker is checked: every mutant of the protocol is caught, by the model test or by verify."""

import pytest
from model.mutants import MUTANTS, by_model, by_verify, changed

pytestmark = [pytest.mark.slow, pytest.mark.anywhere, pytest.mark.timeout(300)]


def of(checker):
    """The mutants that a checker has to catch."""
    return pytest.mark.parametrize(
        "mutant", [m for m in MUTANTS if m.caught_by == checker], ids=lambda m: m.name
    )


def test_there_are_enough_mutants():
    assert len(MUTANTS) >= 12
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@of("model")
def test_the_model_test_catches(mutant, tmp_path):
    assert by_model(changed(mutant, tmp_path)), "no promise was broken"


@pytest.mark.real
@of("verify")
def test_verify_catches(mutant, tmp_path):
    assert by_verify(changed(mutant, tmp_path)), "verify found nothing wrong"
