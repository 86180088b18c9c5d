"""A TCP proxy that can be told to misbehave: what stands between the services and NATS or PostgreSQL."""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

UP, DOWN = "up", "down"
"""Towards the server, and back from it."""


class Proxy:
    """Forwards one port to another, well or badly.

    `cut` refuses and resets everything; `held` lets nothing pass in those directions and keeps the
    connections open (a partition, half-open when it is one direction); `latency` and `rate` are seconds and
    bytes a second; `loss` is the share of segments that come only after a retransmission (200 ms).
    """

    def __init__(self, target: int, seed: int = 0) -> None:
        self.target, self.port = target, 0
        self.cut, self.latency, self.rate, self.loss = False, 0.0, 0.0, 0.0
        self.connections = 0
        """Connections made so far."""
        self._held: set[str] = set()
        self._released = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._chance = random.Random(seed)

    def heal(self) -> None:
        """Forwards well again."""
        self.cut, self.latency, self.rate, self.loss = False, 0.0, 0.0, 0.0
        self.hold()

    def hold(self, *directions: str) -> None:
        """Nothing passes in these directions until told otherwise."""
        self._held = set(directions)
        self._released.set()
        self._released = asyncio.Event()

    def reset(self) -> None:
        """Every connection ends with a reset."""
        for writer in list(self._open):
            with contextlib.suppress(OSError):
                at = writer.get_extra_info("socket")
                at.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def say(self, data: bytes) -> None:
        """Tells every client something that the server has not said."""
        for writer in list(self._open):
            if writer.get_extra_info("sockname")[1] == self.port:
                writer.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        if self.cut:
            self.reset()
        try:
            back, on = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            self._open.discard(writer)
            return
        self._open.add(on)
        try:
            await asyncio.gather(self._pump(reader, on, UP), self._pump(back, writer, DOWN))
        finally:
            for each in (writer, on):
                self._open.discard(each)
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                while way in self._held:
                    await self._released.wait()
                if delay := self._delay(len(data)):
                    await asyncio.sleep(delay)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def _delay(self, size: int) -> float:
        lost = 0.2 if self.loss and self._chance.random() < self.loss else 0.0
        return self.latency + lost + (size / self.rate if self.rate else 0.0)


@asynccontextmanager
async def proxy(target: int, seed: int = 0) -> AsyncIterator[Proxy]:
    """A proxy to a loopback port, on a free one."""
    made = Proxy(target, seed)
    server = await asyncio.start_server(made._serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.heal()
        made.reset()
