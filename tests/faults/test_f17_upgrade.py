"""F17, a rolling upgrade under load: the next version's migration, then each service started again."""

import asyncio
import json
import os
import signal
import subprocess

import pytest

from kompetensnav_chassis.testing import eventually
from support.next_version import next_version
from support.people import people_at_work
from support.rig import SERVICES
from support.stack import BIN

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(240)]


async def test_f17_services_are_upgraded_one_by_one_while_people_work(struck, tmp_path):
    """The schema is one version ahead of the services for a while; each ends its work in order and comes
    back; what was acknowledged is kept."""
    urls = json.loads((struck.stack.folder / "databases.json").read_text())
    async with people_at_work(struck) as people:
        await people.go_on(5)
        done = await asyncio.to_thread(
            subprocess.run,
            [BIN / "kompetensnav-registry", "migrate"],
            env=os.environ
            | {
                "PYTHONPATH": str(next_version(tmp_path)),
                "REGISTRY_OWNER_DATABASE_URL": urls["registry"]["owner"],
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        await people.go_on(5)
        for service in SERVICES:
            was = struck.signal(service, signal.SIGTERM)

            async def replaced(service=service, was=was):
                return struck.pid(service) not in (0, was)

            await eventually(replaced, 40)
            await struck.back(service)
            await people.go_on(3)
    columns = await struck.stack.sql(
        "registry",
        "select 1 from information_schema.columns where column_name = 'next_version'",
        role="owner",
    )
    assert len(columns) == 1
