"""E-mail by SMTP: a few kept connections, one fixed Message-ID per message."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from email.charset import QP, Charset
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime
from uuid import UUID

import aiosmtplib

from kompetensnav_chassis.mail import MailServer

SMTP = compat32.clone(linesep="\r\n")
UTF8 = Charset("utf-8")
UTF8.body_encoding = QP

REFUSED = (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused)
"""Said by the server about this message; permanent when the code begins with 5."""


class Post:
    """A pool of connections to one mail server."""

    def __init__(self, server: MailServer, connections: int) -> None:
        self._server, self.connections = server, connections
        self._idle: asyncio.LifoQueue[aiosmtplib.SMTP | None] = asyncio.LifoQueue()
        for _ in range(connections):
            self._idle.put_nowait(None)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiosmtplib.SMTP]:
        kept = await self._idle.get()
        try:
            if kept is None or not kept.is_connected:
                kept = await self._connect()
            yield kept
        except BaseException:
            if kept is not None:
                kept.close()
            self._idle.put_nowait(None)
            raise
        self._idle.put_nowait(kept)

    async def _connect(self) -> aiosmtplib.SMTP:
        made = self._server.connection()
        await made.connect()
        return made

    async def send(self, to: str, message: bytes) -> bool:
        """Hands a message over. False when the server will never take it; raises OSError or SMTPException
        when it may take it later."""
        try:
            async with self._connection() as connection:
                await connection.sendmail(self._server.sender, to, message)
        except REFUSED as refused:
            codes = [r.code for r in refused.recipients] if hasattr(refused, "recipients") else [refused.code]
            if all(code >= 500 for code in codes):
                return False
            raise
        return True

    async def close(self) -> None:
        """Ends the kept connections."""
        while not self._idle.empty():
            kept = self._idle.get_nowait()
            if kept is not None:
                kept.close()


def mail_of(
    *, sender: str, to: str, subject: str, text: str, html: str, message_id: UUID, language: str, at: datetime
) -> bytes:
    """The message, plain text and HTML; the Message-ID is the message's own, so a repeat can be
    recognised."""
    made = MIMEMultipart("alternative")
    for part, kind in ((text, "plain"), (html, "html")):
        made.attach(MIMEText(part, kind, UTF8))  # type: ignore[arg-type]
    made["From"], made["To"], made["Subject"] = sender, to, Header(subject, UTF8).encode()
    made["Message-ID"] = f"<{message_id}@{sender.rpartition('@')[2].rstrip('>')}>"
    made["Date"] = format_datetime(at)
    made["Content-Language"] = language
    made["Auto-Submitted"] = "auto-generated"
    return made.as_bytes(policy=SMTP)
