"""The decider's settings, read once from the environment."""

from pathlib import Path

from shared.runtime.settings import ServiceSettings


class DeciderSettings(ServiceSettings):
    """Adds the playbook's file; it is read again whenever it changes."""

    playbook_file: Path = Path("healing-playbook.yaml")
