"""A region: a hub, and stacks that are leafs of it, on this machine."""

import contextlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import nats
import nkeys

from kompetensnav_chassis.testing import eventually
from kompetensnav_embedded import servers
from support import backend
from support.stack import BIN

HUB = "norrland"
OFFERED, ASKED = "registry.slot.offered.v1", "registry.seat.asked.v1"
OPENED = "registry.request.opened.v1"
CODES = {"alvsbyn": ["2560"], "pitea": ["2581"]}


@dataclass
class Broker:
    """A stack's broker alone, or a hub, made by `kompetensnav topology` from its file."""

    folder: Path
    name: str
    text: str
    port: int = field(default_factory=servers.free_port)
    monitor: int = field(default_factory=servers.free_port)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file.write_text(self.text)

    @property
    def file(self) -> Path:
        """Its stack.toml."""
        return self.folder / "stack.toml"

    @property
    def conf(self) -> Path:
        """The server's configuration."""
        return self.folder / "server.conf"

    def topology(self, *arguments: Any, status: int = 0) -> str:
        """`kompetensnav topology ...`; what it printed."""
        command = [str(BIN / "kompetensnav"), "topology", *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "200"}
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def render(self, *more: str) -> str:
        """Writes its configuration."""
        at = ("--out", self.folder, "--store", self.folder / "js", "--pid-file", self.folder / "nats.pid")
        ports = ("--port", self.port, "--monitor", self.monitor)
        return self.topology("render", "--file", self.file, *at, *ports, *more)

    def apply(self, *more: str) -> str:
        """Makes its streams and consumers."""
        return self.topology("apply", "--file", self.file, *self.at, *more)

    def doctor(self, status: int = 0) -> str:
        """`kompetensnav topology doctor`; what it printed."""
        at = ("--out", self.folder, "--store", self.folder, *self.at, "--monitor", self.monitor)
        return self.topology("doctor", "--file", self.file, *at, status=status)

    def watch(self) -> subprocess.Popen[bytes]:
        """`kompetensnav topology watch`, running."""
        at = ("--file", self.file, *self.at, "--monitor", self.monitor)
        command = [str(BIN / "kompetensnav"), "topology", "watch", *map(str, at)]
        log = (self.folder / "watch.log").open("wb")
        return subprocess.Popen(command, stdout=log, stderr=log)

    @property
    def at(self) -> tuple[str, str, str, str]:
        """Where it is, and as whom the topology works."""
        seed = str(self.folder / "keys/topology.nk")
        return ("--url", f"nats://127.0.0.1:{self.port}", "--seed", seed)

    def key(self, user: str = "leaf") -> str:
        """A user's public key."""
        seed = (self.folder / f"keys/{user}.nk").read_bytes().strip()
        return str(nkeys.from_seed(bytearray(seed)).public_key.decode())

    def server(self) -> AbstractContextManager[Any]:
        """The running server."""
        return backend.nats_server(self.conf, local=True)

    async def healthy(self) -> None:
        """Waits until it answers."""

        async def look() -> bool:
            try:
                async with httpx.AsyncClient() as client:
                    return (await client.get(f"http://127.0.0.1:{self.monitor}/healthz")).is_success
            except httpx.HTTPError:
                return False

        await eventually(look)

    async def connect(self, user: str, **how: Any) -> Any:
        """A connection as one of its users."""
        seed = (self.folder / f"keys/{user}.nk").read_text()
        operator = user.startswith(("topology", "care", "replay", "erase"))
        prefix = {} if operator else {"inbox_prefix": f"_INBOX_{user}"}
        return await nats.connect(
            f"nats://127.0.0.1:{self.port}", nkeys_seed_str=seed, max_reconnect_attempts=-1,
            reconnect_time_wait=0.2, **(prefix | how),
        )  # fmt: skip


def leaf_text(
    name: str,
    hub_port: int,
    codes: Mapping[str, list[str]] = CODES,
    more: str = "",
    scheme: str = "nats-leaf",
) -> str:
    """The file of a stack that is a leaf and exchanges seats with all the others."""
    others = ", ".join(f"{other} = {json.dumps(there)}" for other, there in codes.items() if other != name)
    return (
        f'name = "{name}"\nmunicipalities = {json.dumps(codes[name])}\n\n[region]\nname = "{HUB}"\n'
        f'url = "{scheme}://127.0.0.1:{hub_port}"\nneighbours = {{ {others} }}\n{more}'
    )


def hub_text(
    port: int, keys: Mapping[str, str], codes: Mapping[str, list[str]] = CODES, more: str = ""
) -> str:
    """The file of the hub with these members (name -> public key)."""
    members = "".join(
        f'\n[[member]]\nname = "{name}"\nmunicipalities = {json.dumps(codes[name])}\nkey = "{key}"\n'
        for name, key in keys.items()
    )
    return f'name = "{HUB}"\n\n[hub]\nlisten = "127.0.0.1:{port}"\n{more}{members}'


def made(
    folder: Path,
    *,
    hub_more: str = "",
    leaf_more: str = "",
    scheme: str = "nats-leaf",
    port: int = 0,
    via: Mapping[str, int] = {},
) -> SimpleNamespace:
    """The three brokers, rendered; nothing runs yet. `via`: a leaf's other way to the hub's port."""
    port = port or servers.free_port()
    leafs = {
        name: Broker(folder / name, name, leaf_text(name, via.get(name, port), more=leaf_more, scheme=scheme))
        for name in CODES
    }
    for leaf in leafs.values():
        printed = leaf.render()
        assert leaf.key() in printed, "the key to be given to the hub is printed"
    hub = Broker(
        folder / HUB, HUB, hub_text(port, {n: leaf.key() for n, leaf in leafs.items()}, more=hub_more)
    )
    hub.render()
    return SimpleNamespace(hub=hub, port=port, **leafs)


@contextlib.asynccontextmanager
async def running(region: SimpleNamespace) -> AsyncIterator[SimpleNamespace]:
    """All three, applied; the hub may be stopped and started by `region.stop()` and `region.start()`."""
    with contextlib.ExitStack() as stack:
        hubs = contextlib.ExitStack()
        stack.callback(lambda: hubs.close())

        async def start() -> None:
            hubs.enter_context(region.hub.server())
            await region.hub.healthy()

        region.start, region.stop = start, hubs.close
        await start()
        for name in CODES:
            leaf = getattr(region, name)
            stack.enter_context(leaf.server())
            await leaf.healthy()
            leaf.apply()
        region.hub.apply()
        yield region


async def tell(broker: Broker, code: str, to: str, numbers: Iterable[int]) -> None:
    """Public, federated and internal events of a municipality, numbered."""
    connection = await broker.connect("registry")
    js = connection.jetstream()
    for n in numbers:
        for kind in (f"pub.{OFFERED}", f"fed.{to}.{ASKED}", f"int.{OPENED}"):
            headers = {"Nats-Msg-Id": f"{code}:{kind}:{n}"}
            await js.publish(f"nav.{code}.{kind}", f"{n}".encode(), headers=headers, timeout=5)
    await connection.close()


async def stored(broker: Broker, stream: str, user: str = "topology") -> list[tuple[str, int]]:
    """(subject, number) of everything in a stream, in order."""
    connection = await broker.connect(user)
    js = connection.jetstream()
    try:
        state = (await js.stream_info(stream)).state
        found = []
        for seq in range(max(1, state.first_seq), state.last_seq + 1):
            message = await js.get_msg(stream, seq)
            found.append((message.subject, int(message.data)))
        return found
    finally:
        await connection.close()


async def arrived(region: SimpleNamespace, n: int, seconds: float) -> None:
    """Waits until n of each kind are where they belong, and nothing else is."""

    async def look() -> Any:
        heard = [
            await stored(region.pitea, "FEDIN_PITEA"),
            await stored(region.alvsbyn, "FEDIN_ALVSBYN"),
            await stored(region.hub, f"PUB_{HUB.upper()}"),
        ]
        return heard if [len(h) for h in heard] == [n, n, 2 * n] else None

    at_pitea, at_alvsbyn, public = await eventually(look, seconds)
    assert at_pitea == [(f"nav.2560.fed.2581.{ASKED}", i) for i in range(n)]
    assert at_alvsbyn == [(f"nav.2581.fed.2560.{ASKED}", i) for i in range(n)]
    for code in ("2560", "2581"):
        assert [i for s, i in public if s == f"nav.{code}.pub.{OFFERED}"] == list(range(n))
