"""The secrets of a stack in containers."""

import json
import stat
import subprocess
import sys
from pathlib import Path

from kompetensnav_topology.stack import read_services

KOMPETENSNAV = Path(sys.executable).parent / "kompetensnav"


def made(out):
    done = subprocess.run(
        [KOMPETENSNAV, "topology", "containers", "--out", out], capture_output=True, text=True, check=True
    )
    return done.stdout, {path.name: path.read_text() for path in (out / "secrets").iterdir()}


def test_secrets_are_made_once_kept_and_never_printed(tmp_path):
    printed, first = made(tmp_path / "compose")
    folder = tmp_path / "compose/secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}
    assert len(set(first.values())) == len(first)
    assert not [name for name, value in first.items() if value in printed]
    (folder / "databases.json").unlink()
    _, again = made(tmp_path / "compose")
    assert again == first


def test_every_service_has_a_url_for_each_role(tmp_path):
    _, secrets = made(tmp_path)
    urls = json.loads(secrets["databases.json"])
    assert set(urls) == {service.name for service in read_services()}
    for service, roles in urls.items():
        assert set(roles) == {"owner", "app", "relay", "care"}
        assert secrets[f"{service}_database_url"] == roles["app"]
        assert all(url.startswith(f"postgresql://{service}_{role}:") for role, url in roles.items())
