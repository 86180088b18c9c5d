"""What one machine holds: 290 municipalities tell 500 events a second for a while, every listener listens.

    python benchmarks/scale.py [--rate 500] [--seconds 60]

Beside it, in the same run: the same events told at once, as fast as the broker takes them and the listeners
hear them. From the bytes that an event takes on disk follows what a year of 25 million takes.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import nats
from rebuild import BIN, heard, told

from kompetensnav_chassis.identity import municipalities
from kompetensnav_chassis.testing import headers_of
from kompetensnav_contracts import subject

YEAR = 25_000_000


async def tell(running: dict[str, Any], number: int, rate: float) -> float:
    """Tells so many events of all municipalities at a rate (0 = at once); returns seconds."""
    seed = Path(running["care_seed"]).with_name("registry.nk").read_text()
    connection = await nats.connect(running["nats"], nkeys_seed_str=seed, inbox_prefix="_INBOX_registry")
    js, codes = connection.jetstream(), sorted(municipalities())
    began, waiting = time.monotonic(), set()
    for n, (event, revision) in enumerate(told(number)):
        code = codes[event.slot_id.int % len(codes)]
        headers = headers_of(event, municipality=code, source="urn:kompetensnav:registry", revision=revision)
        headers |= {"Nats-Msg-Id": headers["ce-id"]}
        body = event.model_dump_json().encode()
        waiting.add(asyncio.ensure_future(js.publish(subject(event, code), body, headers=headers)))
        if len(waiting) >= 400:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if rate:
            await asyncio.sleep(max(0.0, began + n / rate - time.monotonic()))
    await asyncio.wait(waiting)
    await connection.close()
    return time.monotonic() - began


async def behind(running: dict[str, Any], ended: asyncio.Event) -> dict[str, int]:
    """The most that each consumer had waiting."""
    most: dict[str, int] = {}
    connection = await nats.connect(running["nats"], nkeys_seed_str=Path(running["care_seed"]).read_text())
    while not ended.is_set():
        for info in await connection.jetstream().consumers_info("INT_LOCAL"):
            waits = (info.num_pending or 0) + (info.num_ack_pending or 0)
            most[info.name] = max(most.get(info.name, 0), waits)
        await asyncio.sleep(0.5)
    await connection.close()
    return most


async def run(rate: float, seconds: float) -> None:
    """Measures, and prints."""
    number = int(rate * seconds)
    print(f"{platform.machine()}, {os.cpu_count()} cores; {len(municipalities())} municipalities", flush=True)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as at:
        folder, log = Path(at) / "stack", Path(at) / "log"
        command = [BIN / "kompetensnav", "up", "--folder", folder, "--ports", "0"]
        process = subprocess.Popen(command, stdout=log.open("wb"))
        try:
            while "Everything runs" not in log.read_text():
                await asyncio.sleep(0.2)
            running = json.loads((folder / "run.json").read_text())
            ended = asyncio.Event()
            watching = asyncio.create_task(behind(running, ended))
            took = await tell(running, number, rate)
            told_at = time.monotonic()
            await heard(running)
            after = time.monotonic() - told_at
            ended.set()
            most = max((await watching).items(), key=lambda each: each[1])
            print(
                f"{number:,} events at {number / took:,.0f}/s: all heard {after:.1f} s after the last; most"
                f" behind was {most[0]} with {most[1]:,}",
                flush=True,
            )
            began = time.monotonic()
            took = await tell(running, number, 0)
            await heard(running)
            print(
                f"the same at once: told in {took:.1f} s ({number / took:,.0f}/s), heard by all in"
                f" {time.monotonic() - began:.1f} s ({number / (time.monotonic() - began):,.0f}/s)"
            )
            care = Path(running["care_seed"]).read_text()
            connection = await nats.connect(running["nats"], nkeys_seed_str=care)
            state = (await connection.jetstream().stream_info("INT_LOCAL")).state
            await connection.close()
            on_disk = sum(p.stat().st_size for p in (folder / "nats").rglob("*INT_LOCAL/msgs/*.blk"))
            each = on_disk / state.messages
            print(
                f"{state.messages:,} events take {on_disk / 1e6:.0f} MB on disk ({each:.0f} bytes each,"
                f" {state.bytes / state.messages:.0f} before compression): a year of {YEAR:,}"
                f" takes {each * YEAR / 1e9:.0f} GB"
            )
        finally:
            process.terminate()
            process.wait(60)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    asyncio.run(run(options.rate, options.seconds))
