"""Durability: what is acknowledged is on disk, seen from outside the servers."""

import os
import shutil
import subprocess

import httpx
import nats
import pytest
import uuid_utils.compat as uuids

from kompetensnav_chassis.testing import eventually

pytestmark = [pytest.mark.real]
TIMES = 60


@pytest.mark.skipif(
    not shutil.which("strace") and not os.environ.get("CI"), reason="strace is missing: `make tools`"
)
async def test_the_broker_syncs_before_it_acknowledges(nats_server, admin_nats, tmp_path):
    """One publication after the other: as many fsyncs as acknowledgements, counted by the kernel."""
    told = tmp_path / "strace"
    # the server is behind a tether, which has become it: one process
    tracer = subprocess.Popen(
        ["strace", "-f", "-p", str(nats_server.pid), "-e", "trace=fsync,fdatasync", "-o", told],
        stderr=subprocess.PIPE,
    )
    try:
        assert b"attached" in tracer.stderr.readline()
        connection = await nats.connect(
            nats_server.url, nkeys_seed_str=nats_server.seed("registry"), inbox_prefix="_INBOX_registry"
        )
        for _ in range(TIMES):
            where = "nav.2580.int.registry.slot.posted.v1"
            await connection.jetstream().publish(where, b"{}", headers={"Nats-Msg-Id": str(uuids.uuid7())})
        await connection.close()
    finally:
        tracer.terminate()
        tracer.wait(10)
    synced = sum("= 0" in line for line in told.read_text().splitlines())
    assert synced >= TIMES, f"{synced} fsyncs for {TIMES} acknowledged publications"


async def test_the_broker_is_set_to_sync_always(nats_server):
    """As it says itself."""

    async def config():
        return httpx.get(f"http://127.0.0.1:{nats_server.monitor}/jsz").json()["config"]

    assert (await eventually(config))["sync_always"] is True


@pytest.mark.parametrize("service", ["registry", "matching", "notifications", "reporting"])
async def test_the_database_commits_to_disk(struck, service):
    """As a service's own transactions see it."""
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        ((value,),) = await struck.stack.sql(service, f"show {setting}", role="app")
        assert value == "on", setting
