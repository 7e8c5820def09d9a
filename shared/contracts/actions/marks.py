"""The marks on what we change: which command it was changed for, under which leader's token, and from what to what."""

from pydantic import ValidationError

from shared.contracts.model import JsonObject, JsonValue, Value
from shared.contracts.objects import annotations_of, text

COMMAND_ANNOTATION = "sre-agent.dev/command"
TOKEN_ANNOTATION = "sre-agent.dev/token"  # noqa: S105 - a fencing token is no secret
STOP_ANNOTATION = "sre-agent.dev/pause"
"""By which people stop what is done to an object, or in a namespace."""
CHANGE_ANNOTATION = "sre-agent.dev/change"


class Change(Value):
    """What a command made of one field; so it can be told later whether somebody has made it what it was before."""

    command: str
    field: str
    before: str
    after: str


def marks_of(command: str, token: int) -> JsonObject:
    """Return the annotations by which a change can be told to be ours, and by which leader's."""
    return {COMMAND_ANNOTATION: command, TOKEN_ANNOTATION: str(token)}


def mark_of(change: Change) -> JsonObject:
    """Return the annotation that tells from what to what a field was changed."""
    return {CHANGE_ANNOTATION: change.model_dump_json()}


def change_of(source: JsonObject) -> Change | None:
    """Return the change that an object is marked with; None where it has none that can be read."""
    try:
        return Change.model_validate_json(text(annotations_of(source), CHANGE_ANNOTATION))
    except ValidationError:
        return None


def is_marked(source: JsonObject, command: str) -> bool:
    """Tell whether an object carries a command's mark: that change has happened."""
    return annotations_of(source).get(COMMAND_ANNOTATION) == command


def operations_of(marks: JsonObject) -> list[JsonValue]:
    """Return the marks as operations of a JSON Patch."""
    return [_annotation(name, value) for name, value in marks.items()]


def _annotation(name: str, value: JsonValue) -> JsonObject:
    return {"op": "add", "path": f"/metadata/annotations/{name.replace('/', '~1')}", "value": value}
