"""YAML text to plain values with the place of each, by YAML 1.2's core schema and nothing that could surprise.

Anchors, aliases and tags are refused (an alias bomb needs them), and so are duplicate keys, deep nesting and
large files. `off` and `on` stay words: only `true` and `false` are booleans.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

import yaml

from services.decider.core.faults import MAX_FAULTS, Fault, Mark, PlaybookError, TextError, shortened
from shared.contracts.model import JsonObject, JsonScalar, JsonValue

MAX_CHARS = 1_000_000
MAX_DEPTH = 32
MAX_VALUES = 50_000
Path = tuple[str | int, ...]

_KEY_CHARS = 60
_PLAIN_TAGS = frozenset({None, "!"})
_BARE = re.compile(r"[{\[,:]\s*\$\{")
_INT = re.compile(r"[-+]?[0-9]+")
_BEGIN_NUMBERS = frozenset("+-.0123456789")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, JsonScalar] = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Inserted:
    """What stands in a value's text in the place of other words; lines and columns count from 1."""

    line: int
    column: int
    width: int
    written: int
    """How wide the words are that stand in the file instead."""


@dataclass(slots=True)
class Source:
    """A document: its value, and where each value and each key stands.

    Places are kept as the parser gives them: there are thousands, and a fault asks for one.
    `hints` tell what can be used and is hardly meant. Of a document that is composed, `origins` tells which parts stand
    elsewhere, and `inserted` what was put into their texts.
    """

    file: str
    value: JsonValue = None
    marks: dict[Path, yaml.Mark] = field(default_factory=dict[Path, yaml.Mark])
    keys: dict[Path, yaml.Mark] = field(default_factory=dict[Path, yaml.Mark])
    styles: dict[Path, str] = field(default_factory=dict[Path, str])
    lines: list[str] = field(default_factory=list[str])
    faults: list[Fault] = field(default_factory=list[Fault])
    hints: list[Fault] = field(default_factory=list[Fault])
    origins: dict[Path, "Origin"] = field(default_factory=dict[Path, "Origin"])
    inserted: dict[Path, tuple[Inserted, ...]] = field(default_factory=dict[Path, tuple[Inserted, ...]])

    def has(self, path: Path) -> bool:
        """Tell whether a value stands there."""
        try:
            self.at(path)
        except LookupError:
            return False
        return True

    def at(self, path: Path) -> JsonValue:
        """Return the value that stands there.

        Raises:
            LookupError: there is none.
        """
        value = self.value
        for part in path:
            value = _member(value, part)
        return value

    def members_at(self, path: Path) -> JsonObject:
        """Return the members of the mapping that stands there; none where there is no mapping."""
        value = self.at(path) if self.has(path) else None
        return value if isinstance(value, dict) else {}

    def mark_of(self, path: Path) -> Mark:
        """Return the place of a value, or of the nearest thing around it."""
        origin = self._origin_of(path)
        marks, path = origin.source.marks, origin.path
        while path not in marks and path:
            path = path[:-1]
        return _as_counted(marks[path]) if path in marks else Mark(1, 1)

    def key_of(self, path: Path) -> Mark:
        """Return the place of a value's key, or of the value where it has none."""
        origin = self._origin_of(path)
        key = origin.source.keys.get(origin.path)
        return _as_counted(key) if key is not None else self.mark_of(path)

    def inside(self, path: Path, *, line: int, column: int) -> Mark:
        """Return the place of what stands within a value's text; of a folded text it is where the value starts."""
        origin, column = self._origin_of(path), _as_written(self._inserted_at(path), line, column)
        start, style = self.mark_of(path), origin.source.styles.get(origin.path, "")
        if style == "|":
            return Mark(start.line + line, origin.source.indent_of(start.line + 1) + column)
        if line > 1 or style == ">":
            return start
        return Mark(start.line, start.column + column - 1 + len(style))

    def indent_of(self, line: int) -> int:
        """Return how many blanks a line starts with; lines count from 1."""
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        return len(text) - len(text.lstrip(" "))

    def fault(self, path: Path, expected: str, *, hint: str = "", mark: Mark | None = None) -> Fault:
        """Return a fault at a path; `mark` is in the file that the path's value stands in."""
        origin = self._origin_of(path)
        told = "; ".join(filter(None, (hint, origin.used)))
        return Fault(origin.source.file, mark or self.mark_of(path), dotted(origin.path), expected, told)

    def fault_inside(self, path: Path, invalid: TextError) -> Fault:
        """Return the fault of a value's text, at the place within it."""
        mark = self.inside(path, line=invalid.line, column=invalid.column)
        return self.fault(path, invalid.expected, hint=invalid.hint, mark=mark)

    def _origin_of(self, path: Path) -> "Origin":
        """Return where a value stands in a file, through all that it was composed by."""
        above = self._above(path)
        if above is None:
            return Origin(self, path)
        origin = above.source._origin_of(above.path)  # noqa: SLF001 - of the same class
        return replace(origin, used=above.used or origin.used)

    def _inserted_at(self, path: Path) -> Sequence[Inserted]:
        above = self._above(path)
        inherited = above.source._inserted_at(above.path) if above is not None else ()  # noqa: SLF001 - of the same class
        return self.inserted.get(path, inherited)

    def _above(self, path: Path) -> "Origin | None":
        """Return what a value was taken from; None where it stands here."""
        for end in range(len(path), -1, -1):
            origin = self.origins.get(path[:end])
            if origin is not None:
                return replace(origin, path=(*origin.path, *path[end:]))
        return None


def _member(value: JsonValue, part: str | int) -> JsonValue:
    match value, part:
        case dict(), str():
            return value[part]
        case list(), int():
            return value[part]
        case _:
            raise KeyError(part)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value stands as it is written; `used` tells where it is used, if that is elsewhere."""

    source: Source
    path: Path
    used: str = ""

    @property
    def where(self) -> str:
        """Return the place as `file:line:column`."""
        return self.source.fault(self.path, "").where


def _as_written(inserted: Sequence[Inserted], line: int, column: int) -> int:
    """Return the column that a column of a text had before anything was put into it."""
    moved = 0
    for one in inserted:
        if one.line != line or column < one.column:
            continue
        if column < one.column + one.width:
            return one.column + moved
        moved += one.written - one.width
    return column + moved


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
    reader = _Reader(source, _events_of(text))
    try:
        source.value = reader.document()
    except yaml.YAMLError as broken:
        raise PlaybookError([*reader.faults, _syntax_fault(source, broken)]) from broken
    source.faults = reader.faults
    return source


def _events_of(text: str) -> Iterator[yaml.Event]:
    """Yield the parser's events, each as it is asked for."""
    return iter(yaml.CSafeLoader(text).get_event, None)


def _syntax_fault(source: Source, broken: yaml.YAMLError) -> Fault:
    if not isinstance(broken, yaml.MarkedYAMLError) or broken.problem_mark is None:
        return source.fault((), f"expected YAML: {str(broken).splitlines()[0]}")
    mark = _as_counted(broken.problem_mark)
    context = f", {broken.context}" if broken.context else ""
    line = source.lines[mark.line - 1] if mark.line <= len(source.lines) else ""
    hint = "within braces and brackets ${…} stands in quotes" if _BARE.search(line) else ""
    return source.fault((), f"expected YAML: {broken.problem}{context}", hint=hint, mark=mark)


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
        self._source.marks[path] = event.start_mark
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
        if getattr(event, "tag", None) not in _PLAIN_TAGS:
            self._blame(path, event, "tags are not part of the language; write a plain value")

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> JsonScalar:
        self._source.styles[path] = event.style or ""
        return resolved(event.value) if event.implicit[0] else event.value

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
            place = (*path, name)
            if name in members:
                self._blame(place, event, f"key {shortened(name)} is given twice; expected it once")
            self._source.keys[place] = event.start_mark
            members[name] = self._value(next(self._events), place)
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
    return _as_counted(event.start_mark)


def _as_counted(mark: yaml.Mark) -> Mark:
    """Return a place of the parser's, which counts from 0, as a person counts."""
    return Mark(mark.line + 1, mark.column + 1)


def resolved(text: str) -> JsonScalar:
    """Return the value of a plain word, by the core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _BEGIN_NUMBERS:
        return text
    if _INT.fullmatch(text) and len(text) < 20:  # noqa: PLR2004 - longer ones are no count of anything here
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
