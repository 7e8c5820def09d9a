"""The playbook's file: read, and read again when it changes."""

from pathlib import Path

from services.decider.core.playbook import Playbook, load_playbook
from shared.kernel.errors import ConfigError


def read_playbook(path: Path) -> Playbook:
    """Return the playbook of a file.

    Raises:
        ConfigError: it cannot be read, or (PlaybookError) used.
    """
    return load_playbook(text_of(path), file=str(path))


def text_of(path: Path, *, what: str = "playbook") -> str:
    """Return the text of a file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as unreadable:
        raise ConfigError(f"{path}: expected a readable {what} in UTF-8: {unreadable}") from unreadable


class PlaybookFile:
    """Tell when the file says something new; a broken one is told once as well, until it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: str | None = None

    def news(self) -> Playbook | None:
        """Return the file's playbook if the file changed since the last call.

        Raises:
            ConfigError: it changed, and cannot be read or used.
        """
        text = text_of(self._path)
        if text == self._last:
            return None
        self._last = text
        return load_playbook(text, file=str(self._path))
