"""F14: the clocks of every service and of the database jump, cross the new year and the summer time."""

import os
import subprocess
from pathlib import Path

import pytest

from support.people import people_at_work
from support.rig import rig

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(400)]


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


@pytest.mark.skipif(not library() and not os.environ.get("CI"), reason="libfaketime is missing: `make tools`")
async def test_f14_clocks_jump_while_people_work(tmp_path):
    """One hour ahead and behind, over the new year and both changes of summer time; the broker's clock, and
    the people's, go on as they were."""
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
    assert environment["LD_PRELOAD"], "libfaketime is missing: `make tools` installs it"
    async with rig(tmp_path / "stack", environment=environment) as made, people_at_work(made) as people:
        for jump in JUMPS.values():
            clock.write_text(jump)
            await people.go_on(25)
