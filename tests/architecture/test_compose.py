"""compose.yaml and the images: a part for each service, hardened, and no more in an image than it needs."""

import importlib.util
from pathlib import Path

import pytest
import yaml

from support.packages import shared_by

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
PARTS = COMPOSE["services"]
SERVICES = sorted(path.parent.name for path in ROOT.glob("services/*/pyproject.toml"))


def pins():
    spec = importlib.util.spec_from_file_location("pins", ROOT / "deploy/docker/pins.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_hardened_and_has_limits(part):
    about = PARTS[part]
    assert about["read_only"] is True
    assert about["cap_drop"] == ["ALL"]
    assert about["security_opt"] == ["no-new-privileges:true"]
    assert about["mem_limit"]
    assert about["pids_limit"]
    assert "privileged" not in about
    assert about.get("user") != "0:0" or about["network_mode"] == "none", "root only to give a folder away"
    for published in about.get("ports", ()):
        assert published.startswith("127.0.0.1:"), "whoever opens it to others does so knowingly"
    for name, value in about.get("environment", {}).items():
        assert not name.endswith(("_SEED", "_KEY", "_PASSWORD")), f"{name}={value} is a file's"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_a_profile_of_its_own_with_its_own_secrets(service):
    for part in (service, f"{service}-migrate"):
        about = PARTS[part]
        assert about["profiles"] == [service]
        assert about["image"] == f"kompetensnav/{service}:${{KOMPETENSNAV_VERSION:-dev}}"
        assert all(name.startswith(f"{service}_") for name in about["secrets"])
    assert f"{service}_owner_database_url" not in PARTS[service]["secrets"], "it serves with least rights"
    assert "healthcheck" in PARTS[service]
    assert service in PARTS["provision"]["command"]


def test_no_part_waits_for_another_service():
    for service in SERVICES:
        waits = set(PARTS[service]["depends_on"]) - {f"{service}-migrate", "topology"}
        assert waits == set()


def test_images_install_what_the_lock_pins_for_them_and_only_their_services_wheels():
    module = pins()
    for path, text in module.files().items():
        assert path.read_text() == text, "run `make docs`"
    for service in SERVICES:
        ours = {name for name in module.needed(module.IMAGES[service]) if name.startswith("kompetensnav-")}
        assert ours == {f"kompetensnav-{service}", *shared_by(service)}
