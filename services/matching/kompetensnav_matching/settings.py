"""What matching reads from its environment (prefix `MATCHING_`)."""

from pydantic_settings import SettingsConfigDict

from kompetensnav_chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """Matching's settings."""

    model_config = SettingsConfigDict(
        env_prefix="MATCHING_", frozen=True, extra="ignore", env_ignore_empty=True
    )
