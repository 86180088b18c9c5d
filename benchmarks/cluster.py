"""Three nodes: how long writing pauses when one is killed, and what is lost. Beside it, in the same run, the
rate of writing with one node and with three.

    PYTHONPATH=tests python benchmarks/cluster.py [--kills 10]
"""

import argparse
import asyncio
import itertools
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import nats.errors
import nats.js.errors

from support.cluster import Cluster
from support.region import Broker

SUBJECT = "nav.2580.int.registry.slot.posted.v1"
BODY = b"x" * 700
GOAL = 5.0


class Writer:
    """Publishes one event after the other, each until it is acknowledged, as the relay does."""

    def __init__(self, js: Any) -> None:
        self._js, self.acked, self._ended = js, [], False
        self.task = asyncio.create_task(self._go_on())

    async def _go_on(self) -> None:
        number = 0
        while not self._ended:
            body = b"%d %s" % (number, BODY)
            try:
                await self._js.publish(SUBJECT, body, headers={"Nats-Msg-Id": str(number)}, timeout=1)
            except (nats.errors.Error, nats.js.errors.Error):
                await asyncio.sleep(0.02)
                continue
            self.acked.append(time.monotonic())
            number += 1

    async def stop(self) -> None:
        """Writes no more."""
        self._ended = True
        await self.task

    async def longest_pause(self, seconds: float) -> float:
        """The longest time without an acknowledgement from now on."""
        began, before = time.monotonic(), len(self.acked)
        while time.monotonic() < began + seconds or len(self.acked) == before:
            await asyncio.sleep(0.1)
        moments = [began, *self.acked[before:]]
        return max(b - a for a, b in itertools.pairwise(moments))


async def rate(js: Any, subject: str, seconds: float = 5) -> float:
    """Acknowledged messages a second with 64 in flight."""
    done, end = 0, time.monotonic() + seconds

    async def one() -> None:
        nonlocal done
        while time.monotonic() < end:
            await js.publish(subject, BODY)
            done += 1

    await asyncio.gather(*(one() for _ in range(64)))
    return done / seconds


async def alone(folder: Path) -> float:
    """The rate of one server that is no cluster."""
    broker = Broker(folder, "norr", 'name = "norr"\nmunicipalities = ["2580"]\n')
    broker.render()
    with broker.server():
        await broker.healthy()
        await asyncio.to_thread(broker.apply)
        registry = await broker.connect("registry")
        found = await rate(registry.jetstream(), SUBJECT)
        await registry.close()
    return found


async def leader_of(cluster: Cluster) -> str:
    """The node that leads, once there is one."""
    while True:
        try:
            if leader := await cluster.leader():
                return leader
        except (nats.errors.Error, nats.js.errors.Error):
            pass
        await asyncio.sleep(0.2)


async def main(kills: int) -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        print(f"one server: {await alone(Path(folder) / 'one'):,.0f} acknowledged events/s")
        async with Cluster(Path(folder) / "norr") as cluster:
            registry, topology = await cluster.connect("registry"), await cluster.connect()
            js = topology.jetstream()
            print(f"three replicas: {await rate(registry.jetstream(), SUBJECT):,.0f} acknowledged events/s")
            await js.purge_stream("INT_NORR")
            writer = Writer(registry.jetstream())
            pauses: dict[str, list[float]] = {"the leading node": [], "another node": []}
            for number in range(kills * 2):
                leader = await leader_of(cluster)
                which = list(pauses)[number % 2]
                node = leader if number % 2 == 0 else next(n for n in cluster.urls if n != leader)
                cluster.kill(node)
                pauses[which].append(await writer.longest_pause(12))
                print(f"kill -9 of {which}: {pauses[which][-1]:.2f} s", flush=True)
                cluster.start(node)
                await cluster.healthy()
                await asyncio.sleep(3)
            await writer.stop()
            state = (await js.stream_info("INT_NORR")).state
            lost = len(writer.acked) - state.messages
            for which, found in pauses.items():
                inside = sum(pause <= GOAL for pause in found)
                print(
                    f"kill -9 of {which}, {len(found)} times: writing paused {statistics.median(found):.2f} s"
                    f" (median), {max(found):.2f} s at most; within {GOAL:.0f} s {inside} times"
                )
            print(f"{len(writer.acked):,} acknowledged, {state.messages:,} stored, {max(0, lost)} lost")
            await registry.close()
            await topology.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    asyncio.run(main(parser.parse_args().kills))
