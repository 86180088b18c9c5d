"""What notifications does because a message is due: ask how to reach the recipient, hand over, settle."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, TypedDict
from uuid import UUID

import aiosmtplib
import structlog
from fastapi import FastAPI

from kompetensnav_chassis.app import Job
from kompetensnav_chassis.broker import questions
from kompetensnav_chassis.db import EVERYONE, transaction
from kompetensnav_notifications import actions
from kompetensnav_notifications.edges.mail import Post, mail_of
from kompetensnav_notifications.edges.texts import compose
from kompetensnav_notifications.tables import Message

log = structlog.get_logger()
BATCH = 96
PAUSE = timedelta(seconds=5)
SENT, LATER = "sent", "later"


async def send(app: FastAPI) -> bool:
    """Sends a batch of due messages in waves, one message a connection; a wave is settled right after it was
    handed over, so that a kill repeats at most as many messages as there are connections."""
    async with transaction(app.state.sessions, EVERYONE) as session:
        rows = await actions.claim(session, now=datetime.now(UTC), most=BATCH)
        counted = await actions.counts(session, rows)
    if not rows:
        return False
    contacts = await _contacts(app, rows)
    post: Post = app.state.post
    for wave in batched(rows, post.connections):
        await _send(app, wave, counted, contacts)
    return True


def batched(rows: Sequence[Message], size: int) -> list[Sequence[Message]]:
    """The rows in groups of a size."""
    return [rows[i : i + size] for i in range(0, len(rows), size)]


class Contact(TypedDict):
    """How a recipient is reached, as the registry answers. Kept nowhere."""

    email: str
    language: Literal["sv", "en"]
    link: str | None


async def _contacts(app: FastAPI, rows: Sequence[Message]) -> dict[UUID, Contact | None]:
    """Message id -> contact (None = cannot be reached). Who is not in it: nobody answered the question; try
    again later."""
    groups: dict[tuple[str, str | None], list[Message]] = defaultdict(list)
    for row in rows:
        groups[row.municipality, row.administration].append(row)

    async def ask(key: tuple[str, str | None], group: list[Message]) -> dict[UUID, Contact | None]:
        municipality, administration = key
        asked = [_question(row) for row in group]
        try:
            answers = await questions.ask(
                app.state.broker,
                municipality,
                "registry",
                "contact",
                {"administration": administration, "questions": asked},
            )
        except TimeoutError:
            log.warning("registry_does_not_answer", municipality=municipality, questions=len(asked))
            return {}
        return {row.message_id: answer for row, answer in zip(group, answers, strict=True)}

    found = await asyncio.gather(*(ask(key, group) for key, group in groups.items()))
    return {id: contact for part in found for id, contact in part.items()}


def _question(row: Message) -> dict[str, str]:
    asked = {"party": row.party, "round_id": str(row.round_id), "kind": row.kind}
    if row.offer_id:
        asked |= {"learner_id": str(row.recipient_id), "offer_id": str(row.offer_id)}
    elif row.workplace_id:
        asked["workplace_id"] = str(row.workplace_id)
    return asked


async def _send(
    app: FastAPI,
    wave: Sequence[Message],
    counted: dict[UUID, dict[str, int]],
    contacts: dict[UUID, Contact | None],
) -> None:
    async def hand_over(row: Message) -> str:
        if row.message_id not in contacts:
            return LATER
        return await _hand_over(app, row, counted.get(row.message_id, {}), contacts[row.message_id])

    outcomes = await asyncio.gather(*(hand_over(row) for row in wave))
    now = datetime.now(UTC)
    async with transaction(app.state.sessions, EVERYONE) as session:
        for outcome in set(outcomes):
            rows = [row for row, what in zip(wave, outcomes, strict=True) if what == outcome]
            if outcome != LATER:
                await actions.settle(
                    session, rows=rows, now=now, failure=None if outcome == SENT else outcome
                )
                continue
            for row in rows:
                pause = min(PAUSE * 2 ** min(row.attempts, 8), timedelta(minutes=15))
                await actions.put_back(session, message_id=row.message_id, due_at=now + pause)


async def _hand_over(app: FastAPI, row: Message, counted: Mapping[str, int], contact: Contact | None) -> str:
    """SENT, LATER, or why the message will never be sent."""
    if contact is None:
        return "no_contact"
    post: Post = app.state.post
    try:
        data, n = {**row.data, **counted}, counted.get("offered", row.data.get("days_left", 1))
        subject, text, html = compose(row.kind, row.party, contact["language"], contact["link"], data, n)
        message = mail_of(
            sender=app.state.sender,
            to=contact["email"],
            subject=subject,
            text=text,
            html=html,
            message_id=row.message_id,
            language=contact["language"],
            at=row.made_at,
        )
        return SENT if await post.send(contact["email"], message) else "refused"
    except (OSError, aiosmtplib.SMTPException) as down:
        log.warning("mail_server_failed", error=type(down).__name__)
        return LATER
    except Exception as bad:  # one message that cannot be sent must not hold back the wave it is in
        log.error("message_cannot_be_sent", kind=row.kind, error=type(bad).__name__)
        return "refused"


JOBS = (Job(actions.JOB, 1, send),)
