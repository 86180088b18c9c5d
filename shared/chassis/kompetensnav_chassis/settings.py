"""What every service reads from its environment; each adds its own fields and prefix.

A secret may stand in a file of the setting's name instead (`/run/secrets/registry_vault_key`), as container
engines lay them; the environment goes before it.
"""

import os
import sys
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, FilePath, HttpUrl, NonNegativeInt, PostgresDsn, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

S = TypeVar("S", bound="ServiceSettings")


class ServiceSettings(BaseSettings):
    """The settings all services share."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    stack: str = Field("local", pattern=r"^[a-z][a-z0-9_]{0,30}$", description="Name of the stack.")
    nats_url: str = Field(
        "nats://127.0.0.1:4222",
        description="NATS server; the nodes of a cluster with commas between.",
        pattern=r"^(nats|tls)://",
    )
    nats_ca: FilePath | None = Field(
        None, description="Certificate of who vouches for a NATS server with tls://; empty = the system's."
    )
    nats_seed: SecretStr | None = Field(None, description="nkey seed of the service's NATS user.")
    database_url: PostgresDsn = Field(description="Database, as the service's app role.")
    relay_database_url: PostgresDsn = Field(description="The same database, as the relay role.")
    owner_database_url: PostgresDsn | None = Field(
        None, description="The same database, as the owner role; only `migrate` needs it."
    )
    issuer: HttpUrl = Field(HttpUrl("http://127.0.0.1:8080"), description="OIDC issuer of tokens.")
    audience: str = Field("kompetensnav", description="Audience a token must name.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: NonNegativeInt = Field(8000, le=65535, description="Port to listen on.")
    public_url: str = Field(
        "http://127.0.0.1:8000", description="How people reach the service; used in links."
    )
    retry_seconds: tuple[float, ...] = Field(
        (1, 5, 30, 120, 600), description="Pauses before each new try of a failing message, seconds."
    )
    security_log: Path | None = Field(
        None, description="File of the security log; empty = lines on standard output."
    )
    trace_endpoint: HttpUrl | None = Field(None, description="OTLP/HTTP endpoint for traces; empty = off.")


def secrets_folder() -> Path:
    """Where secrets lie in files named as the settings, in lower case."""
    return Path(os.environ.get("KOMPETENSNAV_SECRETS", "/run/secrets"))


def secret(name: str) -> str | None:
    """A single setting from the environment or its file; None when it is in neither."""
    path = secrets_folder() / name.lower()
    return os.environ.get(name) or (path.read_text().strip() if path.exists() else None)


def read(settings: type[S]) -> S:
    """The settings from the environment and the files of secrets; a missing or broken one stops the start
    with one readable line."""
    more: dict[str, Any] = {"_secrets_dir": secrets_folder()} if secrets_folder().is_dir() else {}
    try:
        return settings(**more)
    except ValidationError as broken:
        prefix = settings.model_config.get("env_prefix", "")
        faults = "; ".join(
            f"{prefix}{'_'.join(str(part) for part in e['loc'])}".upper() + f": {e['msg']}"
            for e in broken.errors()
        )
        sys.exit(f"Settings do not fit: {faults}")


def table(settings: type[ServiceSettings]) -> str:
    """The README's table of settings."""
    prefix = settings.model_config.get("env_prefix", "")
    rows = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for name, field in settings.model_fields.items():
        default = (
            "*required*" if field.is_required() else f"`{field.default}`" if field.default is not None else ""
        )
        rows.append(f"| `{prefix}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)
