"""What the console reads from its environment (prefix `OPERATIONS_`)."""

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict
from standardwebhooks.webhooks import Webhook

from kompetensnav_chassis.mail import MailSettings
from kompetensnav_chassis.settings import ServiceSettings


class Settings(MailSettings, ServiceSettings):
    """The console's settings."""

    model_config = SettingsConfigDict(
        env_prefix="OPERATIONS_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    audience: str = Field(
        "kompetensnav-operations",
        description="Audience a token must name; another than the other services', whose operators and"
        " administrators may not act here by that.",
    )
    system_seed: SecretStr | None = Field(
        None, description="nkey seed of the broker's system user; without it no server is looked at."
    )
    session_secret: SecretStr = Field(description="Signs the cookie of who is logged in.", min_length=32)
    client_id: str = Field("kompetensnav-operations", description="The console at the OIDC issuer.")
    client_secret: SecretStr | None = Field(None, description="Its secret there, if it has one.")
    login_url: str = Field(
        "", description="The issuer's login page as browsers reach it; empty = as the issuer says."
    )
    trace_url: str = Field(
        "", description="Where a trace is shown; {trace_id} is replaced. Empty = no link to traces."
    )
    alert_mail: str = Field("", description="Mailboxes that alerts go to, with commas between.")
    alert_webhook: str = Field("", description="Address that alerts are posted to.", pattern=r"^$|^https?://")
    alert_webhook_secret: SecretStr | None = Field(
        None, description="Signs what is posted, as Standard Webhooks say (whsec_...)."
    )

    @field_validator("alert_webhook_secret")
    @classmethod
    def _can_sign(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            try:
                Webhook(secret.get_secret_value())
            except (ValueError, RuntimeError) as bad:
                raise ValueError("it is no secret of Standard Webhooks: whsec_ and base64") from bad
        return secret
