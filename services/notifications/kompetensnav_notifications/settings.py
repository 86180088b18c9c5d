"""What notifications reads from its environment (prefix `NOTIFICATIONS_`)."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from kompetensnav_chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """Notifications' settings."""

    model_config = SettingsConfigDict(
        env_prefix="NOTIFICATIONS_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    smtp_host: str = Field("127.0.0.1", description="Mail server.")
    smtp_port: int = Field(1025, ge=1, le=65535, description="Its port.")
    smtp_user: str | None = Field(None, description="User name, if the server asks for one.")
    smtp_password: SecretStr | None = Field(None, description="Its password.")
    smtp_start_tls: bool = Field(False, description="Whether to use STARTTLS.")
    smtp_connections: int = Field(12, ge=1, le=32, description="Connections kept open.")
    mail_from: str = Field("kompetensnav@localhost", description="Sender of messages.", pattern=r".+@.+")
