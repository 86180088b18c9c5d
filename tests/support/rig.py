"""A stack that can be struck: its processes by signal, its connections through a proxy."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kompetensnav_chassis.ready import is_ready
from kompetensnav_chassis.testing import eventually
from kompetensnav_embedded import servers
from kompetensnav_embedded import stack as embedded
from support.proxy import Proxy, proxy
from support.stack import BIN, Stack, finish, start, started

SERVICES = embedded.SERVICES
SERVERS = ("nats", "postgres")
ACK_WAIT = 5
"""Seconds before an unanswered message comes again."""


@dataclass
class Rig:
    """A running stack, and the means to do it harm."""

    stack: Stack
    ports: dict[str, int]
    proxies: dict[str, Proxy]

    @property
    def _supervisor(self) -> embedded.Supervisor:
        return embedded.Supervisor(embedded.Stack(self.stack.folder))

    def pid(self, part: str) -> int:
        """The process of a part; 0 while there is none."""
        return int(next(p["pid"] for p in self._supervisor.processes() if p["name"] == part))

    def signal(self, part: str, how: signal.Signals) -> int:
        """Sends a signal to a part; returns its process, 0 when it was not there."""
        pid = self.pid(part)
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, how)
        return pid

    async def kill(self, part: str) -> int:
        """kill -9 of a part that runs; returns the process that was killed."""

        async def there() -> int:
            return self.signal(part, signal.SIGKILL)

        return await eventually(there, 30)

    async def back(self, *parts: str, seconds: float = 60) -> None:
        """Waits until services say that they are ready."""

        async def look() -> bool:
            urls = [self.stack.running["services"][part] for part in parts or SERVICES]
            return all([await asyncio.to_thread(is_ready, url) for url in urls])

        await eventually(look, seconds)

    async def kill_and_back(self, part: str) -> float:
        """kill -9, and seconds until it answers again as another process."""
        began, was = time.monotonic(), await self.kill(part)

        async def replaced() -> bool:
            return self.pid(part) not in (0, was)

        await eventually(replaced, 60)
        await self.back(*([part] if part in SERVICES else []))
        return time.monotonic() - began

    async def kill_and_back_alive(self, part: str, url: str) -> None:
        """kill -9, and a wait until another process answers, ready or not."""
        was = await self.kill(part)

        async def alive() -> bool:
            is_new = self.pid(part) not in (0, was)
            return is_new and await asyncio.to_thread(is_ready, url, "/health/live")

        await eventually(alive, 60)

    @contextmanager
    def stopped(self, *parts: str) -> Iterator[None]:
        """Parts that do not run for a while."""
        self._supervisor.stop(*parts)
        try:
            yield
        finally:
            self._supervisor.launch(*parts)

    @asynccontextmanager
    async def second(self, service: str, settings: Mapping[str, str] = {}) -> AsyncIterator[str]:
        """Another instance of a service beside the one there is; its address."""
        raw = Path(f"/proc/{self.pid(service)}/environ").read_bytes().decode().split("\0")
        port = servers.free_port()
        environment = dict(pair.split("=", 1) for pair in raw if "=" in pair)
        environment |= {f"{service.upper()}_PORT": str(port)} | dict(settings)
        with (self.stack.folder / f"logs/{service}-2.log").open("wb") as log:
            process = subprocess.Popen(
                [BIN / f"kompetensnav-{service}", "serve"], env=environment, stdout=log, stderr=log
            )
            try:

                async def ready() -> bool:
                    return await asyncio.to_thread(is_ready, f"http://127.0.0.1:{port}")

                await eventually(ready, 30)
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()
                await asyncio.to_thread(process.wait, 30)

    def heal(self) -> None:
        """Nothing is cut, held, slow or frozen any more."""
        for each in self.proxies.values():
            each.heal()
        for part in (*SERVICES, *SERVERS):
            self.signal(part, signal.SIGCONT)


def free_ports_in_a_row(wanted: int) -> int:
    """The first of so many free loopback ports in a row."""
    while True:
        base = servers.free_port()
        if all(servers.take(base + n) for n in range(1, wanted)):
            return base


@asynccontextmanager
async def rig(
    folder: Path,
    *,
    through: tuple[str, ...] = SERVERS,
    environment: Mapping[str, str] = {},
    seed: int = 0,
    file: Path | None = None,
    within: tuple[str, ...] = (),
) -> AsyncIterator[Rig]:
    """A stack in a folder whose services reach NATS and PostgreSQL through proxies."""
    base = free_ports_in_a_row(len(embedded.PLACES))
    ports = {place: base + n for n, place in enumerate(embedded.PLACES)}
    async with AsyncExitStack() as open_:
        proxies = {p: await open_.enter_async_context(proxy(ports[p], seed)) for p in through}
        via = [part for p in through for part in ("--via", f"{p}={proxies[p].port}")]
        settings = {"KOMPETENSNAV_ACK_WAIT": str(ACK_WAIT)} | dict(environment)
        more = ("--file", str(file)) if file else ()
        process = start(folder, *via, *more, ports=base, environment=settings, within=within)
        try:
            running = await started(process, folder)
            yield Rig(Stack(folder, running, process), ports, proxies)
        finally:
            for each in proxies.values():
                each.heal()
            await asyncio.to_thread(finish, process)
