"""YAML text to plain values with the place of each, by YAML 1.2's core schema and nothing that could surprise.

Anchors, aliases and tags are refused (an alias bomb needs them), and so are duplicate keys, deep nesting and
large files. `off` and `on` stay words: only `true` and `false` are booleans.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn, cast

import yaml

from services.decider.core.faults import Fault, Mark, PlaybookError, shortened
from shared.contracts.model import JsonScalar, JsonValue

MAX_CHARS = 1_000_000
MAX_DEPTH = 32
MAX_VALUES = 50_000
MAX_FAULTS = 100
"""Beyond this many a person starts again anyway."""
Path = tuple[str | int, ...]

_KEY_CHARS = 60
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, JsonScalar] = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(slots=True)
class Source:
    """A document: its value, and where each value and each key stands."""

    file: str
    value: JsonValue = None
    marks: dict[Path, Mark] = field(default_factory=dict[Path, Mark])
    keys: dict[Path, Mark] = field(default_factory=dict[Path, Mark])
    styles: dict[Path, str] = field(default_factory=dict[Path, str])
    lines: list[str] = field(default_factory=list[str])
    faults: list[Fault] = field(default_factory=list[Fault])

    def indent_of(self, line: int) -> int:
        """Return how many blanks a line starts with; lines count from 1."""
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        return len(text) - len(text.lstrip(" "))

    def mark_of(self, path: Path) -> Mark:
        """Return the place of a value, or of the nearest thing around it."""
        while path not in self.marks and path:
            path = path[:-1]
        return self.marks.get(path, Mark(1, 1))

    def key_of(self, path: Path) -> Mark:
        """Return the place of a value's key, or of the value where it has none."""
        return self.keys.get(path, self.mark_of(path))

    def fault(self, path: Path, expected: str, *, hint: str = "", mark: Mark | None = None) -> Fault:
        """Return a fault at a path."""
        return Fault(self.file, mark or self.mark_of(path), dotted(path), expected, hint)


def dotted(path: Path) -> str:
    """Return a path as a person writes it: `rules[2].when`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{_cut(part)}" if text else _cut(part)
    return text


def _cut(key: str) -> str:
    return key if len(key) <= _KEY_CHARS else f"{key[:_KEY_CHARS]}…"


def read_source(text: str, *, file: str) -> Source:
    """Return the document of a text; what it uses and is refused stands in its faults, so that others can join them.

    Raises:
        PlaybookError: the text is no YAML, or there is too much of it.
    """
    source = Source(file, lines=text.splitlines())
    if len(text) > MAX_CHARS:
        raise PlaybookError([source.fault((), f"expected at most {MAX_CHARS} characters, found {len(text)}")])
    events = cast("Iterator[yaml.Event]", yaml.parse(text, Loader=yaml.CSafeLoader))  # pyright: ignore[reportUnknownMemberType] - untyped
    reader = _Reader(source, events)
    try:
        source.value = reader.document()
    except yaml.YAMLError as broken:
        raise PlaybookError([*reader.faults, _syntax_fault(source, broken)]) from broken
    source.faults = reader.faults
    return source


def _syntax_fault(source: Source, broken: yaml.YAMLError) -> Fault:
    if not isinstance(broken, yaml.MarkedYAMLError) or broken.problem_mark is None:
        return source.fault((), f"expected YAML: {str(broken).splitlines()[0]}")
    mark = Mark(broken.problem_mark.line + 1, broken.problem_mark.column + 1)
    context = f", {broken.context}" if broken.context else ""
    return source.fault((), f"expected YAML: {broken.problem}{context}", mark=mark)


class _Reader:
    """Builds values from the parser's events, one nesting level a call; it bounds what it reads before it reads on.

    The parser is asked event by event: on nothing but brackets its own time grows with the square of their depth.
    """

    def __init__(self, source: Source, events: Iterator[yaml.Event]) -> None:
        self.faults: list[Fault] = []
        self._source = source
        self._events = events

    def document(self) -> JsonValue:
        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                value = self._value(event, ())
                self._refuse_further_documents()
                return value
        return None

    def _refuse_further_documents(self) -> None:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._blame((), event, "expected one document, found another")
                return

    def _value(self, event: yaml.Event, path: Path) -> JsonValue:
        self._source.marks[path] = _mark(event)
        if len(path) > MAX_DEPTH:
            self._give_up(event, f"expected at most {MAX_DEPTH} levels of nesting")
        if len(self._source.marks) > MAX_VALUES:
            self._give_up(event, f"expected at most {MAX_VALUES} values")
        self._refuse_references(event, path)
        match event:
            case yaml.ScalarEvent():
                return self._scalar(event, path)
            case yaml.SequenceStartEvent():
                return self._sequence(path)
            case yaml.MappingStartEvent():
                return self._mapping(path)
            case _:
                return None

    def _refuse_references(self, event: yaml.Event, path: Path) -> None:
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            self._blame(path, event, "anchors and aliases are not part of the language; write the value out")
        if getattr(event, "tag", None) not in {None, "!"}:
            self._blame(path, event, "tags are not part of the language; write a plain value")

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> JsonScalar:
        self._source.styles[path] = event.style or ""
        return _resolved(event.value) if event.implicit[0] else event.value

    def _sequence(self, path: Path) -> JsonValue:
        items: list[JsonValue] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> JsonValue:
        members: dict[str, JsonValue] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            name = self._key(event, path)
            if name is None:
                self._value(next(self._events), (*path, "?"))
                continue
            if name in members:
                self._blame((*path, name), event, f"key {shortened(name)} is given twice; expected it once")
            self._source.keys[*path, name] = _mark(event)
            members[name] = self._value(next(self._events), (*path, name))
        return members

    def _key(self, event: yaml.Event, path: Path) -> str | None:
        if isinstance(event, yaml.ScalarEvent) and event.tag is None and event.anchor is None:
            return event.value
        self._blame(path, event, "expected a plain word as key")
        self._value(event, (*path, "?"))
        return None

    def _blame(self, path: Path, event: yaml.Event, expected: str) -> None:
        self.faults.append(self._source.fault(path, expected, mark=_mark(event)))
        if len(self.faults) >= MAX_FAULTS:
            self._give_up(event, "expected a playbook; this text has too many faults to name them all")

    def _give_up(self, event: yaml.Event, expected: str) -> NoReturn:
        raise PlaybookError([*self.faults, self._source.fault((), expected, mark=_mark(event))])


def _mark(event: yaml.Event) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def _resolved(text: str) -> JsonScalar:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text) and len(text) < 20:  # noqa: PLR2004 - longer ones are no count of anything here
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
