"""NATS and PostgreSQL for tests, from the wheels or in containers.

KOMPETENSNAV_TEST_BACKEND=local|docker|auto: the wheels' unless asked otherwise; `auto` takes containers where
an engine and the images are there.
The servers listen on loopback ports either way: containers share the host's network.
"""

import functools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from kompetensnav_embedded import servers
from support.processes import taken_away

VARIABLE = "KOMPETENSNAV_TEST_BACKEND"
NATS_IMAGE = os.environ.get("NATS_IMAGE", "nats:2.15-alpine")
POSTGRES_IMAGE = os.environ.get("POSTGRES_IMAGE", "postgres:18-alpine")
WORDS = {"local": "from the wheels", "docker": f"in containers ({NATS_IMAGE}, {POSTGRES_IMAGE})"}


@functools.cache
def chosen() -> Literal["local", "docker"]:
    """Which servers this run is on. Raises UsageError for containers that are asked for and cannot be had."""
    asked = os.environ.get(VARIABLE, "local")
    if asked not in ("auto", *WORDS):
        raise pytest.UsageError(f"{VARIABLE}={asked}: write auto, local or docker")
    if asked == "local":
        return "local"
    missing = _missing()
    if missing and asked == "docker":
        raise pytest.UsageError(f"{VARIABLE}=docker, but {missing}")
    return "local" if missing else "docker"


def _missing() -> str:
    """What containers lack here; nothing is pulled."""
    import docker
    from docker.errors import DockerException, ImageNotFound

    try:
        client = docker.from_env(timeout=5)
    except DockerException as error:
        return f"no container engine answers: {type(error).__name__}"
    try:
        for image in (NATS_IMAGE, POSTGRES_IMAGE):
            client.images.get(image)
    except ImageNotFound:
        return f"the image {image} is not here; pull or build it first"
    finally:
        client.close()
    return ""


@contextmanager
def nats_server(configuration: Path, *, local: bool = False) -> Iterator[int]:
    """A NATS server with a configuration file, and its process id; stopped at the end. `local`: from the
    wheel in any case, for who signals it by its own pid file."""
    folder = configuration.parent
    with (folder / "log").open("wb") as log:
        if local or chosen() == "local":
            process = subprocess.Popen(servers.nats_command(configuration), stdout=log, stderr=log)
            try:
                yield process.pid
            finally:
                stop(process)
            return
        with _container(NATS_IMAGE, ["-c", str(configuration)], {}, folder=folder) as container:
            yield container.attrs["State"]["Pid"]


@contextmanager
def postgres_server(folder: Path, port: int) -> Iterator[str]:
    """A PostgreSQL server that does not wait for the disk, and its superuser's URL; stopped at the end."""
    url = f"postgresql://kompetensnav:test@127.0.0.1:{port}/postgres"
    if chosen() == "local":
        servers.prepare_postgres(folder, "test", durable=False)
        process = subprocess.Popen(servers.postgres_command(folder, port, durable=False), cwd="/")
        try:
            yield url
        finally:
            process.send_signal(2)
            process.wait(10)
        return
    settings = {"port": str(port), "listen_addresses": "127.0.0.1", "max_connections": "200", "fsync": "off"}
    flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    env = {"POSTGRES_USER": "kompetensnav", "POSTGRES_PASSWORD": "test", "POSTGRES_DB": "postgres"}
    with _container(POSTGRES_IMAGE, ["postgres", *flags], env, user="postgres"):
        yield url


@contextmanager
def _container(
    image: str, command: list[str], env: dict[str, str], *, folder: Path | None = None, **more: str
) -> Iterator[Any]:
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = (
        "true"  # no image for it, and `with` removes what was started
    )
    from testcontainers.core.container import DockerContainer

    made = (
        DockerContainer(image).with_command(command).with_envs(**env).with_kwargs(network_mode="host", **more)
    )
    if folder:
        made = made.with_volume_mapping(str(folder), str(folder), "rw")
    with made as container:
        wrapped = container.get_wrapped_container()
        wrapped.reload()
        with taken_away("docker", "rm", "-f", wrapped.id):
            yield wrapped


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a child."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
