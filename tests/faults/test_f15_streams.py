"""F15, F16 and the restore drill of docs/architecture/delivery.md: streams and databases lost, put back."""

import asyncio
import shutil
import xmlrpc.client
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from kompetensnav_chassis.testing import eventually
from kompetensnav_embedded.stack import Stack, Supervisor
from support.people import at_rest, broken, people_at_work, verdict

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]


async def test_f15_the_stream_is_purged_while_people_work(struck):
    """Everything in the stream is gone, heard or not; the outboxes tell it again."""
    topology = await struck.stack.nats("topology")
    async with people_at_work(struck) as people:
        await people.go_on(20)
        await topology.jetstream().purge_stream("INT_LOCAL")
        await people.go_on(10)
        planned = await asyncio.to_thread(struck.stack.care, "republish", "--plan")
        assert "would be told again" in planned
        await asyncio.to_thread(struck.stack.care, "republish")
    await topology.close()


async def test_f15_a_consumer_is_deleted_while_people_work(struck):
    """The service says that it is not ready; `topology apply` makes the consumer again, and what it hears a
    second time has no second effect."""
    topology = await struck.stack.nats("topology")
    async with people_at_work(struck) as people:
        await people.go_on(5)
        await topology.jetstream().delete_consumer("INT_LOCAL", "matching-registry")

        async def not_ready():
            done = await asyncio.to_thread(
                struck.stack.run, "status", "--json", "--folder", str(struck.stack.folder)
            )
            return done.returncode == 1

        await eventually(not_ready, 30)
        assert "matching-registry" in await asyncio.to_thread(struck.stack.topology, "apply")
        await struck.back()
        await people.go_on(10)
    await topology.close()


async def test_f16_the_broker_is_lost_with_everything_in_it(struck):
    """Drill, lost broker: an empty store; topology apply, care republish, verify."""
    async with people_at_work(struck) as people:
        await people.go_on(10)
        supervisor = Supervisor(Stack(struck.stack.folder))
        with suppress(xmlrpc.client.Fault):
            supervisor._rpc.supervisor.stopProcess("nats", True)
        shutil.rmtree(struck.stack.folder / "nats")
        supervisor._rpc.supervisor.startProcess("nats", True)
        await asyncio.to_thread(struck.stack.topology, "apply")
        await asyncio.to_thread(struck.stack.care, "republish")
        await struck.back()
        await people.go_on(10)
    assert "All as promised" in (await asyncio.to_thread(struck.stack.run, "verify")).stdout


async def test_f16_databases_are_restored_from_a_backup_older_than_the_stream(struck, tmp_path):
    """Drill, lost database: care backup, then later care restore, topology redeliver, care republish, verify.
    What matching and reporting have heard since comes to them again."""
    async with people_at_work(struck) as people:
        await people.go_on(10)
        moment = datetime.now(UTC)
        await asyncio.to_thread(struck.stack.care, "backup", "--to", str(tmp_path))
        await people.go_on(30)
    told = await asyncio.to_thread(
        struck.stack.care, "restore", "matching", "reporting", "--from", str(tmp_path)
    )
    assert "what was there is now called matching_until_" in told
    for service in ("matching", "reporting"):
        since = f"{moment:%Y-%m-%dT%H:%M:%S}"
        await asyncio.to_thread(struck.stack.topology, "redeliver", service, "--since", since)
    await asyncio.to_thread(struck.stack.care, "republish", "--since", f"{moment:%Y-%m-%dT%H:%M:%S}")
    await struck.back()
    await at_rest(struck)
    assert broken(await verdict(struck)) == []


async def test_f16_a_registry_restored_from_an_old_backup_is_named_by_verify(struck, tmp_path):
    """What the registry had told after the backup is in the log and not in its tables: verify names each.
    Put back what was there (restore keeps it), and all is well again."""
    async with people_at_work(struck) as people:
        await people.go_on(3)
    await asyncio.to_thread(struck.stack.care, "backup", "--to", str(tmp_path / "old"))
    async with people_at_work(struck) as people:
        await people.go_on(10)
    await asyncio.to_thread(struck.stack.care, "backup", "--to", str(tmp_path / "new"))
    await asyncio.to_thread(struck.stack.care, "restore", "registry", "--from", str(tmp_path / "old"))
    await struck.back()
    found = broken(await verdict(struck))
    assert any(line.startswith("I1 phantom: told, not in the registry") for line in found)
    await asyncio.to_thread(struck.stack.care, "restore", "registry", "--from", str(tmp_path / "new"))
    await struck.back()
    await at_rest(struck)
    assert broken(await verdict(struck)) == []
