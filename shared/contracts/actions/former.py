"""What a change found in its place: kept on the object beside the marks, so that it can be set back.

The decider cannot know it where no signal tells it; the object itself can, whoever crashed in between. What is set back
is held against what the command had made: where somebody changed that since, it stays.
"""

import json
from dataclasses import dataclass
from typing import Literal, cast

from shared.contracts.actions.base import Order, RefusedError
from shared.contracts.model import JsonObject
from shared.contracts.objects import annotations_of, section, text
from shared.contracts.refusals import Refusal

FORMER_ANNOTATION = "sre-agent.dev/former"
Direction = Literal["forth", "back"]
"""Whether an action is done, or what it did is set back."""


@dataclass(frozen=True, slots=True)
class Former:
    """What was found, and what was made of it, each by the names of its fields."""

    found: JsonObject
    made: JsonObject


def noting(metadata: JsonObject, former: Former, order: Order, *, direction: Direction) -> JsonObject:
    """Return the metadata of a patch that keeps what it changes; one that sets back keeps nothing to set back again."""
    if direction == "back":
        return _annotated(metadata, None)
    said = {"command": order.command, "found": former.found, "made": former.made}
    return _annotated(metadata, json.dumps(said, separators=(",", ":"), sort_keys=True))


def former_of(source: JsonObject, order: Order) -> Former:
    """Return what the command that is to be undone found; or whichever came last, where a person asks.

    Raises:
        RefusedError: the object does not say, or says it of another command.
    """
    said = _said(source)
    found, made = section(said, "found"), section(said, "made")
    if not found or not made or order.reverts not in {"", text(said, "command")}:
        raise RefusedError(Refusal.NO_EARLIER_STATE)
    return Former(found, made)


def _said(source: JsonObject) -> JsonObject:
    try:
        said: object = json.loads(str(annotations_of(source).get(FORMER_ANNOTATION) or "{}"))
    except (ValueError, RecursionError):
        return {}
    return cast("JsonObject", said) if isinstance(said, dict) else {}


def _annotated(metadata: JsonObject, value: str | None) -> JsonObject:
    return {**metadata, "annotations": {**section(metadata, "annotations"), FORMER_ANNOTATION: value}}
