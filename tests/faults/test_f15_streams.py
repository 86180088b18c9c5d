"""F15, F16 and the restore drill of docs/architecture/delivery.md: streams and databases lost, put back."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from kompetensnav_chassis.ready import is_ready
from kompetensnav_chassis.testing import eventually
from kompetensnav_embedded.stack import Stack, Supervisor
from support.people import at_rest, broken, people_at_work, verdict
from support.rig import rig

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]


async def test_f15_the_stream_is_purged_while_people_work(struck):
    """Everything in the stream is gone, heard or not; the outboxes tell it again."""
    topology = await struck.stack.nats("topology")
    async with people_at_work(struck) as people:
        await people.go_on(20)
        await topology.jetstream().purge_stream("INT_LOCAL")
        await people.go_on(10)
        planned = await asyncio.to_thread(struck.stack.care, "republish", "--plan")
        assert "would be published again" in planned
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
        supervisor.stop("nats")
        shutil.rmtree(struck.stack.folder / "nats")
        supervisor.launch("nats")

        async def answers():
            return await asyncio.to_thread(is_ready, struck.stack.running["monitor"], "/healthz")

        await eventually(answers)
        await asyncio.to_thread(struck.stack.topology, "apply")
        await asyncio.to_thread(struck.stack.care, "republish")
        await struck.back()
        await people.go_on(10)
    assert "All as promised" in (await asyncio.to_thread(struck.stack.run, "verify")).stdout


@pytest.fixture(scope="module")
async def own(tmp_path_factory):
    """A stack whose log may be spoilt: what a service told after its backup is in it twice."""
    async with rig(tmp_path_factory.mktemp("own") / "stack") as made:
        yield made


async def backed_up(own, folder):
    """A backup."""
    made = await asyncio.to_thread(own.stack.run, "backup", "--to", str(folder))
    assert made.returncode == 0, made.stderr


async def restored(own, service, folder, *options):
    """The drill: what was there is kept, what was told since comes again, and verify has looked."""
    done = await asyncio.to_thread(own.stack.run, "restore", service, "--from", str(folder), *options)
    assert f"what was there is now called {service}_until_" in done.stdout, done.stderr
    assert done.returncode in (0, 1), done.stderr
    await own.back()
    await at_rest(own)


async def test_f16_a_listener_is_restored_from_a_backup_older_than_the_stream(own, tmp_path):
    """Drill, lost database: backup, later restore, which has what was told since come again, and verifies.
    What reporting has heard since comes to it again; nothing is missing and nothing is there twice."""
    async with people_at_work(own) as people:
        await people.go_on(10)
        await backed_up(own, tmp_path)
        await people.go_on(30)
    await restored(own, "reporting", tmp_path)
    assert broken(await verdict(own)) == []


async def test_f16_a_registry_restored_from_an_old_backup_is_named_by_verify(own, tmp_path):
    """What the registry had told after the backup is in the log and not in its tables: verify names each.
    Put back what was there (restore keeps it), and all is well again."""
    await backed_up(own, tmp_path / "old")
    async with people_at_work(own) as people:
        await people.go_on(10)
    await backed_up(own, tmp_path / "new")
    await restored(own, "registry", tmp_path / "old", "--only-put-back")
    found = broken(await verdict(own))
    assert any(line.startswith("I1 phantom: published, not in the registry") for line in found)
    await restored(own, "registry", tmp_path / "new", "--only-put-back")
    assert broken(await verdict(own)) == []


async def test_f16_matching_restored_from_an_old_backup_goes_on(own, tmp_path):
    """What matching had decided after the backup is lost in it, and only that: rounds drafted since then are
    told a second time under the same revision, which verify names; everybody else's effects stay whole."""
    async with people_at_work(own) as people:
        await people.go_on(10)
        await backed_up(own, tmp_path)
        await people.go_on(30)
    await restored(own, "matching", tmp_path)
    found = broken(await verdict(own))
    named = "I5 duplicated: the same revision published twice: matching.round"
    assert [line for line in found if not line.startswith(named)] == []


def test_f16_every_step_of_the_drill_is_a_command_that_these_tests_run():
    """The commands of the page's section, one by one."""
    page = (Path(__file__).parents[2] / "docs/architecture/delivery.md").read_text()
    section = page.partition("## After a disaster")[2].partition("\n## ")[0]
    steps = set(re.findall(r"^kompetensnav (?:care |topology )?(\w+)", section, re.MULTILINE))
    assert steps == {"apply", "backup", "republish", "restore", "up", "verify"}
    mine = Path(__file__).read_text()
    assert not [step for step in steps - {"up"} if f'"{step}"' not in mine]
