"""How long it takes to make every projection again from 100,000 events, and whether it is the same (I11).

    python benchmarks/rebuild.py [--events 100000]

Beside it, in the same run: how long the listeners in use took for the same events. Four in five events post a
slot and one changes it, told as the registry would; nothing else runs.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import uuid_utils.compat as uuids

from kompetensnav_care.counts import Running
from kompetensnav_care.rebuild import compare
from kompetensnav_chassis.testing import headers_of
from kompetensnav_contracts import Event, subject
from kompetensnav_contracts.events.registry import SlotChanged, SlotPosted

BIN = Path(sys.executable).parent
AT_ONCE = 400


def told(events: int) -> Iterator[tuple[Event, int]]:
    """(event, revision), the changes some way behind their slots."""
    chance, payloads = random.Random(1), []
    for number in range(events):
        if number % 5 == 4 and payloads:
            changed = payloads[chance.randrange(len(payloads))]
            changed["seats"], changed["revision"] = changed["seats"] + 1, changed["revision"] + 1
            yield SlotChanged(**changed), changed["revision"]
            continue
        payloads.append({
            "slot_id": uuids.uuid7(), "workplace_id": uuids.uuid7(), "employer_id": uuids.uuid7(),
            "placement_type": "apl", "occupation": "5321", "starts_on": "2027-02-01",
            "ends_on": "2027-03-26", "seats": 1, "locality": "lulea", "revision": 1,
        })  # fmt: skip
        yield SlotPosted(**payloads[-1]), 1


async def publish(running: dict[str, Any], events: int) -> float:
    """Publishes as the registry; returns seconds."""
    seed = Path(running["care_seed"]).with_name("registry.nk").read_text()
    connection = await nats.connect(running["nats"], nkeys_seed_str=seed, inbox_prefix="_INBOX_registry")
    js, began, waiting = connection.jetstream(), time.monotonic(), []
    for event, revision in told(events):
        headers = headers_of(
            event, municipality="2580", source="urn:kompetensnav:registry", revision=revision
        )
        where, body = subject(event, "2580"), event.model_dump_json().encode()
        waiting.append(js.publish(where, body, headers=headers | {"Nats-Msg-Id": headers["ce-id"]}))
        if len(waiting) == AT_ONCE:
            await asyncio.gather(*waiting)
            waiting = []
    await asyncio.gather(*waiting)
    await connection.close()
    return time.monotonic() - began


async def heard(running: dict[str, Any]) -> None:
    """Returns when every listener has heard everything."""
    connection = await nats.connect(running["nats"], nkeys_seed_str=Path(running["care_seed"]).read_text())
    while any(
        c.num_pending or c.num_ack_pending for c in await connection.jetstream().consumers_info("INT_LOCAL")
    ):
        await asyncio.sleep(0.1)
    await connection.close()


async def run(events: int) -> None:
    """Measures, and prints a table."""
    with tempfile.TemporaryDirectory() as at:
        folder, log = Path(at) / "stack", Path(at) / "log"
        process = subprocess.Popen(
            [BIN / "kompetensnav", "up", "--folder", folder, "--ports", "0"], stdout=log.open("wb")
        )
        try:
            while "Everything runs" not in log.read_text():
                await asyncio.sleep(0.2)
            running = json.loads((folder / "run.json").read_text())
            began = time.monotonic()
            published = await publish(running, events)
            await heard(running)
            live = time.monotonic() - began
            stack = Running.read(folder / "run.json")
            compared = await compare(stack, stack.admin_url)
        finally:
            process.terminate()
            process.wait(60)
    print(f"{platform.machine()}, {os.cpu_count()} cores; {events:,} events")
    print(f"listeners in use, while it was told: {live:.1f} s (telling alone {published:.1f} s)")
    for one in compared:
        same = "identical" if not one.differ else f"differs: {', '.join(one.differ)}"
        took = f"{one.events:,} events in {one.seconds:.1f} s"
        print(f"rebuild of {one.service}: {took}, {one.rows:,} rows, {same}")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--events", type=int, default=100_000)
    asyncio.run(run(options.parse_args().events))
