"""The decider's settings, read once from the environment."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from shared.runtime.settings import ServiceSettings


class DeciderSettings(ServiceSettings):
    """Adds the key that signs commands, the playbook's file, and how soon a decider that is gone is missed."""

    signing_key_file: Path
    playbook_file: Path = Path("healing-playbook.yaml")
    session_timeout_seconds: float = Field(default=6.0, ge=1.0, le=60.0)

    @property
    def session_timeout(self) -> timedelta:
        """Return how long a decider keeps its partitions that is not heard of."""
        return timedelta(seconds=self.session_timeout_seconds)
