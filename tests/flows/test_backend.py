"""The servers that tests run on: chosen by name, said in the header, and never silently another."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ONE = "tests/architecture/test_layout.py::test_no_importable_package_is_called_shared"


def run(backend):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-v", ONE], cwd=ROOT, capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "KOMPETENSNAV_TEST_BACKEND": backend,
             "DOCKER_HOST": "unix:///nowhere/docker.sock"},
    )  # fmt: skip


@pytest.mark.parametrize("backend", ["local", "auto"])
def test_where_there_is_no_engine_the_wheels_are_taken_and_the_header_says_so(backend):
    done = run(backend)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "servers: NATS and PostgreSQL from the wheels" in done.stdout


@pytest.mark.parametrize(("backend", "said"), [
    ("docker", "KOMPETENSNAV_TEST_BACKEND=docker, but no container engine answers"),
    ("podman", "write auto, local or docker"),
])  # fmt: skip
def test_containers_that_are_asked_for_and_cannot_be_had_stop_the_run(backend, said):
    done = run(backend)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in done.stdout + done.stderr
