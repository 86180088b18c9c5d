"""Settings that stand in files."""

import pytest
from pydantic_settings import SettingsConfigDict

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
