"""Wires the registry; reads like a table of contents."""

from fastapi import FastAPI

from kompetensnav_chassis import outgoing
from kompetensnav_chassis.app import service_app
from kompetensnav_pages import assets
from kompetensnav_registry import handlers
from kompetensnav_registry.actors import api as actors
from kompetensnav_registry.actors import pages as actors_pages
from kompetensnav_registry.exchange import api as exchange
from kompetensnav_registry.exchange import pages as exchange_pages
from kompetensnav_registry.ground.api import organisations
from kompetensnav_registry.ground.domain import editing, finishing, texts
from kompetensnav_registry.ground.edges.links import Links
from kompetensnav_registry.ground.edges.seal import Seal
from kompetensnav_registry.ground.pages import catalogue
from kompetensnav_registry.jobs import JOBS
from kompetensnav_registry.ledger import api as ledger
from kompetensnav_registry.ledger import pages as ledger_pages
from kompetensnav_registry.ledger.domain import ledger as account
from kompetensnav_registry.ledger.domain import offers
from kompetensnav_registry.people import api as people
from kompetensnav_registry.people import pages as people_pages
from kompetensnav_registry.people.domain import agreements, esf
from kompetensnav_registry.rules import api as rules
from kompetensnav_registry.settings import Settings
from kompetensnav_registry.tables import Outbox

LISTENER = handlers.listener
ROUTERS = (
    organisations.router,
    rules.router,
    *ledger.ROUTERS,
    *actors.ROUTERS,
    *people.ROUTERS,
    exchange.router,
    *ledger_pages.ROUTERS,
    *actors_pages.ROUTERS,
    people_pages.router,
    exchange_pages.router,
    catalogue.router,
)
DOMAINS = (editing, finishing, texts, account, offers, agreements, esf)
"""Where refusals are declared."""


def app(settings: Settings) -> FastAPI:
    """The registry as an ASGI application."""
    before = settings.link_secret_before.get_secret_value() if settings.link_secret_before else None
    links = Links(settings.link_secret.get_secret_value(), settings.public_url, before)
    handlers.answer_contacts(links)
    built = service_app(
        settings,
        listener=LISTENER,
        outbox=Outbox,
        routers=ROUTERS,
        jobs=JOBS,
        domains=DOMAINS,
        state={
            "links": links,
            "networks": outgoing.networks(settings.networks),
            "import_bytes": settings.import_bytes,
            "seal": Seal(settings.vault_key.get_secret_value()),
            "neighbours": frozenset(filter(None, settings.neighbours.split(","))),
        },
    )
    assets.mount(built)
    return built
