"""Wires notifications; reads like a table of contents."""

from fastapi import FastAPI

from kompetensnav_chassis.app import service_app
from kompetensnav_notifications import api, handlers
from kompetensnav_notifications.edges.mail import Post
from kompetensnav_notifications.jobs import JOBS
from kompetensnav_notifications.settings import Settings
from kompetensnav_notifications.tables import Outbox

LISTENER = handlers.listener
ROUTERS = (api.router,)


def app(settings: Settings) -> FastAPI:
    """Notifications as an ASGI application."""
    return service_app(
        settings,
        listener=LISTENER,
        outbox=Outbox,
        routers=ROUTERS,
        jobs=JOBS,
        state={"post": Post(settings.mail_server, settings.smtp_connections), "sender": settings.mail_from},
    )
