"""Secrets of a stack in containers: a file each, made once and kept, named as the services' settings.

The folder is the owner's alone (0700). The files in it can be read by whoever an image runs as (0444): the
engine lays each into the one container that names it.
"""

import base64
import json
import secrets
from collections.abc import Iterable
from pathlib import Path

from kompetensnav_topology.stack import Service
from kompetensnav_topology.stackfile import Partner

ROLES = ("owner", "app", "relay", "care")
"""Roles of a service's database."""
SETTINGS = {"app": "database_url"} | {role: f"{role}_database_url" for role in ("owner", "relay", "care")}
KEYS = {"registry": ("vault_key", "link_secret"), "operations": ("session_secret",)}
"""Further keys that a service needs."""
DATABASE = "postgres:5432"


def write(out: Path, services: Iterable[Service]) -> None:
    """Writes OUT/secrets/; the nkey seeds are those of OUT/keys/."""
    folder = out / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def keep(name: str, value: str) -> str:
        path = folder / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(value)
            path.chmod(0o444)
        return path.read_text()

    admin = keep("postgres_password", secrets.token_urlsafe(24))
    keep("kompetensnav_admin_url", f"postgresql://kompetensnav:{admin}@{DATABASE}/postgres")
    keep("topology_nats_seed", (out / "keys/topology.nk").read_text())
    urls = {}
    for service in services:
        keep(f"{service.name}_nats_seed", (out / f"keys/{service.name}.nk").read_text())
        if service.operates:
            keep(f"{service.name}_system_seed", (out / "keys/system.nk").read_text())
        for name in KEYS.get(service.name, ()):
            keep(f"{service.name}_{name}", secrets.token_urlsafe(36))
        urls[service.name] = {
            role: keep(
                f"{service.name}_{SETTINGS[role]}",
                f"postgresql://{service.name}_{role}:{secrets.token_urlsafe(24)}@{DATABASE}/{service.name}",
            )
            for role in ROLES
        }
    databases = folder / "databases.json"
    if not databases.exists() or json.loads(databases.read_text()) != urls:
        databases.unlink(missing_ok=True)
        keep("databases.json", json.dumps(urls, indent=1))


def write_webhooks(out: Path, stack: str, partners: Iterable[Partner]) -> None:
    """Writes OUT/webhooks.json, which `kompetensnav webhooks` reads, and a signing secret for each; no file
    when there is none."""
    rows = [
        {
            "name": partner.name,
            "url": partner.webhook,
            "contact": partner.contact,
            "stream": f"PUB_{stack.upper()}",
            "durable": partner.durable,
        }
        for partner in partners
    ]
    path = out / "webhooks.json"
    if not rows and not path.exists():
        return
    for row in rows:
        secret = out / f"keys/{row['name']}.whsec"
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text(_signing_secret())
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(rows, indent=1))
    new.replace(path)


def renew_webhook(path: Path) -> None:
    """Puts a new signing secret first; the one before stays second, for both are good for a while."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(_signing_secret() + path.read_text().splitlines()[0] + "\n")
    new.replace(path)


def _signing_secret() -> str:
    """As Standard Webhooks write it: whsec_ and 32 random bytes in base64."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}\n"
