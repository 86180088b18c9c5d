"""F17, a rolling upgrade under load: the next version's migration, then each service started again."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import kompetensnav_registry
from kompetensnav_chassis.testing import eventually
from support.people import people_at_work
from support.rig import SERVICES
from support.stack import BIN

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(240)]

NEXT = '''"""The next version: a column more, which this version does not know."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{last}"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("slot", sa.Column("next_version", sa.String(10), nullable=True))


def downgrade():
    op.drop_column("slot", "next_version")
'''


def next_version(folder):
    """A copy of the registry with a migration more."""
    package = Path(kompetensnav_registry.__file__).parent
    shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    versions = folder / package.name / "migrations/versions"
    last = max(path.name[:4] for path in versions.glob("[0-9]*.py"))
    (versions / "9999_next.py").write_text(NEXT.format(last=last))
    return folder


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
