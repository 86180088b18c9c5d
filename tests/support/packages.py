"""What the packages of services say that they stand on."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def shared_by(service: str) -> set[str]:
    """The shared packages that a service needs."""
    project = tomllib.loads((ROOT / f"services/{service}/pyproject.toml").read_text())["project"]
    return {re.split(r"[>=<\[]", d)[0] for d in project["dependencies"] if d.startswith("kompetensnav-")}
