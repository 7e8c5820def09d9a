"""Messages with names in braces (`{workload}`, `{labels.team}`): checked when loaded, filled in when told.

What a cluster says is data: a value is cut, and without control characters, so that it can break no line, table or log.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping

from services.decider.core.clauses import fact_of, type_of
from services.decider.core.faults import Fault, TextError, did_you_mean
from services.decider.core.language import MESSAGE_CHARS, SignalKind
from services.decider.core.source import Path, Source
from shared.contracts.signals import FactValue, fact_types

_VALUE_CHARS = 200
_NOTHING = "-"
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_BRACES = {"{{": "{", "}}": "}"}


class WordingError(TextError):
    """Signal that a message asks for what is not there, or that its braces do not close."""


def check_wording(text: str, *, kind: SignalKind) -> None:
    """Hold the names of a message against the facts of a kind of signal.

    Raises:
        WordingError: with the first that cannot be filled in.
    """
    for found in _PART.finditer(text):
        line, column = _place(text, found.start())
        if found[1] is not None:
            expected, hint = _refused(found[1], kind=kind)
        else:
            expected = "" if found[0] in _BRACES else "expected braces around a name, as in {workload}"
            hint = "a brace itself is written {{ or }}"
        if expected:
            raise WordingError(expected, line=line, column=column, hint=hint)


def wording_faults(source: Source, text: str, *, kind: SignalKind, path: Path) -> Iterator[Fault]:
    """Yield what cannot be filled in of a message that stands at a path."""
    try:
        check_wording(text, kind=kind)
    except WordingError as invalid:
        yield source.fault_inside(path, invalid)


def worded(text: str, facts: Mapping[str, FactValue]) -> str:
    """Return a message with its names filled in by a signal's facts; what is not there is told as `-`."""
    return _cut(_PART.sub(lambda found: _filled(found, facts), text), at=MESSAGE_CHARS)


def _place(text: str, start: int) -> tuple[int, int]:
    return text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)


def _refused(name: str, *, kind: SignalKind) -> tuple[str, str]:
    """Return what was expected instead of a name, with a hint; nothing where it can be filled in."""
    found, known = type_of(kind, name), sorted(fact_types(kind))
    if found is None:
        return f"a {kind} signal has no fact {name!r}; expected one of: {', '.join(known)}", did_you_mean(name, known)
    return ("expected one of the labels, as in {labels.team}" if found == dict[str, str] else ""), ""


def _filled(found: re.Match[str], facts: Mapping[str, FactValue]) -> str:
    if found[1] is None:
        return _BRACES.get(found[0], found[0])
    return _told(fact_of(facts, found[1])) or _NOTHING


def _told(value: FactValue | None) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.6g}"
        case int():
            return str(value)
        case str():
            return _cut(" ".join("".join(_signs(value)).split()), at=_VALUE_CHARS)
        case _:
            return ""


def _signs(text: str) -> Iterator[str]:
    """Yield a text's signs, with a blank for each that is none: controls, and what turns the direction of a line."""
    for sign in text:
        yield " " if unicodedata.category(sign).startswith(("C", "Zl", "Zp")) else sign


def _cut(text: str, *, at: int) -> str:
    return text if len(text) <= at else f"{text[: at - 1]}…"
