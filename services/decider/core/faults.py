"""What is wrong with a playbook, and where: all faults at once, each with file, line, column and what was expected."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

from shared.kernel.errors import ConfigError

MAX_FAULTS = 100
"""Beyond this many a person starts again anyway."""
MOST_LISTED = 50
"""How many words a person is shown of those that were expected: a file may name thousands, and be wrong as often."""
_SHOWN_CHARS = 60
_WORD_CHARS = 100
_MOST_COMPARED = 1_000
"""With how many words one is compared to guess what was meant; the time grows with each."""


class Mark(NamedTuple):
    """A place in a file; line and column count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing a person must mend; `hint` is empty where there is nothing to guess."""

    file: str
    mark: Mark
    path: str
    expected: str
    hint: str = ""

    def __str__(self) -> str:
        """Return `file:line:column: path: expected (hint)`."""
        path = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.where}: {path}{self.expected}{hint}"

    @property
    def where(self) -> str:
        """Return `file:line:column`."""
        return f"{self.file}:{self.mark.line}:{self.mark.column}"


class PlaybookError(ConfigError):
    """Signal that a playbook cannot be used; `faults` are in the order of the file, file by file."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = sorted(faults, key=lambda fault: (fault.file, fault.mark))
        super().__init__("\n".join(map(str, self.faults)))


class TextError(ValueError):
    """Signal that a text of a playbook cannot be used; line and column count from 1, within the text."""

    def __init__(self, expected: str, *, line: int = 1, column: int = 1, hint: str = "") -> None:
        super().__init__(expected)
        self.expected, self.line, self.column, self.hint = expected, line, column, hint


def joined(refused: Sequence[Fault], others: Sequence[Fault]) -> list[Fault]:
    """Return all faults once; where a value was refused as it is written, nothing more is said of it."""
    places = {(fault.file, fault.mark) for fault in refused}
    return list(dict.fromkeys([*refused, *(fault for fault in others if (fault.file, fault.mark) not in places)]))


def shortened(text: str) -> str:
    """Return a text of the file as it is quoted to a person: on one line, and not beyond what tells it."""
    return repr(text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…")


def one_of(known: Sequence[str]) -> str:
    """Return the words that were expected, as a person is told them: the first, and how many more there are."""
    more = len(known) - MOST_LISTED
    return f"expected one of: {', '.join(known[:MOST_LISTED])}{f' and {more} more' if more > 0 else ''}"


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return a hint with the nearest known word, or nothing; what is longer than any word is near to none."""
    near = get_close_matches(word, known[:_MOST_COMPARED], n=1) if len(word) <= _WORD_CHARS else []
    return f"did you mean {near[0]!r}?" if near else ""
