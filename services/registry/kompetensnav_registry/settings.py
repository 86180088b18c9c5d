"""What the registry reads from its environment (prefix `REGISTRY_`)."""

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from kompetensnav_chassis import outgoing
from kompetensnav_chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """The registry's settings."""

    model_config = SettingsConfigDict(
        env_prefix="REGISTRY_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    vault_key: SecretStr = Field(
        min_length=32,
        description="Master key of the vault, 32 characters or more; without it no number can be opened.",
    )
    neighbours: str = Field(
        "",
        pattern=r"^(\d{4}(,\d{4})*)?$",
        description="Municipalities of other stacks that slots are shared with: codes, with commas between.",
    )
    networks: str = Field(
        "",
        description="Networks of one's own where school systems may be (`10.1.0.0/16`), with commas between; "
        "all others must be public.",
    )
    import_bytes: int = Field(30_000_000, ge=1, description="Bytes of a file that is imported, at most.")
    link_secret: SecretStr = Field(
        min_length=32, description="Key that signs links in messages, 32 characters or more."
    )
    link_secret_before: SecretStr | None = Field(
        None,
        min_length=32,
        description="The key before, whose links still hold; without it they end at once.",
    )

    @field_validator("networks")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        outgoing.networks(text)
        return text
