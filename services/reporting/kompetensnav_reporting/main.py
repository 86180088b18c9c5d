"""Wires reporting; reads like a table of contents."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI

from kompetensnav_chassis.app import service_app
from kompetensnav_reporting import actions, api, domain, handlers
from kompetensnav_reporting.edges.log import read_log
from kompetensnav_reporting.settings import Settings
from kompetensnav_reporting.tables import Outbox

LISTENER = handlers.listener
ROUTERS = (api.router,)


def app(settings: Settings) -> FastAPI:
    """Reporting as an ASGI application."""
    return service_app(settings, listener=LISTENER, outbox=Outbox, routers=ROUTERS)


async def recount_log(
    running: dict[str, Any], municipality: str, administrations: Sequence[str], by: Sequence[str]
) -> list[domain.Line]:
    """The report's lines, counted anew from the event log of a running stack."""
    rows = []
    async for event in read_log(running, municipality, actions.EVENTS):
        if event.envelope.administration is None or event.envelope.administration in administrations:
            rows.append(actions.fact(event))
    return domain.recount(rows, by)
