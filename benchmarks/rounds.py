"""A round in the service: how long a draft takes, reasons for all included; from its approval to the last
seat reserved; and from a learner's no to the repair that answers it.

    python benchmarks/rounds.py [LEARNERS ...]

Each size is a whole stack of its own with the demonstration's municipalities, seats at 1.3 a learner.
"""

import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from kompetensnav_embedded.demo import story
from kompetensnav_embedded.demo.norrbotten import norrbotten

BIN = Path(sys.executable).parent
GOALS = {2_700: (5, 10), 11_000: (10, 30)}
"""Seconds for the draft, and from approval to the last seat."""


async def measured(running: dict[str, Any], learners: int) -> str:
    """A row of the table."""
    data = norrbotten(learners=learners)
    story._environment.update(
        os.environ | {"KOMPETENSNAV_RUN": str(Path(running["databases"]).parent / "run.json")}
    )
    async with httpx.AsyncClient(timeout=300, limits=httpx.Limits(max_connections=20)) as client:
        told = story.Story(running, data, 0, client)
        await told.log_in()
        await told.bring_in(lambda done, of: None)
        await told.rest(lambda done, of: None)
        began = time.perf_counter()
        drafted = await told.draft()
        draft = time.perf_counter() - began
        began = time.perf_counter()
        matches = await told.approve(drafted["round_id"])
        answered = time.perf_counter() - began
        url = json.loads(Path(running["databases"]).read_text())["matching"]["care"]
        connection = await asyncpg.connect(url)
        waiting = "select count(*) from proposal where round_id = $1 and state = 'approved'"
        while await connection.fetchval(waiting, drafted["round_id"]):
            await asyncio.sleep(0.1)
        reserved = time.perf_counter() - began
        await told.rest(lambda done, of: None)
        repairs = [await repaired(told, connection) for _ in range(20)]
        await connection.close()
    goals = GOALS.get(learners, ("-", "-"))
    return (
        f"| {learners:,} x {drafted['seats']:,} | {matches:,} | {draft:.2f} | {goals[0]} | {answered:.2f}"
        f" | {reserved:.2f} | {goals[1]} | {statistics.median(repairs):.3f} |"
    )


async def repaired(told: story.Story, connection: asyncpg.Connection) -> float:
    """Seconds from a no, answered over HTTP, to the repair draft that has heard of it."""
    revisions = "select coalesce(sum(revision), 0) from round where repairs is not null"
    before = await connection.fetchval(revisions)
    for code in told.data.municipalities:
        page = await told.call("GET", "registry", f"/{code}/offers?state=open&limit=1")
        if page["items"]:
            break
    offer = page["items"][0]["offer_id"]
    began = time.perf_counter()
    await told.call("POST", "registry", f"/{code}/offers/{offer}/decline", json={"party": "learner"})
    while await connection.fetchval(revisions) == before:
        await asyncio.sleep(0.002)
    return time.perf_counter() - began


def run(learners: int) -> str:
    """Starts a stack, measures, and stops it."""
    folder = Path(tempfile.mkdtemp(prefix="kn-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    log = folder / "log"
    process = subprocess.Popen(
        [BIN / "kompetensnav", "up", "--folder", folder / "stack", "--ports", "0"], stdout=log.open("wb")
    )
    try:
        while "Everything runs" not in log.read_text():
            if process.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.2)
        return asyncio.run(measured(json.loads((folder / "stack/run.json").read_text()), learners))
    finally:
        process.terminate()
        process.wait(60)


def main() -> None:
    """Prints the table."""
    sizes = [int(arg) for arg in sys.argv[1:]] or list(GOALS)
    print(f"machine: {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(
        "| learners x seats | matches | draft s | goal | approved s | last seat s | goal | a no repaired s |"
    )
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for learners in sizes:
        print(run(learners), flush=True)


if __name__ == "__main__":
    main()
