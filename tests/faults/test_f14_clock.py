"""F14: the clocks of all services jump, cross the new year and summer time, and differ from the servers'."""

import json
import os
import subprocess
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from kompetensnav_chassis.ready import is_ready
from kompetensnav_chassis.testing import eventually
from kompetensnav_embedded import servers
from support.people import people_at_work
from support.rig import SERVICES
from support.stack import BIN

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]


def library():
    """libfaketime, which gives a process another clock; `make tools` installs it."""
    found = subprocess.run(
        ["find", "/usr/lib", "-name", "libfaketime.so.1"], capture_output=True, text=True, check=False
    ).stdout.split()
    return found[0] if found else ""


JUMPS = {
    "an hour ahead": "+1h",
    "an hour behind": "-1h",
    "over the new year": "@2026-12-31 23:59:55",
    "into summer time": "@2027-03-28 00:59:55",
    "out of summer time": "@2027-10-31 00:59:55",
    "as it was": "+0",
}


@contextmanager
def issuer(struck, environment):
    """An issuer of tokens whose clock is that of the services; its address."""
    port = servers.free_port()
    key = struck.stack.folder / "keys/issuer.json"
    process = subprocess.Popen(
        [BIN / "kompetensnav", "issuer", "--key", key, "--port", str(port)], env=os.environ | environment
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.skipif(not library() and not os.environ.get("CI"), reason="libfaketime is missing: `make tools`")
async def test_f14_clocks_jump_while_people_work(struck, tmp_path):
    """One hour ahead and behind, over the new year and both changes of summer time, while the database, the
    broker and the people keep their own time."""
    assert library(), "libfaketime is missing: `make tools` installs it"
    clock = Path(tmp_path) / "clock"
    clock.write_text("+0")
    environment = {
        "LD_PRELOAD": library(),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "TZ": "Europe/Stockholm",
    }
    running = json.loads((struck.stack.folder / "run.json").read_text())
    async with AsyncExitStack() as open_:
        running["issuer"] = open_.enter_context(issuer(struck, environment))

        async def issues():
            return is_ready(running["issuer"])

        await eventually(issues)
        for service in SERVICES:
            settings = environment | {f"{service.upper()}_ISSUER": running["issuer"]}
            running["services"][service] = await open_.enter_async_context(struck.second(service, settings))
        open_.enter_context(struck.stopped(*SERVICES))
        (tmp_path / "run.json").write_text(json.dumps(running))
        async with people_at_work(struck, tmp_path / "run.json") as people:
            for jump in JUMPS.values():
                clock.write_text(jump)
                await people.go_on(20)
    await struck.back()
