"""Wires the console; reads like a table of contents."""

from datetime import UTC, datetime
from functools import partial

from fastapi import FastAPI
from prometheus_client import REGISTRY

from kompetensnav_chassis.app import service_app
from kompetensnav_operations import api, handlers, pages
from kompetensnav_operations.actions.snapshot import Board
from kompetensnav_operations.domain.picture import Picture
from kompetensnav_operations.edges.broker import System
from kompetensnav_operations.edges.collector import collect
from kompetensnav_operations.edges.login import Login
from kompetensnav_operations.edges.metrics import Metrics
from kompetensnav_operations.edges.notices import Hook, Mail
from kompetensnav_operations.jobs import JOBS
from kompetensnav_operations.pages.login import recognise
from kompetensnav_operations.settings import Settings
from kompetensnav_operations.tables import Outbox

LISTENER = handlers.listener
ROUTERS = (api.router, *pages.routers)


def app(settings: Settings) -> FastAPI:
    """The console as an ASGI application."""
    home = settings.public_url.rstrip("/")
    login = _login(settings, home)
    made = service_app(
        settings,
        listener=LISTENER,
        outbox=Outbox,
        routers=ROUTERS,
        jobs=JOBS,
        patient=True,
        on_air=[partial(collect, stack=settings.stack)],
        state={
            "board": Board(settings.stack, Picture(at=datetime.now(UTC))),
            "system": _system(settings),
            "channels": _channels(settings),
            "login": login,
            "recognise": recognise,
            "known": {},
            "home": home,
            "trace_url": settings.trace_url,
        },
    )
    api.answer(made)
    pages.answer(made)
    board: Board = made.state.board
    REGISTRY.register(Metrics(lambda: (board.picture, board.age)))
    return made


def _login(settings: Settings, home: str) -> Login:
    secret = settings.client_secret.get_secret_value() if settings.client_secret else None
    return Login(
        issuer=str(settings.issuer),
        client_id=settings.client_id,
        client_secret=secret,
        secret=settings.session_secret.get_secret_value(),
        home=home,
        at=settings.login_url,
    )


def _system(settings: Settings) -> System | None:
    if settings.system_seed is None:
        return None
    return System(settings.nats_url, settings.system_seed.get_secret_value().strip(), settings.nats_ca)


def _channels(settings: Settings) -> dict[str, Mail | Hook]:
    found: dict[str, Mail | Hook] = {}
    if settings.alert_mail:
        found["mail"] = Mail(settings.mail_server, settings.alert_mail)
    if settings.alert_webhook:
        secret = settings.alert_webhook_secret
        found["webhook"] = Hook(settings.alert_webhook, secret.get_secret_value() if secret else None)
    return found
