"""People at work while a test does harm, and what they were promised held against what came of it."""

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kompetensnav_chassis.testing import eventually
from support.rig import Rig

TESTS = Path(__file__).parents[1]
RUNS = itertools.count(1)


class NotProven(AssertionError):
    """The people stopped by themselves, so nothing is proven."""


class People:
    """The load generator, a process of its own."""

    def __init__(self, run_file: Path, folder: Path, seed: int) -> None:
        self.asked, self.did = folder / f"asked-{seed}.jsonl", folder / f"did-{seed}.jsonl"
        self.asked.write_text("")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "support.load", run_file, self.asked, str(seed)],
            stdin=subprocess.PIPE, stdout=self.did.open("w"), text=True, cwd=TESTS,
        )  # fmt: skip

    def check(self) -> None:
        """Raises NotProven when they have stopped by themselves."""
        if self.process.poll() is not None:
            code = self.process.returncode
            raise NotProven(f"the load generator died (exit {code}): nothing is proven")

    def stop(self) -> None:
        """They finish what they are at. Raises NotProven."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        if code := self.process.wait(60):
            raise NotProven(f"the load generator died (exit {code}): nothing is proven")

    def outcomes(self) -> Counter[str]:
        """What they asked for, by what came of it."""
        return Counter(json.loads(line)["outcome"] for line in self.asked.read_text().splitlines())

    def acted_since(self, moment: float) -> int:
        """How much has succeeded since a moment on the monotonic clock."""
        lines = self.did.read_text().splitlines()
        return sum(json.loads(line)["at"] > moment for line in lines if line.endswith("}"))

    async def go_on(self, times: int = 3, seconds: float = 60) -> float:
        """Waits until so much more has succeeded; returns seconds until the first of it."""
        began = time.monotonic()

        async def look() -> bool:
            self.check()
            return self.acted_since(began) >= times

        await eventually(look, seconds)
        moments = [json.loads(line)["at"] for line in self.did.read_text().splitlines()]
        return float(min(at for at in moments if at > began)) - began


async def at_rest(rig: Rig, seconds: float = 120) -> None:
    """Waits until nothing waits."""
    await rig.stack.at_rest(seconds)


async def verdict(rig: Rig, *options: str) -> dict[str, Any]:
    """What `kompetensnav verify` says of the stack. Raises AssertionError when it could not look."""
    command = ("verify", "--json", "--mail", str(rig.stack.mail), *options)
    done = await asyncio.to_thread(rig.stack.run, *command)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def broken(told: dict[str, Any]) -> list[str]:
    """What a verdict says is wrong."""
    return [
        f"{line['invariant']} {line['outcome']}: {line['what']}: {', '.join(line['ids'][:3])}"
        for line in told["lines"]
        if line["outcome"] not in ("ok", "unknown")
    ]


@asynccontextmanager
async def people_at_work(rig: Rig, run_file: Path | None = None) -> AsyncIterator[People]:
    """People work while the block does harm; then all is healed, comes to rest, and is verified."""
    people = People(run_file or rig.stack.folder / "run.json", rig.stack.folder.parent, next(RUNS))
    try:
        await people.go_on(5)
        yield people
        rig.heal()
        await people.go_on(5)
    finally:
        rig.heal()
        people.stop()
    await at_rest(rig)
    told = await verdict(rig, "--asked", str(people.asked))
    assert broken(told) == [], broken(told)
    assert people.outcomes()["acked"] > 0
