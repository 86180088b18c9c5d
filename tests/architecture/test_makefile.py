"""What `make` runs is what it says: no command is empty, and tests end with whoever has asked for them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNS = {
    "test": "-m pytest -n 3 --dist loadscope", "quick": "-m pytest -n 3 --dist loadscope",
    "check-rules": "-m pytest tests/architecture", "model": "-m pytest tests/model",
    "screenshots": "-m pytest tests/console", "soak": "tests/faults/soak.py",
    "mutants": "tests/model/mutants.py",
}  # fmt: skip


def made(*arguments):
    """What `make` prints, as from a shell, also where these tests were begun by another one."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", *arguments], cwd=ROOT, capture_output=True, text=True, env=bare, check=True
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize("target", RUNS)
def test_a_target_runs_what_it_is_for_tied_to_make(target):
    said = made("-n", "-o", ".venv/ready", target)
    tied = rf"\.venv/bin/python -m kompetensnav_embedded\.tether \.venv/bin/python {re.escape(RUNS[target])}"
    assert re.search(tied, said), said


def test_every_target_of_the_help_is_one_that_makes_something():
    text = (ROOT / "Makefile").read_text()
    named = re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE)
    phony = " ".join(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)).split()
    assert set(named) <= set(phony)


def test_the_help_is_in_groups_and_leaves_none_out():
    said = made("help")
    first, *groups = said.split("\n\n")
    assert first.split()[:2] == ["make", "help"]
    shown = [line.split()[1] for group in groups for line in group.splitlines()[1:]]
    named = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(shown) == sorted(set(named) - {"help"})
    assert all(group[0].isupper() and 2 <= len(group.splitlines()) <= 8 for group in groups)


@pytest.mark.parametrize(("fails", "status"), [("nothing", 0), ("check", 3), ("soak", 3)])
def test_a_run_of_everything_ends_well_only_if_every_stage_did(tmp_path, fails, status):
    """The run as it is, with a `make` that does nothing, and no container engine."""
    for path in (".ci/run", "deploy/embedded/kompetensnav_embedded/tether.py"):
        (tmp_path / "main" / path).parent.mkdir(parents=True)
        shutil.copy(ROOT / path, tmp_path / "main" / path)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "make").write_text(f'#!/bin/sh\necho made "$@"\n[ "$1" != {fails} ] || exit 3\n')
    (tools / "docker").write_text("#!/bin/sh\nexit 1\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    ran = subprocess.run(
        ["bash", tmp_path / "main/.ci/run"],
        env=os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == status, ran.stdout + ran.stderr
    assert ("made demo" in ran.stdout and "Stages and their budgets" in ran.stdout) == (status == 0)
