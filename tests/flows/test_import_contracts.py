"""The import contracts hold, and a breach of one is found."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

BREACHES = {
    "services are strangers": (
        "services/reporting/kompetensnav_reporting/domain.py",
        "import kompetensnav_matching.domain",
    ),
    "domain rules know neither wire, clock nor database": (
        "services/registry/kompetensnav_registry/ledger/domain/ledger.py",
        "import sqlalchemy",
    ),
    "contracts need nothing but pydantic": (
        "shared/contracts/kompetensnav_contracts/subject.py",
        "import nats",
    ),
    "inside a service": (
        "services/matching/kompetensnav_matching/tables.py",
        "import kompetensnav_matching.api",
    ),
    "the registry in slices": (
        "services/registry/kompetensnav_registry/ledger/actions/slots.py",
        "import kompetensnav_registry.people.actions.learners",
    ),
    "inside a slice": (
        "services/registry/kompetensnav_registry/actors/actions/needs.py",
        "import kompetensnav_registry.actors.api.needs",
    ),
    "the tools of deploy/": (
        "deploy/care/kompetensnav_care/counts.py",
        "import kompetensnav_registry.tables",
    ),
}


@pytest.mark.parametrize("wall", BREACHES)
def test_a_hole_in_a_wall_is_found(wall, tmp_path):
    house = tmp_path / "house"
    wanted = shutil.ignore_patterns(".git", ".venv", ".kompetensnav", "build", "node_modules", ".*_cache")
    shutil.copytree(ROOT, house, ignore=wanted)
    where, line = BREACHES[wall]
    broken = house / where
    broken.write_text(broken.read_text() + f"\n{line}\n")
    packages = [str(p.parent.parent) for p in house.glob("*/*/kompetensnav_*/__init__.py")]
    done = subprocess.run(
        [BIN / "python", "-c",
         f"import sys; sys.path[:0] = {packages}; from importlinter.cli import lint_imports;"
         " sys.exit(lint_imports(no_cache=True))"],
        cwd=house, capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = " ".join(done.stdout.lower().split())
    assert done.returncode == 1, done.stdout + done.stderr
    assert wall in told.partition("broken contracts")[2], "the wall itself is named as broken"
