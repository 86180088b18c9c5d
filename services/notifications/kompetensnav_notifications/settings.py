"""What notifications reads from its environment (prefix `NOTIFICATIONS_`)."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from kompetensnav_chassis.mail import MailSettings
from kompetensnav_chassis.settings import ServiceSettings


class Settings(MailSettings, ServiceSettings):
    """Notifications' settings."""

    model_config = SettingsConfigDict(
        env_prefix="NOTIFICATIONS_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    smtp_connections: int = Field(12, ge=1, le=32, description="Connections kept open.")
