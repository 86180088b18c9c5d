"""The soak: it strikes what its seed says, verifies, writes its result, or proves nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from faults.soak import plan

from kompetensnav_chassis.testing import eventually

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(240)]
TESTS = Path(__file__).parents[1]
KEYS = {
    "acked", "lost", "duplicated", "phantom", "unknown", "violations", "kills", "cuts", "recovery_p50_s",
    "recovery_p95_s", "seed",
}  # fmt: skip


def soak(out, kills, seed):
    """A soak in a process of its own."""
    command = [sys.executable, TESTS / "faults/soak.py", "--kills", str(kills), "--seed", str(seed)]
    return subprocess.Popen(
        [*command, "--out", out], env=os.environ | {"PYTHONPATH": str(TESTS)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_seed_says_what_is_struck():
    assert plan(200, 1) == plan(200, 1) != plan(200, 2)
    assert {strike.how for strike in plan(200, 1)} >= {"kill", "cut", "reset", "hang", "one-way", "freeze"}
    assert {strike.part for strike in plan(200, 1)} >= {"nats", "postgres", "registry", "matching"}


def test_a_soak_strikes_verifies_and_writes_its_result(tmp_path):
    running = soak(tmp_path, 8, 3)
    printed, why = running.communicate()
    assert running.returncode == 0, why
    result = json.loads((tmp_path / "result.json").read_text())
    assert result.keys() >= KEYS
    assert (result["kills"] + result["cuts"], result["seed"], result["violations"]) == (8, 3, 0)
    assert result["acked"] > 0
    assert "0 violations" in printed


async def test_a_soak_whose_people_died_proves_nothing(tmp_path):
    running = soak(tmp_path, 500, 1)

    async def at_work():
        assert running.poll() is None
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"support.load" in line and str(tmp_path).encode() in line:
                return int(entry.name) if list(tmp_path.glob("asked-*")) else 0
        return 0

    os.kill(await eventually(at_work, 60), signal.SIGKILL)
    _, why = running.communicate()
    assert running.returncode == 1
    assert "the load generator died" in why
    assert "SEED=1" in why
    assert not (tmp_path / "result.json").exists()
