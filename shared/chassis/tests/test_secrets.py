"""Settings that stand in files, and the issuer that answers containers."""

import httpx
import pytest
from joserfc.jwk import ECKey
from pydantic_settings import SettingsConfigDict

from kompetensnav_chassis import issuer
from kompetensnav_chassis.settings import ServiceSettings, read, secret


class Settings(ServiceSettings):
    """Settings of a service that is called `some`."""

    model_config = SettingsConfigDict(env_prefix="SOME_", frozen=True, extra="ignore", env_ignore_empty=True)


@pytest.fixture
def files(tmp_path, monkeypatch):
    for name, value in (
        ("some_database_url", "postgresql://a:b@db/some"),
        ("some_relay_database_url", "postgresql://r:b@db/some\n"),
        ("some_nats_seed", "SUA"),
    ):
        (tmp_path / name).write_text(value)
    monkeypatch.setenv("KOMPETENSNAV_SECRETS", str(tmp_path))
    return tmp_path


def test_a_setting_may_stand_in_a_file_and_the_environment_goes_first(files, monkeypatch):
    monkeypatch.setenv("SOME_DATABASE_URL", "postgresql://c:d@db/some")
    found = read(Settings)
    assert str(found.database_url) == "postgresql://c:d@db/some"
    assert str(found.relay_database_url) == "postgresql://r:b@db/some"
    assert found.nats_seed.get_secret_value() == "SUA"
    assert secret("SOME_NATS_SEED") == "SUA"
    assert secret("SOME_OTHER") is None


def test_a_broken_file_is_named_and_not_shown(files):
    (files / "some_database_url").write_text("hemligt")
    with pytest.raises(SystemExit) as stopped:
        read(Settings)
    assert "SOME_DATABASE_URL" in str(stopped.value)
    assert "hemligt" not in str(stopped.value)


@pytest.mark.parametrize(("client", "networks", "status"), [
    ("127.0.0.1", (), 200),
    ("172.18.0.1", (), 403),
    ("172.18.0.1", ("172.16.0.0/12",), 200),
    ("192.0.2.7", ("172.16.0.0/12",), 403),
])  # fmt: skip
async def test_the_issuer_answers_this_machine_and_the_networks_it_is_told(client, networks, status):
    made = issuer.app(ECKey.generate_key("P-256"), "http://issuer:8080", networks=networks)
    transport = httpx.ASGITransport(made, client=(client, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://issuer:8080") as http:
        assert (await http.get("/keys")).status_code == status


def test_a_network_that_is_not_private_is_refused():
    with pytest.raises(ValueError, match="not a private network"):
        issuer.app(ECKey.generate_key("P-256"), "http://issuer:8080", networks=["8.8.8.0/24"])
