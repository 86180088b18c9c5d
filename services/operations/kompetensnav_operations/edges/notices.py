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
class AlertMessage:
    """What is sent of an alert, when it begins and when it ends."""

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

    async def send(self, alert: AlertMessage) -> None:
        """Sends a message. Raises Failed."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.server.sender, self.to, alert.title
        message["Message-ID"] = f"<{alert.alert_id}.{alert.event}@operations.kompetensnav>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(
            f"{alert.title}\n\n{alert.rule}: {alert.target}\n{alert.value:g} (> {alert.limit:g})\n"
            f"{alert.at:%Y-%m-%d %H:%M:%S} UTC\n\n{alert.runbook}\n"
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

    async def send(self, alert: AlertMessage) -> None:
        """Posts it. Raises Failed."""
        said = {
            "type": f"alert.{alert.event}",
            "timestamp": alert.at.isoformat(),
            "data": {
                "alert_id": str(alert.alert_id), "stack": alert.stack, "rule": alert.rule,
                "target": alert.target, "value": alert.value, "limit": alert.limit,
                "title": alert.title, "runbook": alert.runbook,
            },
        }  # fmt: skip
        body, id, now = json.dumps(said), f"{alert.alert_id}.{alert.event}", datetime.now(UTC)
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
