"""An application that knows nothing of ours: FastStream and NATS, an order packed once, and a ledger of what
was packed. `python -m support.foreign NATS_URL FOLDER`; it fails while FOLDER/broken is there."""

import asyncio
import sys
from pathlib import Path

from faststream import AckPolicy, FastStream
from faststream.nats import JStream, NatsBroker, PullSub
from nats.js.api import ConsumerConfig


def app(url: str, folder: Path) -> FastStream:
    """The application."""
    broker = NatsBroker(url)

    @broker.subscriber(
        "shop.orders",
        stream=JStream("SHOP", declare=False),
        durable="packing",
        pull_sub=PullSub(1),
        config=ConsumerConfig(max_deliver=3, ack_wait=0.5),
        ack_policy=AckPolicy.NACK_ON_ERROR,
    )
    async def pack(order: dict[str, int]) -> None:
        if (folder / "broken").exists():
            raise RuntimeError("no paper left")
        with (folder / "packed").open("a") as ledger:
            ledger.write(f"{order['number']}\n")

    return FastStream(broker)


if __name__ == "__main__":
    asyncio.run(app(sys.argv[1], Path(sys.argv[2])).run())
