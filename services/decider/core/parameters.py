"""Parameters: how a value is put where `${name}` stands.

A value that is nothing but `${name}` becomes the parameter's value and keeps its type; within a text it is written as
in YAML. In a condition it is always one literal of CEL, and in a query of PromQL a number, a duration, or a part of a
quoted text: no value can become an operator, a fact or another query. `$$` is one dollar sign.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.decider.core.faults import did_you_mean, one_of
from services.decider.core.file_words import PARAMETER_NAME
from services.decider.core.source import Inserted, Origin
from shared.contracts.model import JsonValue

_PLACE = re.compile(r"\$\$|\$\{([^{}\n]*)\}|\$\{")
_RAW = r"(?:[rR][bB]?|[bB][rR])"
_CEL_QUOTED = re.compile(
    rf"""//[^\n]*|{_RAW}(?:\"{{3}}.*?(?:\"{{3}}|\Z)|'{{3}}.*?(?:'{{3}}|\Z)|\"[^\"\n]*\"?|'[^'\n]*'?)"""
    r"""|\"{3}(?:\\.|[^\\])*?(?:\"{3}|\Z)|'{3}(?:\\.|[^\\])*?(?:'{3}|\Z)"""
    r"""|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?""",
    re.DOTALL,
)
_PROMQL_QUOTED = re.compile(r"""#[^\n]*|\"(?:\\.|[^\"\\])*\"?|'(?:\\.|[^'\\])*'?|`[^`]*`?""", re.DOTALL)
_PROMQL_DURATION = re.compile(r"([0-9]+(ms|[smhdwy]))+")
_ITSELF = "write $${ for the characters themselves"


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter's value, and where it stands; None where it is not known, because what says it is refused."""

    value: JsonValue
    origin: Origin


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with values put into it, and where they are."""

    text: str
    inserted: tuple[Inserted, ...]


class InsertionError(ValueError):
    """Signal that a value cannot be put where it is asked for; line and column count from 1, within the text.

    `expected` is empty where it is told already what is wrong.
    """

    def __init__(self, expected: str, place: re.Match[str], *, hint: str = "") -> None:
        super().__init__(expected)
        self.expected, self.hint = expected, hint
        self.line, self.column = _line_and_column(place)


Wording = Callable[["re.Match[str]", JsonValue], str]
"""How a value is written at a place of a text.

Raises:
    InsertionError: it cannot be said there.
"""


class Arguments:
    """What the parameters of a file are, as it is included once; it remembers which were asked for."""

    def __init__(self, known: Mapping[str, Argument]) -> None:
        self.known = known
        self.used: set[str] = set()

    def whole(self, text: str) -> Argument | None:
        """Return what a text is that is nothing but `${name}`; None where it is anything else.

        Raises:
            InsertionError: there is no such parameter.
        """
        place = _PLACE.fullmatch(text)
        return self._at(place) if place and place[0] != "$$" else None

    def fill(self, text: str, *, wording: Wording) -> Filled:
        """Return a text with values where it names parameters.

        Raises:
            InsertionError: a value cannot be put there, or there is no such parameter.
        """
        parts: list[str] = []
        inserted: list[Inserted] = []
        end = 0
        for place in _PLACE.finditer(text):
            said = "$" if place[0] == "$$" else self._said(place, wording)
            inserted.append(_inserted(place, said, before=inserted))
            parts += [text[end : place.start()], said]
            end = place.end()
        return Filled("".join([*parts, text[end:]]), tuple(inserted))

    def _said(self, place: re.Match[str], wording: Wording) -> str:
        value = self._at(place).value
        if value is None:
            raise InsertionError("", place)
        return wording(place, value)

    def _at(self, place: re.Match[str]) -> Argument:
        name = place[1] or ""
        if name in self.known:
            self.used.add(name)
            return self.known[name]
        if not PARAMETER_NAME.fullmatch(name):
            raise InsertionError("expected ${name}, with the name of a parameter", place, hint=_ITSELF)
        known = f"; {one_of(list(self.known))}" if self.known else " in this file"
        hint = did_you_mean(name, list(self.known)) or _ITSELF
        raise InsertionError(f"there is no parameter {name!r}{known}", place, hint=hint)


def in_text(place: re.Match[str], value: JsonValue) -> str:
    """Write a value within a text."""
    if isinstance(value, list | dict):
        raise InsertionError("a list cannot be said within a text; expected it as the whole value", place)
    return value if isinstance(value, str) else json.dumps(value)


def in_message(place: re.Match[str], value: JsonValue) -> str:
    """Write a value within a message, in which a brace would begin the name of a fact."""
    return in_text(place, value).replace("{", "{{").replace("}", "}}")


def in_condition(place: re.Match[str], value: JsonValue) -> str:
    """Write a value as one literal of CEL."""
    if _quotes_around(place, _CEL_QUOTED):
        expected = "within quotes nothing is put in; expected it outside of them, where it is a value of its own"
        raise InsertionError(expected, place, hint='as in "a text " + ${name}')
    return json.dumps(value, ensure_ascii=False)


def in_query(place: re.Match[str], value: JsonValue) -> str:
    """Write a value in a query of PromQL: in quotes any text, outside of them a number or a duration."""
    quotes = _quotes_around(place, _PROMQL_QUOTED)
    if isinstance(value, list | dict | bool):
        raise InsertionError("expected a text or a number to put into a query", place)
    if not quotes and isinstance(value, str) and not _PROMQL_DURATION.fullmatch(value):
        raise InsertionError("outside of quotes a query takes a number, or a duration such as 5m", place)
    return _between(quotes, str(value), place) if quotes else str(value)


def _between(quotes: str, text: str, place: re.Match[str]) -> str:
    """Return a text as it is written between quotes of a query, so that it cannot end them."""
    if quotes == "`" and "`" in text:
        raise InsertionError("between backticks no backtick can be said; expected other quotes", place)
    if quotes == "`":
        return text
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    return escaped if quotes == '"' else escaped.replace('\\"', '"').replace("'", "\\'")


def _quotes_around(place: re.Match[str], quoted: re.Pattern[str]) -> str:
    """Return the sign that opens the quotes or the comment that a place lies in; nothing where it lies in none."""
    for found in quoted.finditer(place.string):
        if found.start() < place.start() < found.end():
            return found[0].lstrip("rRbB")[0]
    return ""


def _inserted(place: re.Match[str], said: str, *, before: list[Inserted]) -> Inserted:
    line, column = _line_and_column(place)
    moved = sum(one.width - one.written for one in before if one.line == line)
    return Inserted(line, column + moved, width=len(said), written=len(place[0]))


def _line_and_column(place: re.Match[str]) -> tuple[int, int]:
    text, offset = place.string, place.start()
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
