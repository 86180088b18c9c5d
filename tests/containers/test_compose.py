"""The stack in containers: healthy, hardened, and the main job done in it though containers are killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from kompetensnav_chassis.testing import eventually
from support.packages import shared_by

pytestmark = [pytest.mark.containers, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
SERVICES = ("registry", "matching", "notifications", "reporting", "operations")
LONG = (*SERVICES, "nats", "postgres", "mail", "prometheus", "issuer")


def test_all_parts_are_healthy_and_the_broker_is_shown_to_nobody(containers):
    for service in SERVICES:
        assert httpx.get(f"{containers.running['services'][service]}/health/ready").json()["faults"] == {}
    parts = {json.loads(line)["Service"]: json.loads(line) for line in
             containers.compose("ps", "--format", "json").splitlines()}  # fmt: skip
    assert set(parts) == set(LONG)
    assert {part["Health"] for part in parts.values()} == {"healthy"}
    for part in ("nats", "postgres"):
        assert not [p for p in parts[part]["Publishers"] if p["PublishedPort"]], part


@pytest.mark.parametrize("part", LONG)
def test_a_container_may_do_little(containers, part):
    about = containers.inspect(part)
    host = about["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0
    who = subprocess.run(
        ["docker", "exec", about["Id"], "id", "-u"], capture_output=True, text=True, check=True
    )
    assert who.stdout.strip() != "0"
    secrets = {path.read_text() for path in (containers.folder / ".kompetensnav/compose/secrets").iterdir()}
    shown = json.dumps([about["Config"]["Env"], about["Config"]["Cmd"], about["Args"]])
    assert not [secret for secret in secrets if secret.strip() in shown]


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_only_its_services_wheels(containers, service):
    listed = (
        "from importlib.metadata import distributions;"
        "print(*sorted(d.name for d in distributions() if d.name.startswith('kompetensnav')))"
    )
    found = containers.compose("exec", "-T", service, "python", "-c", listed).split()
    assert found == sorted([f"kompetensnav-{service}", *shared_by(service)])


async def test_the_main_job_is_done_though_every_container_is_killed_on_the_way(containers, town):
    coordinator = {"name": "Samordnare", "email": "samordnare@kommun.example.com"}
    containers.call("PUT", "registry", "/2580/coordinator", json=coordinator, status=204)
    town.employers()
    town.slot("s", seats=2)
    for ref in ("a", "b"):
        town.learner(ref)
    drafted = {}

    async def matched():
        drafted.update(town.draft())
        return drafted["matched"] == 2

    await eventually(matched, 60)
    ids = [containers.inspect(part)["Id"] for part in (*SERVICES, "nats", "postgres")]
    town.approve(drafted["round_id"])
    subprocess.run(["docker", "kill", *ids], capture_output=True, check=True)
    containers.up()
    for offer in await town.offers(2):
        for party in offer["must_answer"]:
            path = f"/2580/offers/{offer['offer_id']}/accept"
            containers.call("POST", "registry", path, json={"party": party})
    assert await containers.link("w0.2580@firma.example.com", ".")

    async def told():
        return all(len(containers.mails(f"{ref}.2580@elev.example.com")) >= 2 for ref in ("a", "b"))

    await eventually(told, 60)

    async def counted():
        placements = containers.call("GET", "registry", "/2580/placements")
        return placements["total"] == 2

    assert await eventually(counted, 60)


def test_where_nobody_asks_for_containers_the_wheels_are_taken_though_there_is_an_engine():
    one = "tests/architecture/test_layout.py::test_no_importable_package_is_called_shared"
    asked = {name: value for name, value in os.environ.items() if name != "KOMPETENSNAV_TEST_BACKEND"}
    for backend, words in ((None, "from the wheels"), ("auto", "in containers")):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-v", one],
            cwd=ROOT, check=False, text=True, capture_output=True,
            env=asked | ({"KOMPETENSNAV_TEST_BACKEND": backend} if backend else {}),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"servers: NATS and PostgreSQL {words}" in done.stdout


async def test_prometheus_hears_of_every_service(containers):
    query = f"{containers.running['prometheus']}/api/v1/query"

    async def all_up():
        found = httpx.get(query, params={"query": "up{job='kompetensnav'} == 1"}).json()["data"]["result"]
        return len(found) == len(SERVICES)

    assert await eventually(all_up, 60)
