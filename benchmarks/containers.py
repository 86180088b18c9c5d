"""The stack in containers: seconds from images present to healthy, beside NATS and PostgreSQL alone, and what
all of it takes of memory when idle (PSS, without Prometheus).

    make images && python benchmarks/containers.py
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from footprint import pss

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
SERVICES = "registry,matching,notifications,reporting,issuer,mail"
GOAL_SECONDS, GOAL_MB = 30, 1200
REST = 20
"""Seconds that the stack is left alone before its memory is read."""


class Stack:
    """A stack of its own, with nothing in its volumes."""

    def __init__(self, profiles: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kn-bench-", dir="/var/tmp"))
        shutil.copytree(ROOT / "deploy/prometheus", self.folder / "deploy/prometheus")
        secrets = self.folder / ".kompetensnav/compose"
        made = [BIN / "kompetensnav", "topology", "containers", "--out", secrets]
        subprocess.run(made, check=True, capture_output=True)
        self._environment = os.environ | {"COMPOSE_PROFILES": profiles}

    def compose(self, *arguments: str) -> str:
        """`docker compose ...`; what it printed."""
        at = ("--project-directory", self.folder, "-f", ROOT / "compose.yaml", "-p", self.folder.name)
        done = subprocess.run(
            [BIN / "docker-compose", *at, *arguments], env=self._environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(done.stderr)
        return done.stdout

    def up(self, *parts: str) -> float:
        """Seconds until all of it is healthy."""
        began = time.monotonic()
        self.compose("up", "-d", "--wait", "--no-build", *parts)
        return time.monotonic() - began

    def down(self) -> None:
        """Nothing is left."""
        self.compose("down", "--volumes", "--timeout", "10")
        shutil.rmtree(self.folder)

    def memory(self) -> dict[str, float]:
        """Part -> PSS of its processes in MB."""
        found = {}
        for part in self.compose("ps", "--services").split():
            id = self.compose("ps", "-q", part).strip()
            listed = subprocess.run(
                ["docker", "top", id, "-o", "pid"], capture_output=True, text=True, check=True
            ).stdout.split()[1:]
            found[part] = sum(pss(pid) for pid in listed)
        return found


def main() -> None:
    """Measures and prints."""
    print(f"machine: {os.cpu_count()} cores, Python {platform.python_version()}")
    bare = Stack("")
    alone = bare.up("nats", "postgres")
    bare.down()
    stack = Stack(SERVICES)
    try:
        first = stack.up()
        stack.compose("stop", "--timeout", "10")
        again = stack.up()
        time.sleep(REST)
        memory = stack.memory()
    finally:
        stack.down()
    print(f"NATS and PostgreSQL alone, empty    {alone:6.1f} s")
    print(f"the whole stack, empty              {first:6.1f} s   goal {GOAL_SECONDS}   {first / alone:.1f} x")
    print(f"the whole stack, stopped before     {again:6.1f} s")
    for part, size in sorted(memory.items(), key=lambda item: -item[1]):
        print(f"{part:16} {size:8.1f} MB")
    print(f"{'together':16} {sum(memory.values()):8.1f} MB   goal {GOAL_MB}")


if __name__ == "__main__":
    main()
