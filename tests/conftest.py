"""One whole stack for the stories, started as a person would: `kompetensnav up`."""

from typing import Any

import pytest

from kompetensnav_pages import testing
from support.console import HOOK_SECRET, STACK_FILE, Console
from support.receiver import receiver
from support.rig import rig
from support.stack import Stack, Town, finish, start, started


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The stack that most stories share; each uses municipalities of its own."""
    folder = tmp_path_factory.mktemp("stack") / ".kompetensnav"
    process = start(folder)
    try:
        yield Stack(folder, await started(process, folder), process)
    finally:
        finish(process)


@pytest.fixture
def towns(stack: Stack) -> Any:
    """Makes a town of a code."""
    return lambda code, placement_type="apl": Town(stack, code, placement_type)


@pytest.fixture(scope="module")
async def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A stack that no other module touches, and towns in it."""
    folder = tmp_path_factory.mktemp("own") / ".kompetensnav"
    process = start(folder)
    try:
        made = Stack(folder, await started(process, folder), process)
        yield made, lambda code, placement_type="apl": Town(made, code, placement_type)
    finally:
        finish(process)


@pytest.fixture(scope="module")
async def chromium() -> Any:
    """A browser."""
    async with testing.chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
async def console(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A stack whose console is tried: short pauses between tries, and alerts that go to a receiver."""
    folder = tmp_path_factory.mktemp("console")
    (folder / "failpoints").mkdir()
    with receiver() as hook:
        settings = {
            "MATCHING_RETRY_SECONDS": "[0.1, 0.2]",
            "KOMPETENSNAV_FAILPOINTS": str(folder / "failpoints"),
            "OPERATIONS_ALERT_WEBHOOK": hook.url,
            "OPERATIONS_ALERT_WEBHOOK_SECRET": HOOK_SECRET,
        }
        file = folder / "stack.toml"
        file.write_text(STACK_FILE)
        async with rig(folder / "stack", through=(), environment=settings, file=file) as made:
            yield Console(made, hook, folder / "failpoints")
