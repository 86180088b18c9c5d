"""Wires notifications; reads like a table of contents."""

from fastapi import FastAPI

from kompetensnav_chassis.app import service_app
from kompetensnav_notifications import api, handlers
from kompetensnav_notifications.edges.mail import Post, Server
from kompetensnav_notifications.jobs import JOBS
from kompetensnav_notifications.settings import Settings
from kompetensnav_notifications.tables import Outbox

LISTENER = handlers.listener
ROUTERS = (api.router,)


def app(settings: Settings) -> FastAPI:
    """Notifications as an ASGI application."""
    password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
    server = Server(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.mail_from,
        user=settings.smtp_user,
        password=password,
        start_tls=settings.smtp_start_tls,
    )
    return service_app(
        settings,
        listener=LISTENER,
        outbox=Outbox,
        routers=ROUTERS,
        jobs=JOBS,
        state={"post": Post(server, settings.smtp_connections), "sender": settings.mail_from},
    )
