"""Each service starts and stays healthy when no other exists; its events simply wait."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import httpx
import pytest

from kompetensnav_chassis import testing
from kompetensnav_chassis.ready import is_ready
from kompetensnav_chassis.testing import eventually
from kompetensnav_embedded import servers
from kompetensnav_embedded.stack import SERVICES

pytestmark = pytest.mark.real
BIN = Path(sys.executable).parent
SECRETS = {
    "registry": {"LINK_SECRET": "x" * 40, "VAULT_KEY": "y" * 40},
    "operations": {"SESSION_SECRET": "z" * 40},
}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_is_ready_alone(service, admin_url, service_environment, monkeypatch, tmp_path):
    outbox = import_module(f"kompetensnav_{service}.tables").Outbox
    async with testing.database(admin_url, service, outbox) as database:
        port = servers.free_port()
        more = {"PORT": str(port)} | SECRETS.get(service, {})
        service_environment(database, **more)
        log = (tmp_path / "log").open("wb")
        process = subprocess.Popen([BIN / f"kompetensnav-{service}", "serve"], stdout=log, stderr=log)
        try:

            async def ready():
                assert process.poll() is None, (tmp_path / "log").read_text()
                return is_ready(f"http://127.0.0.1:{port}")

            await eventually(ready, 40)
            live = httpx.get(f"http://127.0.0.1:{port}/health/live")
            assert live.json() == {"status": "live"}
        finally:
            process.terminate()
            assert process.wait(20) is not None


async def test_a_service_whose_broker_is_not_there_says_so_in_one_line_and_ends(
    admin_url, service_environment
):
    service, outbox = "reporting", import_module("kompetensnav_reporting.tables").Outbox
    async with testing.database(admin_url, service, outbox) as database:
        more = {"NATS_URL": f"nats://127.0.0.1:{servers.free_port()}", "PORT": "0"}
        service_environment(database, **more)
        done = subprocess.run(
            [BIN / f"kompetensnav-{service}", "serve"], capture_output=True, text=True, check=False,
            env=dict(os.environ),
        )  # fmt: skip
    assert done.returncode == 1
    assert f"{service} did not start: NATS does not answer" in done.stderr.strip().splitlines()[-1]
