"""F10, F11, F12: a listener slower than the broker's patience, a full disk, credentials taken away."""

import asyncio
import json
import os
import shutil
import signal
import time
from pathlib import Path

import asyncpg
import pytest

from kompetensnav_chassis.ready import is_ready
from kompetensnav_chassis.testing import eventually
from kompetensnav_embedded import servers
from support.people import people_at_work
from support.rig import ACK_WAIT, rig

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]


async def test_f10_a_handler_takes_longer_than_the_broker_waits(struck):
    """Matching's table is locked for longer than the broker waits for an answer: messages come again while
    they are still worked at, and have one effect."""
    owner = json.loads((struck.stack.folder / "databases.json").read_text())["matching"]["owner"]
    async with people_at_work(struck) as people:
        connection = await asyncpg.connect(owner)
        try:
            async with connection.transaction():
                await connection.execute("lock table open_slot in access exclusive mode")
                began = time.monotonic()

                async def again():
                    care = await struck.stack.nats()
                    info = await care.jetstream().consumer_info("INT_LOCAL", "matching-registry")
                    await care.close()
                    return info.num_ack_pending and time.monotonic() - began > ACK_WAIT + 2

                await eventually(again, 60)
                await people.go_on(3)
        finally:
            await connection.close()
        await people.go_on(10)


def small_disk(folder, megabytes):
    """Gives a command a file system of so many megabytes, of memory, on a folder. Nobody else sees it, and it
    goes with the last of those who do. Needs root, as in CI."""
    mount = f"mount -t tmpfs -o size={megabytes}m,mode=755 tmpfs {folder}"
    return ("unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh")


def fill(folder):
    """Takes all the space there is; returns what takes it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            return ballast


@pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("CI"), reason="mounting a small file system needs root"
)
@pytest.mark.parametrize("server", ["nats", "postgres"])
async def test_f11_a_disk_is_full_and_then_freed(tmp_path, server):
    """The store of the broker, or of the database, is full: nothing is acknowledged that is not kept, and
    when there is room again everything goes on."""
    stack = servers.reachable(tmp_path) / "stack"
    shutil.rmtree(stack, ignore_errors=True)  # that of an earlier run whose folder was called the same
    # three event streams of so much, so that the broker can promise it
    small = {"KOMPETENSNAV_MAX_BYTES": str(32 << 20)}
    disk = stack / server
    disk.mkdir(parents=True)
    alone = small_disk(disk, 400)
    async with rig(stack, environment=small, within=alone) as made, people_at_work(made) as people:
        await people.go_on(10)
        ballast = fill(Path(f"/proc/{made.stack.process.pid}/root{disk}"))
        if server == "nats":
            await people.go_on(20)  # the databases keep what cannot be told now
        else:
            refused = people.outcomes()["unknown"]

            async def noticed():
                return people.outcomes()["unknown"] > refused

            await eventually(noticed, 60)
        ballast.unlink()
        if server == "nats":
            # a broker that has run out of room stays read-only until it is started again
            await made.kill_and_back("nats")
        await made.back(seconds=120)
        await people.go_on(20, seconds=120)


@pytest.mark.parametrize("service", ["registry", "matching"])
async def test_f12_credentials_are_revoked_while_it_works(struck, service):
    """The broker throws a service out and takes it in again when its key is back; nothing is lost."""
    conf = struck.stack.folder / "server.conf"
    whole = conf.read_text()
    lines = whole.splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if line.strip() == f"# {service}")
    async with people_at_work(struck) as people:
        try:
            conf.write_text("".join(lines[:at] + lines[at + 2 :]))
            struck.signal("nats", signal.SIGHUP)
            thrown_out = struck.stack.running["services"][service]

            async def noticed():
                return not await asyncio.to_thread(is_ready, thrown_out)

            await eventually(noticed, 30)
        finally:
            conf.write_text(whole)
            struck.signal("nats", signal.SIGHUP)
        await struck.back()
        await people.go_on(10)
