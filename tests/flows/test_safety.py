"""A stack's backup, its way back on another machine, and an upgrade, each one command."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess

import pytest

from support.next_version import next_version
from support.people import people_at_work
from support.rig import ACK_WAIT, rig
from support.stack import BIN, Stack, Town, finish, start, started

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


async def test_a_backup_is_put_back_on_another_machine(own_stack, tmp_path):
    """The backup alone is enough: databases, the keys of the vault, and a log told anew from the outboxes."""
    stack, town = own_stack
    placement = await town("1214").placed()
    kept = tmp_path / "kept"
    made = await asyncio.to_thread(stack.run, "backup", "--to", str(kept))
    assert made.returncode == 0, made.stderr
    assert {path.name for path in kept.iterdir()} >= {"manifest.json", "keys", "registry.dump"}
    assert kept.stat().st_mode & 0o077 == 0
    again = await asyncio.to_thread(stack.run, "backup", "--to", str(kept))
    assert again.returncode == 2
    assert "is not empty" in again.stderr

    other = tmp_path / "other" / ".kompetensnav"
    other.parent.mkdir()
    laid = await asyncio.to_thread(stack.run, "restore", "--from", str(kept), "--keys", str(other))
    assert laid.returncode == 0, laid.stderr
    process = start(other)
    try:
        there = Stack(other, await started(process, other), process)
        done = await asyncio.to_thread(there.run, "restore", "--from", str(kept))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "All as promised" in done.stdout
        (found,) = there.call("GET", "registry", "/1214/placements")["items"]
        assert found == placement
        (learner,) = there.call("GET", "registry", "/1214/learners")["items"]
        assert learner == stack.call("GET", "registry", "/1214/learners")["items"][0]
        assert "Namnl" in json.dumps(learner)  # the vault opens
        await Town(there, "1230").placed()  # and work goes on
    finally:
        finish(process)


async def test_a_restore_that_does_not_fit_is_refused_and_changes_nothing(own_stack, tmp_path):
    """Another stack's key, a file that was changed, a service that is not in it, and no backup at all."""
    stack, _ = own_stack
    kept = tmp_path / "kept"
    assert (await asyncio.to_thread(stack.run, "backup", "--to", str(kept))).returncode == 0

    async def refused(*arguments):
        done = await asyncio.to_thread(stack.run, "restore", *arguments, "--from", str(kept))
        assert done.returncode == 2, done.stdout
        return done.stderr

    assert "visits is no service of this stack" in await refused("visits")
    assert "is there already" in await refused("--keys", str(stack.folder))
    manifest = json.loads((kept / "manifest.json").read_text())
    other_key = b"another key than that of this stack"
    (kept / "keys/vault.secret").write_bytes(other_key)
    assert "vault.secret is not as it was" in await refused()
    manifest["files"]["keys/vault.secret"] = hashlib.sha256(other_key).hexdigest()
    (kept / "manifest.json").write_text(json.dumps(manifest))
    assert "another key (vault.secret)" in await refused()
    shutil.copy(stack.folder / "keys/vault.secret", kept / "keys/vault.secret")
    manifest["files"]["keys/vault.secret"] = hashlib.sha256(
        (kept / "keys/vault.secret").read_bytes()
    ).hexdigest()
    manifest["revisions"]["reporting"] = "9999"
    (kept / "manifest.json").write_text(json.dumps(manifest))
    assert "revision 9999 is of a newer version of reporting" in await refused()
    (kept / "manifest.json").unlink()
    assert "no whole backup" in await refused()
    names = await stack.sql("registry", "select datname from pg_database where datname like '%until%'")
    assert names == []


@pytest.mark.slow
async def test_an_upgrade_is_planned_and_done_while_people_work(tmp_path, tmp_path_factory):
    """The plan names the migration and does nothing; the upgrade makes a backup, migrates, begins every
    service anew, and verifies; what people were promised meanwhile is kept."""
    async with rig(tmp_path_factory.mktemp("upgrade") / "stack") as own:
        newer = os.environ | {
            "PYTHONPATH": str(next_version(tmp_path)),
            "KOMPETENSNAV_RUN": str(own.stack.folder / "run.json"),
            "KOMPETENSNAV_ACK_WAIT": str(ACK_WAIT),
        }

        async def upgrade(*options):
            return await asyncio.to_thread(
                subprocess.run, [BIN / "kompetensnav", "upgrade", *options], env=newer,
                capture_output=True, text=True, check=False,
            )  # fmt: skip

        async def columns():
            named = "select 1 from information_schema.columns where column_name = 'next_version'"
            return len(await own.stack.sql("registry", named, role="owner"))

        services = tuple(own.stack.running["services"])
        before = {service: own.pid(service) for service in services}
        async with people_at_work(own) as people:
            await people.go_on(5)
            planned = await upgrade("--plan")
            assert planned.returncode == 0, planned.stderr
            assert "9999 A column more" in " ".join(planned.stdout.split()), planned.stdout
            assert "nothing to change" in planned.stdout
            assert await columns() == 0
            refused = await upgrade()
            assert refused.returncode == 2
            assert "--backup" in refused.stderr
            done = await upgrade("--backup", str(tmp_path / "kept"))
            assert done.returncode == 0, done.stdout + done.stderr
            assert "All as promised" in done.stdout
            await people.go_on(5)
        assert await columns() == 1
        assert (tmp_path / "kept/manifest.json").exists()
        assert [own.pid(s) for s in services if own.pid(s) == before[s]] == []
