"""The soak: people work while the stack is struck again and again; then every promise is verified.

    make soak [KILLS=200] [SEED=1]

The strikes are drawn from the seed alone, so a run that failed can be run again. Each waits until what was
struck works again; how long that took is measured to the next success: a service answers a request that reads
its database, NATS takes an event, PostgreSQL takes a write. At the end the stack is left alone until nothing
waits, and `kompetensnav verify` holds it to what was acknowledged. The result is build/soak/result.json.
"""

import argparse
import asyncio
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from rich.console import Console
from rich.table import Table

from support.console import AUDIENCE
from support.people import People, at_rest, verdict
from support.processes import tie_children
from support.proxy import DOWN, UP
from support.rig import SERVICES, Rig, rig

ROOT = Path(__file__).parents[2]
READS = {
    "registry": "2580/slots",
    "matching": "2580/rounds",
    "notifications": "2580/messages",
    "reporting": "2580/reports/placements",
    "operations": "api/dead-letters",
}
KILLS = {**dict.fromkeys(SERVICES, 4), "nats": 12, "postgres": 6}
"""What is killed how often, of a hundred strikes or so."""
CUTS = ("cut", "reset", "hang", "one-way", "slow", "loss")


@dataclass(frozen=True)
class Strike:
    """One act of harm: `kill` or `freeze` a part, or do something to the connections to a server."""

    how: str
    part: str
    seconds: float


def plan(kills: int, seed: int) -> list[Strike]:
    """The strikes of a seed."""
    chance = random.Random(seed)
    made = []
    for _ in range(kills):
        if chance.random() < 0.4:
            part = chance.choices(list(KILLS), list(KILLS.values()))[0]
            made.append(Strike("kill", part, 0))
        elif chance.random() < 0.1:
            made.append(Strike("freeze", chance.choice(SERVICES), chance.uniform(0.5, 7)))
        else:
            part = chance.choice(("nats", "postgres"))
            made.append(Strike(chance.choice(CUTS), part, chance.uniform(0.1, 1.2)))
    return made


class Soak:
    """One run."""

    def __init__(self, rig: Rig, people: People) -> None:
        self.rig, self.people = rig, people
        self.client = httpx.AsyncClient(timeout=2)
        self.recovered: dict[str, list[float]] = defaultdict(list)
        self.struck: Counter[str] = Counter()

    async def strike(self, strike: Strike) -> None:
        """Does harm, and waits until what was struck works again."""
        self.people.check()
        self.struck[strike.how] += 1
        began = time.monotonic()
        if strike.how == "kill":
            await self.rig.kill(strike.part)
        elif strike.how == "freeze":
            self.rig.signal(strike.part, signal.SIGSTOP)
            await asyncio.sleep(strike.seconds)  # so long the fault lasts; nothing is waited for
            self.rig.signal(strike.part, signal.SIGCONT)
        else:
            await self._disturb(strike)
        healed = began if strike.how == "kill" else time.monotonic()
        await self._works(strike, healed)
        self.recovered[f"{strike.how} {strike.part}"].append(time.monotonic() - healed)

    async def _disturb(self, strike: Strike) -> None:
        between = self.rig.proxies[strike.part]
        match strike.how:
            case "cut":
                between.cut = True
                between.reset()
            case "reset":
                between.reset()
            case "hang":
                between.hold(UP, DOWN)
            case "one-way":
                between.hold(DOWN)
            case "slow":
                between.latency = 0.05
            case "loss":
                between.loss = 0.2
        await asyncio.sleep(strike.seconds)  # so long the fault lasts; nothing is waited for
        between.heal()

    async def _works(self, strike: Strike, healed: float) -> None:
        """Returns at the first success after the strike. Raises AssertionError after a minute without one."""
        probe = self._publishes if strike.part == "nats" else self._writes
        if strike.part in SERVICES:
            probe = self._answers
        while not await probe(strike.part, healed):
            if time.monotonic() - healed > 60:
                raise AssertionError(f"{strike.part} did not recover within a minute of: {strike.how}")
            await asyncio.sleep(0.02)  # how finely a recovery is measured

    async def _answers(self, service: str, _: float) -> bool:
        url = f"{self.rig.stack.running['services'][service]}/{READS[service]}"
        whom = AUDIENCE if service == "operations" else ""
        token = self.rig.stack.token("coordinator", "viewer", municipalities=("2580",), audience=whom)
        try:
            answered = await self.client.get(url, headers={"authorization": f"Bearer {token}"})
        except httpx.HTTPError:
            return False
        if answered.status_code in (401, 403, 404):
            raise AssertionError(f"{url} is no probe: {answered.status_code}")
        return answered.is_success

    async def _publishes(self, _: str, healed: float) -> bool:
        seconds = time.monotonic() - healed
        try:
            (row,) = await self.rig.stack.sql(
                "registry",
                "select coalesce(max(published_at) > now() - $1 * interval '1 second', false) told"
                " from outbox",
                seconds,
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return bool(row["told"])

    async def _writes(self, _: str, __: float) -> bool:
        url = f"{self.rig.stack.running['services']['registry']}/2580/imports/employers"
        token = self.rig.stack.token("coordinator", municipalities=("2580",))
        headers = {"authorization": f"Bearer {token}", "content-type": "text/csv"}
        text = "org_number,name,sector\n5560360793,Bolaget,private\n"
        try:
            return (await self.client.post(url, content=text, headers=headers)).is_success
        except httpx.HTTPError:
            return False


async def soak(kills: int, seed: int, out: Path, work: float = 0) -> dict[str, Any]:
    """Strikes a stack so many times, while people work so many seconds at least; returns the result. Raises
    AssertionError when it cannot go on or does not end as it must."""
    with tempfile.TemporaryDirectory() as folder:
        async with rig(Path(folder) / "stack", seed=seed) as made:
            people = People(made.stack.folder / "run.json", out, seed)
            run = Soak(made, people)
            try:
                await people.go_on(5)
                began = time.monotonic()
                for number, strike in enumerate(plan(kills, seed), 1):
                    await run.strike(strike)
                    if number % 25 == 0:
                        print(f"{number} strikes in {time.monotonic() - began:.0f} s", flush=True)
                await asyncio.sleep(max(0.0, began + work - time.monotonic()))  # people work so long
                seconds = time.monotonic() - began
            finally:
                made.heal()
                people.stop()
            await at_rest(made, 180)
            return _result(run, await verdict(made, "--asked", str(people.asked)), seed, seconds)


def _result(run: Soak, told: dict[str, Any], seed: int, seconds: float) -> dict[str, Any]:
    outcomes = run.people.outcomes()
    wrong = Counter()
    for line in told["lines"]:
        wrong[line["outcome"]] += len(line["ids"])
    killed = [s for what, times in run.recovered.items() if what.startswith("kill") for s in times]
    return {
        "acked": outcomes["acked"],
        "refused": outcomes["refused"],
        "lost": wrong["lost"],
        "duplicated": wrong["duplicated"],
        "phantom": wrong["phantom"],
        "unexpected": wrong["unexpected"],
        "unknown": outcomes["unknown"],
        "violations": told["violations"],
        "broken": [line for line in told["lines"] if line["outcome"] not in ("ok", "unknown")],
        "events": told["events"],
        "kills": run.struck["kill"],
        "cuts": run.struck.total() - run.struck["kill"],
        "recovery_p50_s": _quantile(killed, 0.5),
        "recovery_p95_s": _quantile(killed, 0.95),
        "recovery": {
            what: {"times": len(times), "p50_s": _quantile(times, 0.5), "p95_s": _quantile(times, 0.95)}
            for what, times in sorted(run.recovered.items())
        },
        "seed": seed,
        "seconds": round(seconds, 1),
    }


def _quantile(values: list[float], q: float) -> float:
    """The q-quantile, rounded; 0 when there is none."""
    if not values:
        return 0.0
    if len(values) == 1:
        return round(values[0], 2)
    return round(statistics.quantiles(values, n=100, method="inclusive")[round(q * 100) - 1], 2)


def _print(result: dict[str, Any]) -> None:
    table = Table("strike", "times", "recovery p50", "p95", title=f"Soak, seed {result['seed']}")
    for what, times in result["recovery"].items():
        table.add_row(what, str(times["times"]), f"{times['p50_s']:.2f} s", f"{times['p95_s']:.2f} s")
    Console().print(table)
    told = ("kills", "cuts", "acked", "unknown", "lost", "duplicated", "phantom", "unexpected", "violations")
    print(", ".join(f"{result[name]} {name}" for name in told), f"over {result['events']:,} events")
    for line in result["broken"]:
        print(f"  {line['invariant']} {line['outcome']}: {line['what']}: {', '.join(line['ids'][:3])}")


def main() -> None:
    """The command line; exit 1 when a promise was broken or nothing could be proven."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--work", type=float, default=0, help="Seconds that people work, at least.")
    options.add_argument("--out", type=Path, default=ROOT / "build/soak")
    chosen = options.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    tie_children()
    try:
        result = asyncio.run(soak(chosen.kills, chosen.seed, chosen.out, chosen.work))
    except AssertionError as why:
        again = f"make soak KILLS={chosen.kills} SEED={chosen.seed}"
        sys.exit(f"The soak failed: {why}. Run it again with `{again}`.")
    (chosen.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    _print(result)
    if result["violations"]:
        sys.exit(f"{result['violations']} violation(s); `make soak KILLS={chosen.kills} SEED={chosen.seed}`")


if __name__ == "__main__":
    main()
