"""The operations console: how far its screen is behind, how soon it lists and finds, what it costs. The
peer, in the same run, is the same question asked without it: plain SQL, or the broker itself.

python benchmarks/console.py [EVENTS]
"""

import asyncio
import contextlib
import gzip
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from nats.js.api import ConsumerConfig
from playwright.async_api import async_playwright

from kompetensnav_pages.assets import STYLES
from support.console import ALL, Console
from support.receiver import receiver
from support.rig import rig

CONSUMERS = 100
DEAD_LETTERS = 10_000
FILL_DEAD_LETTERS = """
insert into dead_letter (seq, consumer, stream, origin_seq, subject, event_id, type, refs, reason, error,
 fingerprint, died_at, deliveries, size, state)
select n, 'matching-registry', 'INT_LOCAL', n, 'nav.x', gen_random_uuid()::text, 'registry.slot.posted.v1',
 array[gen_random_uuid()::text, gen_random_uuid()::text], 'failed', 'DBAPIError',
 md5((n % 20)::text)::char(12), now() - n * interval '1 second', 6, 400, 'waiting'
 from generate_series(1000000, 1000000 + $1::int - 1) n
"""
FILL_EVENTS = """
insert into seen (stream, seq, at, subject, refs)
select 'PUB_OLD', n, now() - n * interval '1 second', 'nav.2580.pub.registry.slot.offered.v1',
 array[gen_random_uuid()::text, gen_random_uuid()::text, gen_random_uuid()::text, md5((n / 5)::text)]
from generate_series(1, $1::int) n
"""


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    return sorted(values)[max(0, round(0.95 * len(values)) - 1)]


async def timed(what: Callable[[], Awaitable[Any]], times: int = 20) -> float:
    """p95 of milliseconds."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        await what()
        found.append((time.perf_counter() - began) * 1000)
    return p95(found)


def row(what: str, value: float, goal: float, unit: str, peer: float | None, whose: str) -> None:
    """A line of the table."""
    ratio = f"{value / peer:8.1f}" if peer else " " * 8
    shown = f"{peer:10.1f}" if peer is not None else " " * 10
    print(f"{what:44} {value:10.1f} {goal:8.0f} {unit:4} {shown} {ratio}  {whose}", flush=True)


async def listing(console: Console, client: httpx.AsyncClient, events: int) -> None:
    """10,000 dead letters listed, and a million events searched."""
    sql = console.rig.stack.sql
    await sql("operations", FILL_DEAD_LETTERS, DEAD_LETTERS, role="owner")
    await sql("operations", "analyze dead_letter", role="owner")
    mine = await timed(lambda: client.get("/dead-letters"))
    plain = (
        "select * from dead_letter where state = 'waiting'"
        " order by died_at desc, dead_letter_id desc limit 50"
    )
    theirs = await timed(lambda: sql("operations", plain))
    row(f"{DEAD_LETTERS:,} dead letters listed, page, p95", mine, 500, "ms", theirs, "plain SQL")
    await sql("operations", FILL_EVENTS, events, role="owner")
    await sql("operations", "analyze seen", role="owner")
    (one,) = await sql("operations", "select refs[1] r from seen where seq = $1", events // 2)
    mine = await timed(lambda: client.get("/search", params={"text": one["r"]}))
    plain = "select * from seen where refs @> array[$1]::text[]"
    theirs = await timed(lambda: sql("operations", plain, one["r"]))
    row(f"search in {events:,} events, page, p95", mine, 1000, "ms", theirs, "plain SQL")


async def behind(console: Console) -> None:
    """From when the broker knows to when the screen shows it."""
    topology = await console.rig.stack.nats("topology")
    js = topology.jetstream()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = await (await browser.new_context(locale="sv-SE")).new_page()
        await page.goto(console.url)
        await page.click("button")
        await page.wait_for_url(console.url + "/")
        cell = page.locator('td[data-waiting="INT_LOCAL/many-7"]')
        await cell.wait_for(timeout=30_000)
        seconds, peers = [], []
        for n in range(1, 31):
            before = (await js.consumer_info("INT_LOCAL", "many-7")).num_pending or 0
            began = time.perf_counter()
            await console.tell("1256")
            while ((await js.consumer_info("INT_LOCAL", "many-7")).num_pending or 0) == before:
                pass
            known = time.perf_counter()
            peers.append(known - began)
            while int((await cell.inner_text()).replace("\xa0", "")) <= before:
                await page.wait_for_timeout(20)
            seconds.append(time.perf_counter() - known)
            await asyncio.sleep(0.37 * (n % 3))
        await browser.close()
    await topology.close()
    row("screen behind the broker, p95 of 30", p95(seconds), 2, "s", p95(peers), "the broker's own answer")


async def cost(console: Console) -> None:
    """CPU of the console while it looks at 100 consumers and nothing happens."""
    pid = console.rig.pid("operations")

    def used() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before, began = used(), time.monotonic()
    await asyncio.sleep(60)
    share = (used() - before) / (time.monotonic() - began) * 100
    row(f"CPU with {CONSUMERS} consumers, of a core", share, 3, "%", None, "")


async def weight(client: httpx.AsyncClient) -> None:
    """What a first visit to the overview fetches, compressed."""
    page = await client.get("/", headers={"accept-encoding": "gzip"})
    parts = {"page": len(gzip.compress(page.content))}
    for path in (*STYLES, "vendor/htmx.js", "icon.svg"):
        parts[path] = len(gzip.compress((await client.get(f"/static/{path}")).content))
    row("first visit, compressed", sum(parts.values()) / 1000, 150, "kB", None, "")
    row("scripts, compressed", parts["vendor/htmx.js"] / 1000, 50, "kB", None, "")


async def main(events: int) -> None:
    """Starts a stack, fills it, measures and prints."""
    folder = Path(tempfile.mkdtemp(prefix="kn-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    print(f"machine: {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{'':44} {'measured':>10} {'goal':>8} {'':4} {'peer':>10} {'ratio':>8}")
    with receiver() as hook, contextlib.suppress(asyncio.CancelledError):
        async with rig(folder / "stack", through=()) as made:
            console = Console(made, hook, folder)
            topology = await made.stack.nats("topology")
            for n in range(CONSUMERS):
                config = ConsumerConfig(durable_name=f"many-{n}", filter_subject="nav.1256.int.>")
                await topology.jetstream().add_consumer("INT_LOCAL", config)
            await topology.close()
            await asyncio.sleep(10)
            await cost(console)
            headers = {"authorization": f"Bearer {console.token(*ALL)}"}
            async with httpx.AsyncClient(base_url=console.url, headers=headers, timeout=60) as client:
                await weight(client)
                await behind(console)
                await listing(console, client, events)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
