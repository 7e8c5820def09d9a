"""The marks on what we change: which command it was changed for, and under which leader's token."""

from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.objects import annotations_of

COMMAND_ANNOTATION = "sre-agent.dev/command"
TOKEN_ANNOTATION = "sre-agent.dev/token"  # noqa: S105 - a fencing token is no secret
STOP_ANNOTATION = "sre-agent.dev/pause"
"""By which people stop what is done to an object, or in a namespace."""


def marks_of(command: str, token: int) -> JsonObject:
    """Return the annotations by which a change can be told to be ours, and by which leader's."""
    return {COMMAND_ANNOTATION: command, TOKEN_ANNOTATION: str(token)}


def is_marked(source: JsonObject, command: str) -> bool:
    """Tell whether an object carries a command's mark: that change has happened."""
    return annotations_of(source).get(COMMAND_ANNOTATION) == command


def operations_of(marks: JsonObject) -> list[JsonValue]:
    """Return the marks as operations of a JSON Patch."""
    return [_annotation(name, value) for name, value in marks.items()]


def _annotation(name: str, value: JsonValue) -> JsonObject:
    return {"op": "add", "path": f"/metadata/annotations/{name.replace('/', '~1')}", "value": value}
