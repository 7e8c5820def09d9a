"""The lines of a difference between two specifications of an object: `-` what is there, `+` what would be."""

from collections.abc import Iterator, Mapping

from services.remediator.core.cleaning import Cleaning
from shared.contracts.model import JsonObject, JsonScalar, JsonValue
from shared.contracts.objects import section

MOST_LINES = 40
_VALUE_CHARS = 200
_UNSHOWN = frozenset({"env", "envFrom", "args", "command"})
"""Where passwords stand that no pattern knows."""


def difference(before: JsonObject, after: JsonObject) -> list[str]:
    """Return what becomes different in a specification, by the paths of its fields, without what may be secret."""
    cleaning = Cleaning()
    old, new = (dict(_leaves(section(one, "spec"), "spec")) for one in (before, after))
    lines = [
        f"{sign} {path}: {_shown(path, values[path], cleaning)}"
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path) or (path in old) != (path in new)
        for sign, values in (("-", old), ("+", new))
        if path in values
    ]
    more = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], f"… {more} more lines"] if more > 0 else lines


def _leaves(value: JsonValue, path: str) -> Iterator[tuple[str, JsonScalar]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{_key_of(inner, number)}]")
    else:
        yield path, value


def _key_of(item: JsonValue, number: int) -> str:
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) else str(number)


def _shown(path: str, value: JsonScalar, cleaning: Cleaning) -> str:
    if _UNSHOWN & {part.partition("[")[0] for part in path.split(".")}:
        return "(not shown)"
    return cleaning.text(str(value)[:_VALUE_CHARS])
