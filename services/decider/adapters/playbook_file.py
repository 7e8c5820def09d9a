"""The playbook's file with those that it includes: read, and read again when one of them changes."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from services.decider.core.announcing import fitting
from services.decider.core.including import Files, Unreadable, files_of
from services.decider.core.parameters import Argument
from services.decider.core.playbook import Playbook, compile_playbook, hash_of
from services.decider.core.source import MAX_CHARS
from shared.kernel.errors import ConfigError

_MAX_BYTES = 4 * MAX_CHARS
"""No text of that many characters is longer in UTF-8."""


def read_playbook(path: Path, given: Mapping[str, Argument] | None = None) -> Playbook:
    """Return the playbook of a file and those that it includes; its parameters may be given other values.

    Raises:
        ConfigError: it cannot be read, or (PlaybookError) used.
    """
    return fitting(compile_playbook(read_files(path), given or {}))


def read_files(path: Path) -> Files:
    """Return a file with those that it includes; one of those that cannot be read is known as such.

    Raises:
        ConfigError: the file itself cannot be read, or (PlaybookError) there is too much of it all.
    """
    return _gather(path, {})


def text_of(path: Path, *, what: str = "playbook") -> str:
    """Return the text of a file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return _read(path)
    except (OSError, UnicodeDecodeError) as unreadable:
        raise ConfigError(f"{path}: expected a readable {what} in UTF-8: {unreadable}") from unreadable


def _gather(path: Path, texts: dict[str, str | Unreadable]) -> Files:
    """Return the files of a playbook, and note each text as it was read."""
    texts[path.name] = top = text_of(path)
    files = files_of(top, file=str(path))
    while wanted := files.wanted():
        for name in wanted:
            texts[name] = text = _included(path.parent, name)
            files = files.given(name, text)
    return files


def _included(folder: Path, name: str) -> str | Unreadable:
    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return Unreadable("it lies outside of the folder of the playbook's own file")
        return _read(path) if path.is_file() else Unreadable("there is no such file")
    except (OSError, UnicodeDecodeError) as unreadable:
        return Unreadable(str(unreadable))


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MAX_BYTES + 1).decode("utf-8")


class PlaybookFile:
    """Tell when the file, or one that it includes, says something new; a broken one is told once, until it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: Mapping[str, str | Unreadable] = {}

    def news(self) -> Playbook | None:
        """Return the playbook if one of its files changed since the last call.

        Files that change while they are read may not belong together: they are read anew at the next call.

        Raises:
            ConfigError: one changed, and they cannot be read or used.
        """
        if self._texts(self._last or [self._path.name]) == self._last:
            return None
        texts: dict[str, str | Unreadable] = {}
        self._last = texts
        files = _gather(self._path, texts)
        if self._texts(texts) != texts:
            self._last = {}
            return None
        return fitting(compile_playbook(files))

    @property
    def digest(self) -> str:
        """Return the hash of what was read last: of a single file that of its text; empty where none could be read."""
        texts = {name: text for name, text in self._last.items() if isinstance(text, str)}
        return hash_of("\n".join(texts.values() if len(texts) == 1 else map("\n".join, texts.items()))) if texts else ""

    def forget(self) -> None:
        """Tell at the next call what was told last: it could not be taken up."""
        self._last = {}

    def _texts(self, names: Iterable[str]) -> Mapping[str, str | Unreadable]:
        top, folder = self._path.name, self._path.parent
        return {name: text_of(self._path) if name == top else _included(folder, name) for name in names}
