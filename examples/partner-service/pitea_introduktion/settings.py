"""What this service reads from its environment (prefix `INTRODUKTION_`)."""

from pydantic_settings import SettingsConfigDict

from kompetensnav_chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """What every service needs, and no more."""

    model_config = SettingsConfigDict(
        env_prefix="INTRODUKTION_", frozen=True, extra="ignore", env_ignore_empty=True
    )
