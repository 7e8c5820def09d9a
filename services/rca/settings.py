"""The rca service's settings, read once from the environment."""

from datetime import timedelta

from pydantic import Field, SecretStr

from shared.runtime.settings import ServiceSettings


class RcaSettings(ServiceSettings):
    """Adds the model and its key; without `GEMINI_API_KEY` the rules write the reports, and the reports say so."""

    gemini_api_key: SecretStr | None = Field(default=None, validation_alias="GEMINI_API_KEY")
    gemini_base_url: str = ""
    gemini_model: str = "gemini-2.5-flash"
    gemini_timeout_seconds: float = Field(default=30.0, ge=1.0, le=300.0)

    @property
    def gemini_timeout(self) -> timedelta:
        """Return how long one answer of the model is waited for."""
        return timedelta(seconds=self.gemini_timeout_seconds)
