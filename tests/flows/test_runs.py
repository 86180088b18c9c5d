"""A run of the tests leaves nothing behind, however it ends: no process, wherever it came from."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from kompetensnav_chassis.testing import eventually

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(240)]
TESTS = Path(__file__).parents[1]
ENDLESS = '''
"""Two tests that never end, each with much that it has started."""
import asyncio, shutil
from pathlib import Path
import pytest
from playwright.async_api import async_playwright
from support.stack import start, started


@pytest.mark.anywhere
async def test_a_stack(tmp_path):
    await started(start(tmp_path / "stack"), tmp_path / "stack")
    Path("stack").touch()
    await asyncio.Event().wait()


@pytest.mark.anywhere
async def test_a_browser():
    async with async_playwright() as playwright:
        program = shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        await browser.new_page()
        Path("browser").touch()
        await asyncio.Event().wait()
'''


def left(mark):
    """(process, command) of all that has a mark in its environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "environ").read_bytes():
                found.append((int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ")[:120]))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
async def test_a_killed_run_leaves_no_process(tmp_path, how):
    """With two workers, one of which has started a stack and the other a browser."""
    (tmp_path / "test_endless.py").write_text(ENDLESS)
    mark = f"run-{uuid4()}"
    command = [sys.executable, "-m", "pytest", "-p", "support.run", "-n", "2", "--dist", "loadscope",
               "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "test_endless.py",
               "--basetemp", tmp_path / "t"]  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        run = subprocess.Popen(
            command, cwd=tmp_path, stdout=log, stderr=log,
            env=os.environ | {"PYTHONPATH": str(TESTS), "KOMPETENSNAV_MARK": mark},
        )  # fmt: skip

    async def at_work():
        assert run.poll() is None, (tmp_path / "log").read_text()
        return (tmp_path / "stack").exists() and (tmp_path / "browser").exists()

    await eventually(at_work, 90)
    assert len(left(mark)) > 15, left(mark)
    run.send_signal(how)
    run.wait()

    async def gone():
        return not left(mark)

    try:
        await eventually(gone, 40)
    except AssertionError:
        raise AssertionError(f"left running: {left(mark)}") from None
