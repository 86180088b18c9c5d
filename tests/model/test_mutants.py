"""The checker is checked: every mutant of the protocol is caught, by the model test or by verify."""

from pathlib import Path

import pytest
from model.mutants import MUTANTS, by_model, by_verify, changed

pytestmark = [pytest.mark.anywhere, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]


def of(checker):
    """The mutants that a checker has to catch."""
    return pytest.mark.parametrize(
        "mutant", [m for m in MUTANTS if m.caught_by == checker], ids=lambda m: m.name
    )


def test_there_are_enough_mutants():
    assert len(MUTANTS) >= 12
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_what_a_mutant_breaks_is_there_once():
    """Said within a minute (`make quick`), not after the quarter of an hour that the mutants take."""
    gone = [m.name for m in MUTANTS if (ROOT / m.path).read_text().count(m.old) != 1]
    assert gone == []


@pytest.mark.slow
@of("model")
def test_the_model_test_catches(mutant, tmp_path):
    assert by_model(changed(mutant, tmp_path)), "no promise was broken"


@pytest.mark.slow
@pytest.mark.real
@of("verify")
def test_verify_catches(mutant, tmp_path):
    assert by_verify(changed(mutant, tmp_path)), "verify found nothing wrong"
