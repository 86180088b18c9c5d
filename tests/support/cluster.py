"""A stack on three NATS nodes, each service in several instances that share its durables."""

import asyncio
import json
import os
import re
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import nats

from kompetensnav_chassis.ready import is_ready
from kompetensnav_chassis.testing import eventually
from kompetensnav_embedded import servers
from kompetensnav_embedded import stack as embedded
from support.certificates import certificates
from support.stack import BIN, Stack

EXAMPLE = Path(__file__).parents[2] / "deploy/cluster/stack.toml"
SERVICES = embedded.SERVICES
TAKEN = re.compile(r"^faststream_received_messages_total\{.*\} (\S+)", re.MULTILINE)


@dataclass
class Cluster:
    """Three nodes from the committed example, on free ports."""

    folder: Path
    certified: bool = False
    monitors: dict[str, int] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        text = EXAMPLE.read_text()
        for name, listen in re.findall(r'name = "(n\d)"\nlisten = "(\S+)"', text):
            address, route, monitor = (servers.free_port() for _ in range(3))
            scheme = "tls" if self.certified else "nats"
            self.urls[name], self.monitors[name] = f"{scheme}://127.0.0.1:{address}", monitor
            last = int(listen.rpartition(":")[2]) % 10
            for was, port in ((f"422{last}", address), (f"622{last}", route), (f"822{last}", monitor)):
                text = re.sub(rf"\b{was}\b", str(port), text)
        if self.certified:
            certificates(self.folder, "node")
            text += '\n[cluster]\ncert = "node.pem"\nkey = "node.key"\nca = "ca.pem"\n'
        self.file.write_text(text)
        self.topology("render", "--out", self.folder, "--store", self.folder / "nats")

    @property
    def file(self) -> Path:
        """Its stack.toml."""
        return self.folder / "stack.toml"

    @property
    def url(self) -> str:
        """All the nodes, as the settings name them."""
        return ",".join(self.urls.values())

    @property
    def trust(self) -> dict[str, str]:
        """By what the operators' commands know its nodes."""
        return {"KOMPETENSNAV_NATS_CA": str(self.folder / "ca.pem")} if self.certified else {}

    def topology(self, command: str, *arguments: Any) -> str:
        """`kompetensnav topology ...` on its file; what it printed."""
        done = subprocess.run(
            [BIN / "kompetensnav", "topology", command, "--file", self.file, *map(str, arguments)],
            capture_output=True, text=True, check=False, env=os.environ | self.trust,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def apply(self) -> str:
        """Makes its streams and consumers."""
        return self.topology("apply", "--url", self.url, "--seed", self.folder / "keys/topology.nk")

    def start(self, *names: str) -> None:
        """Starts nodes."""
        for name in names or tuple(self.urls):
            with (self.folder / f"{name}.log").open("ab") as log:
                command = servers.nats_command(self.folder / name / "server.conf")
                self.running[name] = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self, name: str) -> None:
        """kill -9 of a node."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """Ends all that still run."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.wait(20)

    async def healthy(self, *names: str) -> None:
        """Waits until the nodes say that they have caught up with each other."""

        said: list[str] = []

        async def look() -> bool:
            try:
                async with httpx.AsyncClient() as client:
                    pages = [f"http://127.0.0.1:{self.monitors[name]}/healthz" for name in names or self.urls]
                    answers = [await client.get(page) for page in pages]
            except httpx.HTTPError as down:
                said[:] = [type(down).__name__]
                return False
            said[:] = [answer.text for answer in answers]
            return all(answer.is_success for answer in answers)

        try:
            await eventually(look, 60)
        except AssertionError:
            raise AssertionError(f"the nodes are not healthy: {said}") from None

    async def connect(self, user: str = "topology") -> Any:
        """A connection as one of its users, to whichever node there is."""
        prefix: dict[str, Any] = {"inbox_prefix": f"_INBOX_{user}"} if user in SERVICES else {}
        if self.certified:
            prefix["tls"] = ssl.create_default_context(cafile=self.folder / "ca.pem")
        return await nats.connect(
            self.url.split(","), nkeys_seed=str(self.folder / f"keys/{user}.nk"), max_reconnect_attempts=-1,
            reconnect_time_wait=0.2, connect_timeout=2, error_cb=_quiet, **prefix,
        )  # fmt: skip

    async def leader(self, stream: str = "INT_NORR") -> str:
        """The node that leads a stream."""
        connection = await self.connect()
        try:
            info = await connection.jetstream().stream_info(stream)
        finally:
            await connection.close()
        return str(info.cluster.leader).rpartition("-")[2]

    async def __aenter__(self) -> Self:
        self.start()
        await self.healthy()
        await asyncio.to_thread(self.apply)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()


async def _quiet(_: Exception) -> None:
    """A node that is gone is what these are for."""


@dataclass
class Replicated:
    """A whole stack on a cluster."""

    stack: Stack
    instances: dict[str, list[tuple[str, subprocess.Popen[bytes]]]]
    """Service -> (address, process) of each of its instances."""

    async def handled(self, service: str) -> list[float]:
        """How many messages each instance of a service has taken."""
        found = []
        async with httpx.AsyncClient() as client:
            for url, process in self.instances[service]:
                if process.poll() is None:
                    page = (await client.get(f"{url}/health/metrics")).text
                    found.append(sum(map(float, TAKEN.findall(page))))
        return found


@asynccontextmanager
async def replicated(cluster: Cluster, instances: int) -> AsyncIterator[Replicated]:
    """The services of a stack, each so many times, with a database server, an issuer and a mail sink."""
    made = embedded.Stack(cluster.folder, 0, durable=False, file=cluster.file)
    made.choose_ports()
    (made.folder / "mail").mkdir(exist_ok=True)
    (made.folder / "logs").mkdir(exist_ok=True)
    servers.prepare_postgres(made.folder / "postgres", made.secret("postgres"), durable=False)
    started: list[subprocess.Popen[bytes]] = []

    def run(name: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        command = made.programs()[name.partition("-")[0]][0]
        with (made.folder / f"logs/{name}.log").open("wb") as log:
            process = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
        started.append(process)
        return process

    try:
        for name in ("postgres", "issuer", "mail"):
            run(name, {"LC_ALL": "C"} if name == "postgres" else {})
        await eventually(lambda: asyncio.to_thread(servers.opens, made.ports["postgres"]), 60)
        provision = [BIN / "kompetensnav", "provision", *SERVICES, "--migrate", "--out"]
        await asyncio.to_thread(
            subprocess.run, [*provision, made.folder / "databases.json"], check=True,
            env=os.environ | {"KOMPETENSNAV_ADMIN_URL": made.admin_url},
        )  # fmt: skip
        programs, running = made.programs(), {}
        for service in SERVICES:
            running[service] = []
            for number in range(instances):
                port = made.ports[service] if number == 0 else servers.free_port()
                name = service.upper()
                own = {f"{name}_PORT": str(port), f"{name}_NATS_URL": cluster.url}
                own |= {f"{name}_NATS_CA": str(cluster.folder / "ca.pem")} if cluster.certified else {}
                process = run(f"{service}-{number}", programs[service][1] | own)
                running[service].append((f"http://127.0.0.1:{port}", process))
        addresses = [url for each in running.values() for url, _ in each] + [made.url("issuer")]

        async def ready() -> bool:
            return all([await asyncio.to_thread(is_ready, url) for url in addresses])

        await eventually(ready, 120)
        made.write_run_file(os.getpid())
        about = json.loads(made.run_file.read_text()) | {"nats": cluster.url}
        made.run_file.write_text(json.dumps(about))
        yield Replicated(Stack(made.folder, about, started[0]), running)
    finally:
        for process in reversed(started):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT if process is started[0] else signal.SIGTERM)
            process.wait(30)
