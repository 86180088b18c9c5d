"""A stack that is made once and copied at each start: every service's tables, and all keys.

It is made from the sources as they are, by a real start, and kept in `build/` until one of them changes. A
copy that is started does all that any start does and finds most of it done.
"""

import fcntl
import hashlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from kompetensnav_embedded import servers
from kompetensnav_embedded.stack import wait_until

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build/templates"
SOURCES = ("shared/*/kompetensnav_*", "services/*/kompetensnav_*", "deploy/*/kompetensnav_*")


def lay(folder: Path) -> None:
    """Gives a stack that has not been started yet the template's databases and keys."""
    made = template()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(made / "keys", folder / "keys")
    shutil.copy(made / "databases.json", folder)
    source, target = servers.reachable(made / "postgres"), servers.reachable(folder / "postgres")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)  # of an earlier run whose folder was called the same
    subprocess.run(["cp", "-a", source, target], check=True)


@cache
def template() -> Path:
    """The folder of the template, made unless it is there."""
    made = KEPT / _sources()
    with _alone():
        # the databases lie in a folder for what is temporary, which a machine may have cleared
        if not ((made / "complete").exists() and servers.reachable(made / "postgres").exists()):
            for old in KEPT.glob("*/"):
                shutil.rmtree(servers.reachable(old / "postgres"), ignore_errors=True)
                shutil.rmtree(old)
            _make(made)
            (made / "complete").touch()
    return made


def _make(folder: Path) -> None:
    log = folder.with_suffix(".log")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "kompetensnav", "up", "--folder", folder, "--ports", "0"],
            stdout=file, stderr=file,
        )  # fmt: skip
    try:
        wait_until(
            lambda: "Everything runs" in log.read_text(),
            "the template",
            seconds=120,
            log=log,
            process=process,
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def _alone() -> Iterator[None]:
    """One maker at a time; the others wait for what it makes."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sources() -> str:
    """What a stack is made from, as one short word."""
    seen = hashlib.sha256((ROOT / "requirements.lock").read_bytes())
    for path in sorted(p for pattern in SOURCES for p in ROOT.glob(f"{pattern}/**/*")):
        if path.is_file() and path.suffix in {".py", ".sql", ".toml", ".csv", ".json", ".txt"}:
            seen.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return seen.hexdigest()[:16]
