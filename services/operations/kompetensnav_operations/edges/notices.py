"""Alerts by mail and by webhook. Neither holds anything but the rule, the queue or server, and numbers."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from uuid import UUID

import aiosmtplib
import httpx
from standardwebhooks.webhooks import Webhook

from kompetensnav_chassis.mail import MailServer

PATIENCE = 10.0


@dataclass(frozen=True)
class Told:
    """What is told of an alert, when it begins and when it ends."""

    alert_id: UUID
    event: str
    stack: str
    rule: str
    target: str
    value: float
    limit: float
    at: datetime
    title: str
    """In Swedish and English."""
    runbook: str
    """What it means and what to do: an address."""


class Failed(Exception):
    """It was not taken; tried again later."""


@dataclass(frozen=True)
class Mail:
    """A mail server, and who is written to."""

    server: MailServer
    to: str

    async def tell(self, told: Told) -> None:
        """Sends a message. Raises Failed."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.server.sender, self.to, told.title
        message["Message-ID"] = f"<{told.alert_id}.{told.event}@operations.kompetensnav>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(
            f"{told.title}\n\n{told.rule}: {told.target}\n{told.value:g} (> {told.limit:g})\n"
            f"{told.at:%Y-%m-%d %H:%M:%S} UTC\n\n{told.runbook}\n"
        )
        try:
            await self.server.send(message)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as down:
            raise Failed(type(down).__name__) from down


@dataclass(frozen=True)
class Hook:
    """An address that is posted to, signed as Standard Webhooks say when there is a secret."""

    url: str
    secret: str | None

    async def tell(self, told: Told) -> None:
        """Posts it. Raises Failed."""
        said = {
            "type": f"alert.{told.event}",
            "timestamp": told.at.isoformat(),
            "data": {
                "alert_id": str(told.alert_id), "stack": told.stack, "rule": told.rule, "target": told.target,
                "value": told.value, "limit": told.limit, "title": told.title, "runbook": told.runbook,
            },
        }  # fmt: skip
        body, id, now = json.dumps(said), f"{told.alert_id}.{told.event}", datetime.now(UTC)
        headers = {"content-type": "application/json", "webhook-id": id}
        if self.secret:
            headers |= {
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": Webhook(self.secret).sign(id, now, body),
            }
        try:
            async with httpx.AsyncClient(timeout=PATIENCE) as client:
                answered = await client.post(self.url, content=body, headers=headers)
        except httpx.HTTPError as down:
            raise Failed(type(down).__name__) from down
        if answered.status_code >= 300:
            raise Failed(str(answered.status_code))
