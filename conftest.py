"""Servers for tests: NATS and PostgreSQL, one of each a run, on free loopback ports."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import nats
import pytest
from hypothesis import HealthCheck, settings
from joserfc.jwk import ECKey

from kompetensnav_chassis import testing
from kompetensnav_embedded import servers
from kompetensnav_issuer.issuer import Wanted, sign
from support import backend

pytest_plugins = ["support.run"]
settings.register_profile(
    "patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # a busy machine makes tests slower, never red
settings.load_profile("patient")
BIN = Path(sys.executable).parent
STACK = "test"


@pytest.fixture(scope="session", autouse=True)
def _nothing_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Removes what PostgreSQL has kept outside the folders of the tests, where `nobody` can reach it."""
    yield
    for folder in tmp_path_factory.getbasetemp().glob("**/postgres*"):
        if (elsewhere := servers.reachable(folder)) != folder:
            shutil.rmtree(elsewhere, ignore_errors=True)


@dataclass(frozen=True)
class Nats:
    """A running server, and the keys of its users."""

    url: str
    monitor: int
    keys: Path
    pid: int

    def seed(self, user: str) -> str:
        """The nkey seed of a user."""
        return (self.keys / f"{user}.nk").read_text()


@dataclass(frozen=True)
class Issuer:
    """A running token issuer."""

    url: str
    key: ECKey

    def token(
        self,
        *roles: str,
        municipalities: tuple[str, ...] = ("2580",),
        administrations: tuple[str, ...] = ("school",),
        audience: str = "kompetensnav",
    ) -> str:
        """A signed token."""
        wanted = Wanted(
            roles=list(roles), municipalities=list(municipalities), administrations=list(administrations)
        )
        return sign(self.key, self.url, audience, wanted)


def pytest_report_header() -> str:
    """Which servers the tests run on."""
    return f"servers: NATS and PostgreSQL {backend.WORDS[backend.chosen()]}"


def wait_for(check: Callable[[], Any], what: str, seconds: float = 20) -> None:
    """Polls until check answers without an OSError or httpx error."""
    end = time.monotonic() + seconds
    pause = asyncio.new_event_loop()
    try:
        while True:
            try:
                check()
            except (OSError, httpx.HTTPError, asyncpg.PostgresError) as error:
                if time.monotonic() > end:
                    raise AssertionError(f"{what} did not start: {error!r}") from error
                pause.run_until_complete(asyncio.sleep(0.02))
            else:
                return
    finally:
        pause.close()


@pytest.fixture(scope="session")
def admin_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL superuser's URL."""
    folder = servers.reachable(tmp_path_factory.mktemp("postgres"))
    with backend.postgres_server(folder, servers.free_port()) as url:

        def answers() -> None:
            async def ask() -> None:
                await (await asyncpg.connect(url)).close()

            asyncio.run(ask())

        wait_for(answers, "PostgreSQL")
        yield url


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    """A NATS server with the real accounts, users and streams of a stack."""
    folder = tmp_path_factory.mktemp("nats")
    port, monitor = servers.free_port(), servers.free_port()
    subprocess.run(
        [
            BIN / "kompetensnav",
            "topology",
            "render",
            "--stack",
            STACK,
            "--out",
            folder,
            "--store",
            folder / "store",
            "--port",
            str(port),
            "--monitor",
            str(monitor),
        ],
        check=True,
    )
    with backend.nats_server(folder / "server.conf") as pid:
        wait_for(lambda: httpx.get(f"http://127.0.0.1:{monitor}/healthz").raise_for_status(), "NATS")
        url = f"nats://127.0.0.1:{port}"
        seed = folder / "keys/topology.nk"
        apply = ["topology", "apply", "--stack", STACK, "--url", url, "--ack-wait", "5", "--seed", seed]
        subprocess.run([BIN / "kompetensnav", *apply], check=True, stdout=subprocess.DEVNULL)
        yield Nats(url, monitor, folder / "keys", pid)


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """A token issuer in its own process."""
    path, port = tmp_path_factory.mktemp("issuer") / "key.json", servers.free_port()
    path.write_text(json.dumps(ECKey.generate_key("P-256").as_dict(private=True)))
    process = subprocess.Popen([BIN / "kompetensnav", "issuer", "--key", path, "--port", str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: httpx.get(f"{url}/health/ready").raise_for_status(), "the issuer")
        yield Issuer(url, ECKey.import_key(json.loads(path.read_text())))
    finally:
        backend.stop(process)


@pytest.fixture
async def admin_nats(nats_server: Nats) -> AsyncIterator[Any]:
    """A connection as the topology's user, with the streams emptied."""
    connection = await nats.connect(nats_server.url, nkeys_seed_str=nats_server.seed("topology"))
    js = connection.jetstream()
    for name in ("INT", "PUB", "DEAD", "ADVISORY"):
        await js.purge_stream(f"{name}_{STACK.upper()}")
    yield connection
    await connection.close()


def environment(
    service: str, database: testing.Database, nats_server: Nats, issuer: Issuer, **more: str
) -> dict[str, str]:
    """The settings of a service in a test."""
    values = {
        "STACK": STACK,
        "NATS_URL": nats_server.url,
        "NATS_SEED": nats_server.seed(service),
        "DATABASE_URL": database.urls["app"],
        "RELAY_DATABASE_URL": database.urls["relay"],
        "ISSUER": issuer.url,
        "RETRY_SECONDS": "[0.05, 0.1]",
        **more,
    }
    return {f"{service.upper()}_{name}": value for name, value in values.items()}


@pytest.fixture
def service_environment(
    nats_server: Nats, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Sets a service's settings in the environment."""

    def put(database: testing.Database, **more: str) -> None:
        for name, value in environment(database.service, database, nats_server, issuer, **more).items():
            monkeypatch.setenv(name, value)

    return put


assert os.name == "posix", "the tests start servers as POSIX child processes"
