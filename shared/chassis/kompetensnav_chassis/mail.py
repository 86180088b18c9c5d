"""A mail server: what it is called in settings, and how a message is handed over."""

from dataclasses import dataclass
from email.message import EmailMessage

import aiosmtplib
from pydantic import BaseModel, Field, SecretStr

PATIENCE = 10.0
"""Seconds that the server has to answer."""


@dataclass(frozen=True)
class MailServer:
    """Where mail is handed over, and who sends it."""

    host: str
    port: int
    sender: str
    user: str | None = None
    password: str | None = None
    start_tls: bool | None = False
    """None: if the server offers it."""

    def connection(self) -> aiosmtplib.SMTP:
        """A connection to it, not yet made."""
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.user,
            password=self.password,
            start_tls=self.start_tls,
            timeout=PATIENCE,
        )

    async def send(self, message: EmailMessage) -> None:
        """Hands one message over. Raises OSError or SMTPException."""
        async with self.connection() as connection:
            await connection.send_message(message)


class MailSettings(BaseModel):
    """The settings of a service that sends mail; mixed into its own."""

    smtp_host: str = Field("127.0.0.1", description="Mail server.")
    smtp_port: int = Field(1025, ge=1, le=65535, description="Its port.")
    smtp_user: str | None = Field(None, description="User name, if the server asks for one.")
    smtp_password: SecretStr | None = Field(None, description="Its password.")
    smtp_start_tls: bool = Field(False, description="Whether to use STARTTLS.")
    mail_from: str = Field("kompetensnav@localhost", description="Sender of messages.", pattern=r".+@.+")

    @property
    def mail_server(self) -> MailServer:
        """The server that they name."""
        return MailServer(
            self.smtp_host,
            self.smtp_port,
            self.mail_from,
            self.smtp_user,
            self.smtp_password.get_secret_value() if self.smtp_password else None,
            self.smtp_start_tls,
        )
