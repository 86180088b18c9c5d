"""Wires the service."""

from fastapi import FastAPI

from kompetensnav_chassis.app import service_app
from pitea_introduktion import api, handlers
from pitea_introduktion.settings import Settings
from pitea_introduktion.tables import Outbox

LISTENER = handlers.listener
ROUTERS = (api.router,)


def app(settings: Settings) -> FastAPI:
    """The service as an ASGI application."""
    return service_app(settings, listener=LISTENER, outbox=Outbox, routers=ROUTERS)


__all__ = ["LISTENER", "ROUTERS", "Outbox", "Settings", "app"]
