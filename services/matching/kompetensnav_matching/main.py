"""Wires matching; reads like a table of contents."""

from fastapi import FastAPI

from kompetensnav_chassis.app import service_app
from kompetensnav_matching import api, handlers, pages
from kompetensnav_matching.domain import rules
from kompetensnav_matching.jobs import JOBS
from kompetensnav_matching.settings import Settings
from kompetensnav_matching.tables import Outbox

LISTENER = handlers.listener
ROUTERS = (*api.ROUTERS, pages.router)


def app(settings: Settings) -> FastAPI:
    """Matching as an ASGI application."""
    return service_app(
        settings, listener=LISTENER, outbox=Outbox, routers=ROUTERS, jobs=JOBS, domains=(rules,)
    )
