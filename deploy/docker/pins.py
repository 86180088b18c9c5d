"""What each image installs: the part of requirements.lock that its service needs, with the same hashes, and
the wheels of ours it is made of.

    python deploy/docker/pins.py write               requirements/<image>.lock, and common.lock: what all need
    python deploy/docker/pins.py wheels FROM TO      copies FROM/*.whl to TO/<image>/
"""

import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
OUT = Path(__file__).parent / "requirements"
IMAGES = {
    **{
        f.parent.name: [f"kompetensnav-{f.parent.name}"]
        for f in sorted(ROOT.glob("services/*/pyproject.toml"))
    },
    "operate": [
        "kompetensnav-chassis",
        "kompetensnav-topology",
        "kompetensnav-care",
        "kompetensnav-webhooks",
        "kompetensnav-issuer",
    ],
}
"""Image -> the packages of ours that it is for."""


def needed(packages: list[str]) -> set[str]:
    """The canonical names of all that these packages need to run, they themselves with it."""
    found: set[str] = set()
    todo = [Requirement(name) for name in packages]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while todo:
        one = todo.pop()
        key = (canonicalize_name(one.name), tuple(sorted(one.extras)))
        if key in seen:
            continue
        seen.add(key)
        found.add(key[0])
        for text in distribution(one.name).requires or ():
            need = Requirement(text)
            if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in ("", *one.extras)):
                todo.append(need)
    return found


def pins(lock: str) -> Iterator[tuple[str, str]]:
    """(canonical name, its lines) of each pin of a lock file."""
    for block in re.split(r"\n(?=\S)", lock.strip()):
        if not block.startswith("#"):
            yield canonicalize_name(re.split(r"[=\[ ]", block, maxsplit=1)[0]), block + "\n"


def files() -> dict[Path, str]:
    """Path -> text of every generated file."""
    lock = list(pins((ROOT / "requirements.lock").read_text()))
    made = {}
    for image, packages in IMAGES.items():
        names = needed(packages)
        missing = {n for n in names if not n.startswith("kompetensnav-")} - {name for name, _ in lock}
        if missing:
            sys.exit(f"requirements.lock lacks {', '.join(sorted(missing))} of {image}; run `make lock`")
        made[OUT / f"{image}.lock"] = "".join(text for name, text in lock if name in names)
    everywhere = set.intersection(*(needed(packages) for packages in IMAGES.values()))
    made[OUT / "common.lock"] = "".join(text for name, text in lock if name in everywhere)
    return made


def wheels(source: Path, to: Path) -> None:
    """Lays the wheels of each image in a folder of its own."""
    for image, packages in IMAGES.items():
        shutil.rmtree(to / image, ignore_errors=True)
        (to / image).mkdir(parents=True)
        for name in needed(packages):
            for wheel in source.glob(f"{name.replace('-', '_')}-*.whl"):
                shutil.copy(wheel, to / image)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write"]:
            for path, text in files().items():
                path.write_text(text)
        case ["wheels", source, to]:
            wheels(Path(source), Path(to))
        case _:
            sys.exit(__doc__)
