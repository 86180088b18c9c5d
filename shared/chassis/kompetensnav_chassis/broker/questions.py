"""Questions between services: NATS request and reply on `ask.<municipality>.<service>.<thing>`, answered by
endpoints of the service that `announce` makes (NATS' architecture decision 32)."""

import json
from typing import Any

import nats.errors
import structlog
from faststream.nats import NatsBroker
from nats.micro.request import ERROR_HEADER, Request, ServiceError
from nats.micro.service import Service

from kompetensnav_chassis import wire
from kompetensnav_chassis.broker.connection import client
from kompetensnav_chassis.broker.listener import Answerer, Listener
from kompetensnav_chassis.broker.upstream import reply_of
from kompetensnav_chassis.db import Sessions

log = structlog.get_logger()
SECONDS = 5.0
"""How long an answer is waited for."""


async def answer(service: Service, listener: Listener, sessions: Sessions) -> None:
    """Adds an endpoint for each question that the service answers; one of its instances answers each."""
    for thing, answerer in listener.questions.items():
        await service.add_endpoint(
            name=thing,
            subject=f"ask.*.{listener.service}.{thing}",
            queue_group=listener.service,
            handler=_handler(answerer, sessions),
        )


def _handler(answerer: Answerer, sessions: Sessions) -> Any:
    async def handle(request: Request) -> None:
        if not reply_of(request).startswith("_INBOX"):  # it would be stored where events are
            log.warning("question_refused", why="the answer would go to no inbox")
            return
        try:
            answered = await answerer(request.subject.split(".")[1], json.loads(request.data), sessions)
        except Exception as error:  # only its kind is told: what it says may be personal
            log.warning("question_not_answered", error=type(error).__name__)
            raise ServiceError("500", type(error).__name__) from None
        await request.respond(wire.dumps(answered))

    return handle


async def ask(broker: NatsBroker, municipality: str, service: str, thing: str, question: Any) -> Any:
    """The answer to a question. Raises TimeoutError when nobody answers in time, or cannot just now."""
    try:
        answered = await client(broker).request(
            f"ask.{municipality}.{service}.{thing}", wire.dumps(question), timeout=SECONDS
        )
    except (nats.errors.NoRespondersError, nats.errors.TimeoutError) as silent:
        raise TimeoutError(f"{service} does not answer") from silent
    if failed := (answered.headers or {}).get(ERROR_HEADER):
        raise TimeoutError(f"{service} cannot answer now: {failed}")
    return json.loads(answered.data)
