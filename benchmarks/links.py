"""Between stacks and to partners: a link that was cut, a key that was taken back, a replay.

    PYTHONPATH=tests python benchmarks/links.py [--cut 40] [--replay 100000]

Beside them, in the same run: the link healed by the server alone, without `topology watch`, and the replay
read by an operators' user in the stack's own account.
"""

import argparse
import asyncio
import contextlib
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import nats.errors
from nats.js.api import AckPolicy, ConsumerConfig

from kompetensnav_embedded import servers
from support.region import CODES, HUB, Broker, hub_text, leaf_text

OFFERED = "registry.slot.offered.v1"
EVENTS = 200
BODY = b"x" * 700


async def tell(broker: Broker, code: str, first: int, number: int, *, apart: float = 0.0) -> None:
    """Numbered public events of a municipality."""
    connection = await broker.connect("registry")
    js = connection.jetstream()
    waiting = set()
    for n in range(first, first + number):
        waiting.add(asyncio.ensure_future(js.publish(f"nav.{code}.pub.{OFFERED}", b"%d %s" % (n, BODY))))
        if apart or len(waiting) >= 64:
            await asyncio.wait(waiting)
            waiting.clear()
        await asyncio.sleep(apart)
    if waiting:
        await asyncio.wait(waiting)
    await connection.close()


async def numbers(broker: Broker, stream: str, user: str) -> list[int]:
    """The numbers in a stream, in order."""
    connection = await broker.connect(user)
    try:
        js = connection.jetstream()
        last = (await js.stream_info(stream)).state.messages
        subscription = await js.subscribe("", stream=stream, ordered_consumer=True)
        return [int((await subscription.next_msg(timeout=5)).data.split()[0]) for _ in range(last)]
    finally:
        await connection.close()


async def cut(folder: Path, seconds: float, *, watched: bool) -> None:
    """The hub is away so long; meanwhile a leaf tells events."""
    port = servers.free_port()
    leafs = {name: Broker(folder / name, name, leaf_text(name, port)) for name in CODES}
    for leaf in leafs.values():
        leaf.render()
    hub = Broker(folder / HUB, HUB, hub_text(port, {name: leaf.key() for name, leaf in leafs.items()}))
    hub.render()
    with contextlib.ExitStack() as stack, contextlib.ExitStack() as away:
        away.enter_context(hub.server())
        await hub.healthy()
        for leaf in leafs.values():
            stack.enter_context(leaf.server())
            await leaf.healthy()
            await asyncio.to_thread(leaf.apply)
        await asyncio.to_thread(hub.apply)
        for broker in (hub, *leafs.values()) if watched else ():
            stack.callback(broker.watch().terminate)
        alvsbyn, admin = leafs["alvsbyn"], "topology-alvsbyn"

        async def there(number: int) -> float:
            began = time.monotonic()
            while True:
                with contextlib.suppress(nats.errors.Error, OSError):
                    if len(await numbers(hub, "PUB_ALVSBYN", admin)) >= number:
                        return time.monotonic() - began
                await asyncio.sleep(0.1)

        await tell(alvsbyn, "2560", 0, 10)
        await there(10)
        away.close()
        began = time.monotonic()
        await tell(alvsbyn, "2560", 10, EVENTS, apart=seconds / EVENTS * 0.9)
        await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
        with hub.server():
            await hub.healthy()
            took = await there(10 + EVENTS)
            found = await numbers(hub, "PUB_ALVSBYN", admin)
        good = "once and in order" if found == list(range(10 + EVENTS)) else f"NOT in order: {len(found)}"
        how = "with `topology watch`" if watched else "by the server alone"
        print(
            f"hub away {seconds:.0f} s, {EVENTS} events told: all there {good} {took:.1f} s after it was"
            f" back, {how}"
        )


async def quiet(_: Exception) -> None:
    """That its connection is cut is what is measured."""


async def partner(folder: Path, events: int) -> None:
    """A replay of so many events by a partner, by an operator beside it; then the partner is taken out."""
    broker = Broker(folder, "norr", 'name = "norr"\nmunicipalities = ["2580"]\n')
    broker.topology("add", "partner", "jobb", "--event", OFFERED, "--file", broker.file)
    broker.render()
    with broker.server():
        await broker.healthy()
        await asyncio.to_thread(broker.apply)
        await tell(broker, "2580", 0, events)
        bare, theirs = await broker.connect("topology"), await broker.connect("jobb", error_cb=quiet)
        own = bare.jetstream()
        config = ConsumerConfig(
            durable_name="bare", ack_policy=AckPolicy.NONE
        )  # it has no right to acknowledge
        await own.add_consumer("PUB_NORR", config)
        reached = theirs.jetstream(prefix="js.norr.API")
        rates = {}
        for who, subscription in (
            ("a partner", await reached.pull_subscribe_bind("partner-jobb", "PUB_NORR")),
            (
                "an operator in the account, who acknowledges nothing",
                await own.pull_subscribe_bind("bare", "PUB_NORR"),
            ),
        ):
            rates[who] = await replayed(subscription, events, acks=who == "a partner")
            print(f"replay of {events:,} events by {who}: {rates[who]:,.0f} events/s", flush=True)
        print(
            f"ratio {rates['a partner'] / rates['an operator in the account, who acknowledges nothing']:.2f}"
        )
        await bare.close()
        await asyncio.to_thread(
            broker.topology, "revoke", "jobb", "--file", broker.file, "--out", broker.folder
        )
        gone = asyncio.Event()

        async def closed() -> None:
            gone.set()

        theirs.options["disconnected_cb"] = theirs._disconnected_cb = closed
        began = time.monotonic()
        await asyncio.to_thread(broker.render, "--reload")
        await asyncio.wait_for(gone.wait(), 30)
        print(
            f"revoked: the connection is cut {time.monotonic() - began:.1f} s after `render --reload` began"
        )
        await theirs.close()


async def replayed(subscription: Any, events: int, *, acks: bool) -> float:
    """Events a second."""
    began, taken = time.monotonic(), 0
    while taken < events:
        messages = await subscription.fetch(min(500, events - taken), timeout=5)
        for message in messages if acks else ():
            await message.ack()
        taken += len(messages)
    return events / (time.monotonic() - began)


async def main(seconds: float, events: int) -> None:
    """All of it."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        await partner(Path(folder) / "norr", events)
        for watched in (True, False):
            await cut(Path(folder) / str(watched), seconds, watched=watched)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cut", type=float, default=40)
    parser.add_argument("--replay", type=int, default=100_000)
    options = parser.parse_args()
    asyncio.run(main(options.cut, options.replay))
