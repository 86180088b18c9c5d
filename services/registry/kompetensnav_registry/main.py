"""Wires the registry; reads like a table of contents."""

from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from kompetensnav_chassis.app import service_app
from kompetensnav_registry import api, domain, handlers, pages
from kompetensnav_registry.edges.links import Links
from kompetensnav_registry.edges.seal import Seal
from kompetensnav_registry.jobs import JOBS
from kompetensnav_registry.settings import Settings
from kompetensnav_registry.tables import Outbox

LISTENER = handlers.listener
ROUTERS = (*api.ROUTERS, *pages.ROUTERS)


def app(settings: Settings) -> FastAPI:
    """The registry as an ASGI application."""
    links = Links(settings.link_secret.get_secret_value(), settings.public_url)
    handlers.answer_contacts(links)
    built = service_app(
        settings,
        listener=LISTENER,
        outbox=Outbox,
        routers=ROUTERS,
        jobs=JOBS,
        domains=domain.MODULES,
        state={
            "links": links,
            "seal": Seal(settings.vault_key.get_secret_value()),
            "neighbours": frozenset(filter(None, settings.neighbours.split(","))),
        },
    )
    built.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    return built
