"""What `make` runs is what it says: no command is empty, and tests end with whoever has asked for them."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNS = {
    "test": "-m pytest -n 3 --dist loadscope", "quick": "-m pytest -n 3 --dist loadscope",
    "check-rules": "-m pytest tests/architecture", "model": "-m pytest tests/model",
    "screenshots": "-m pytest tests/console", "soak": "tests/faults/soak.py",
    "mutants": "tests/model/mutants.py",
}  # fmt: skip


@pytest.mark.parametrize("target", RUNS)
def test_a_target_runs_what_it_is_for_tied_to_make(target):
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    said = subprocess.run(
        ["make", "-n", "-o", ".venv/ready", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=bare,
        check=True,
    ).stdout
    tied = rf"\.venv/bin/python -m kompetensnav_embedded\.tether \.venv/bin/python {re.escape(RUNS[target])}"
    assert re.search(tied, said), said


def test_every_target_of_the_help_is_one_that_makes_something():
    text = (ROOT / "Makefile").read_text()
    named = re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE)
    phony = " ".join(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)).split()
    assert set(named) <= set(phony)
