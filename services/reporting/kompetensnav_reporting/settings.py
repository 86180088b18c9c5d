"""What reporting reads from its environment (prefix `REPORTING_`)."""

from pydantic_settings import SettingsConfigDict

from kompetensnav_chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """Reporting's settings."""

    model_config = SettingsConfigDict(
        env_prefix="REPORTING_", frozen=True, extra="ignore", env_ignore_empty=True
    )
