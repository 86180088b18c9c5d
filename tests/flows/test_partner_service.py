"""examples/partner-service as a partner has it: installed from wheels, beside a stack whose code it never
saw."""

import asyncio
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from kompetensnav_chassis.ready import is_ready
from kompetensnav_chassis.testing import eventually
from kompetensnav_embedded import servers
from support.stack import BIN, Stack, Town, finish, start, started

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(240)]
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/partner-service"
LISTENS = "introduktion-registry-placement-confirmed-v1=registry.placement.confirmed.v1"


def run(*command, **more):
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, cwd=ROOT, **more
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A virtual environment with the contracts' and the chassis' wheels, and the partner's own."""
    folder = tmp_path_factory.mktemp("partner")
    copy = shutil.copytree(
        EXAMPLE, folder / "partner-service", ignore=shutil.ignore_patterns("build", "dist")
    )
    for package in ("kompetensnav-contracts", "kompetensnav-chassis"):
        run(BIN / "uv", "build", "-q", "--wheel", "--package", package, "-o", folder / "wheels")
    run(BIN / "uv", "build", "-q", "--wheel", copy, "-o", folder / "wheels")
    run(BIN / "uv", "venv", "-q", "--python", BIN / "python", folder / "venv")
    (wheel,) = (folder / "wheels").glob("pitea_introduktion-*.whl")
    run(
        BIN / "uv", "pip", "install", "-q", "--python", folder / "venv/bin/python", "--find-links",
        folder / "wheels", "-c", ROOT / "requirements.lock", "--refresh-package", "kompetensnav-contracts",
        "--refresh-package", "kompetensnav-chassis", f"{wheel}[test]",  # else those of an earlier run
    )  # fmt: skip
    return folder


def test_its_own_tests_pass_where_nothing_of_ours_but_contracts_and_chassis_is(theirs, admin_url):
    installed = run(BIN / "uv", "pip", "list", "--python", theirs / "venv/bin/python", "--format", "json")
    ours = {row["name"] for row in json.loads(installed) if row["name"].startswith("kompetensnav")}
    assert ours == {"kompetensnav-contracts", "kompetensnav-chassis"}
    told = run(
        theirs / "venv/bin/python", "-m", "pytest", theirs / "partner-service",
        env=os.environ | {"TEST_ADMIN_URL": admin_url},
    )  # fmt: skip
    assert " passed" in told
    assert "skipped" not in told
    catalogue = run(theirs / "venv/bin/python", "-m", "kompetensnav_contracts.catalogue")
    assert "introduktion.day.announced.v1" in catalogue


@contextmanager
def serving(theirs, stack, port):
    """The partner's service beside a running stack, with settings of its own."""
    databases = theirs / "databases.json"
    admin = Path(stack.running["admin_url"]).read_text()
    at = os.environ | {"KOMPETENSNAV_ADMIN_URL": admin}
    run(theirs / "venv/bin/kompetensnav", "provision", "introduktion", "--out", databases, env=at)
    urls = json.loads(databases.read_text())["introduktion"]
    environment = os.environ | {
        "INTRODUKTION_STACK": stack.running["stack"],
        "INTRODUKTION_NATS_URL": stack.running["nats"],
        "INTRODUKTION_NATS_SEED": (stack.folder / "keys/introduktion.nk").read_text(),
        "INTRODUKTION_DATABASE_URL": urls["app"],
        "INTRODUKTION_RELAY_DATABASE_URL": urls["relay"],
        "INTRODUKTION_OWNER_DATABASE_URL": urls["owner"],
        "INTRODUKTION_ISSUER": stack.running["issuer"],
        "INTRODUKTION_PORT": str(port),
    }
    run(theirs / "venv/bin/pitea-introduktion", "migrate", env=environment)
    with (theirs / "log").open("wb") as log:
        process = subprocess.Popen(
            [theirs / "venv/bin/pitea-introduktion", "serve"], env=environment, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


async def test_a_partners_service_hears_a_placement_and_tells_events_of_its_own(theirs, tmp_path):
    """Let in by three lines of stack.toml: it books a place for each placement, announces a day to everyone,
    and another partner hears of it over its own consumer."""
    file = tmp_path / "stack.toml"
    file.write_text('name = "pitea"\nmunicipalities = ["2581"]\n')
    add = (BIN / "kompetensnav", "topology", "add")
    run(*add, "service", "introduktion", "--listens", LISTENS, "--file", file)
    run(*add, "partner", "jobb", "--event", "introduktion.day.announced.v1", "--file", file)
    folder, port = tmp_path / ".kompetensnav", servers.free_port()
    process = start(folder, "--file", str(file))
    try:
        stack = Stack(folder, await started(process, folder), process)
        with serving(theirs, stack, port):
            url = f"http://127.0.0.1:{port}"
            await eventually(lambda: asyncio.to_thread(is_ready, url), 60)
            placement = await Town(stack, "2581").placed()
            connection = await stack.nats("jobb")
            fetching = await connection.jetstream(prefix="js.pitea.API").pull_subscribe_bind(
                "partner-jobb", "PUB_PITEA"
            )
            (message,) = await fetching.fetch(1, timeout=30)
            assert message.headers["ce-type"] == "introduktion.day.announced.v1"
            announced = json.loads(message.data)
            await message.ack()
            await connection.close()

            headers = {"authorization": f"Bearer {stack.token('coordinator', municipalities=('2581',))}"}
            answered = httpx.get(f"{url}/2581/days", headers=headers)
            assert answered.json() == [
                {"day_id": announced["day_id"], "held_on": announced["held_on"], "booked": 1}
            ]
            operator = await stack.nats("topology")
            last = await operator.jetstream().get_last_msg(
                "INT_PITEA", "nav.2581.int.introduktion.place.booked.v1"
            )
            assert json.loads(last.data)["placement_id"] == placement["placement_id"]
            assert last.headers["ce-causationid"]
            await operator.close()
            verified = await asyncio.to_thread(stack.run, "verify")
            assert verified.returncode == 0, verified.stdout
    finally:
        finish(process)
