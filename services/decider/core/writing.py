"""A plain value as YAML text: the same text for the same value, and the same value when it is read again."""

import json
import math
import re
from collections.abc import Iterator
from typing import cast

import yaml

from services.decider.core.source import resolved
from shared.contracts.model import JsonScalar, JsonValue

_SHORT_CHARS = 100
_BLOCK_LEVELS = 4
"""A playbook's own levels down to its rules' keys are written out, one key a line."""
_NO_FOLDING = 1 << 30
_SPECIAL = re.compile(r"\$(?=[{$])")


def written(value: JsonValue) -> str:
    """Return the text of a playbook; what would begin a parameter is escaped, so that it says itself."""
    events = [
        yaml.StreamStartEvent(),
        yaml.DocumentStartEvent(explicit=False),
        *_events(value, level=0),
        yaml.DocumentEndEvent(explicit=False),
        yaml.StreamEndEvent(),
    ]
    return cast("str", yaml.emit(events, Dumper=yaml.CSafeDumper, allow_unicode=True, width=_NO_FOLDING))  # pyright: ignore[reportUnknownMemberType] - untyped


def _events(value: JsonValue, *, level: int) -> Iterator[yaml.Event]:
    match value:
        case dict():
            yield yaml.MappingStartEvent(None, None, implicit=True, flow_style=_is_flow(value, level))
            for name, member in value.items():
                yield _scalar(name, is_plain=True)
                yield from _events(member, level=level + 1)
            yield yaml.MappingEndEvent()
        case list():
            yield yaml.SequenceStartEvent(None, None, implicit=True, flow_style=_is_flow(value, level))
            for item in value:
                yield from _events(item, level=level + 1)
            yield yaml.SequenceEndEvent()
        case str():
            yield _scalar(_SPECIAL.sub("$$", value), is_plain=resolved(value) is value)
        case _:
            yield _scalar(_word_of(value), is_plain=True)


def _is_flow(value: JsonValue, level: int) -> bool:
    return not value or (level >= _BLOCK_LEVELS and len(json.dumps(value)) <= _SHORT_CHARS)


def _scalar(text: str, *, is_plain: bool) -> yaml.Event:
    return yaml.ScalarEvent(None, None, (is_plain, True), text, style="|" if "\n" in text and is_plain else None)


def _word_of(value: JsonScalar) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case float() if math.isinf(value):
            return "1e999" if value > 0 else "-1e999"  # as it was written: the core schema reads no `.inf` here
        case _:
            return str(value)
