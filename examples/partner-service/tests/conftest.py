"""A database for the tests: PostgreSQL as TEST_ADMIN_URL says, where a superuser's URL stands."""

import os

import pytest
from pitea_introduktion.tables import Outbox

from kompetensnav_chassis import testing


@pytest.fixture
async def database():
    """This service's database, empty."""
    admin = os.environ.get("TEST_ADMIN_URL")
    if not admin:
        raise pytest.UsageError("Set TEST_ADMIN_URL to a PostgreSQL superuser's URL.")
    async with testing.database(admin, "introduktion", Outbox, package="pitea_introduktion") as made:
        yield made
