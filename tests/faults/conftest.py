"""The stack that is struck: services through proxies, failpoints to be armed, short pauses between tries."""

from typing import Any

import pytest

from support.rig import SERVICES, rig

RETRY = "[0.2, 0.5, 1]"


@pytest.fixture(scope="module")
async def struck(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One for the tests of a module, each of which heals what it has hurt. A longer log takes longer to
    verify, so no more of them share one."""
    folder = tmp_path_factory.mktemp("struck")
    (folder / "failpoints").mkdir()
    settings = {f"{service.upper()}_RETRY_SECONDS": RETRY for service in SERVICES}
    settings["KOMPETENSNAV_FAILPOINTS"] = str(folder / "failpoints")
    async with rig(folder / "stack", environment=settings) as made:
        yield made
