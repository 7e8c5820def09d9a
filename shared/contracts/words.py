"""The playbook's words that its sections share: how durations and sizes are written, and which signals there are."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from shared.kernel.durations import parse_duration
from shared.kernel.quantities import format_bytes, format_millis, parse_bytes, parse_millis


def _parse_duration(text: object) -> timedelta:
    if isinstance(text, timedelta):  # a default; YAML has no such value
        return text
    return parse_duration(text if isinstance(text, str) else "")


def _not_nothing(length: timedelta) -> timedelta:
    if length <= timedelta(0):
        raise ValueError("expected a duration longer than 0s")
    return length


def _format_duration(length: timedelta) -> str:
    return f"{length // timedelta(seconds=1)}s"


def _parse_size(text: object) -> int:
    if isinstance(text, str):
        return parse_bytes(text)
    raise ValueError("expected a quantity with a unit such as 512Mi")


def _as_list(names: object) -> object:
    return [names] if isinstance(names, str) else names


def _parse_cores(text: object) -> int:
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise ValueError("expected a quantity of cores such as 500m or 2")  # noqa: TRY004 - pydantic wants this one
    return parse_millis(str(text))


Duration = Annotated[
    timedelta,
    BeforeValidator(_parse_duration),
    PlainSerializer(_format_duration),
    WithJsonSchema({"type": "string", "format": "duration", "examples": ["30s", "5m", "1h30m", "2d"]}),
]
Length = Annotated[Duration, AfterValidator(_not_nothing)]
"""A duration within which something can happen."""
Size = Annotated[
    int,
    BeforeValidator(_parse_size),
    PlainSerializer(format_bytes),
    WithJsonSchema({"type": "string", "format": "quantity", "examples": ["512Mi", "1.5Gi"]}),
]
Approvers = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.@]*[A-Za-z0-9])?$", max_length=63)], ...],
    BeforeValidator(_as_list),
    Field(min_length=1, max_length=20),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 20}]}
    ),
]
"""People by their names or their roles, as the API's tokens have them."""
Cores = Annotated[
    int,
    BeforeValidator(_parse_cores),
    PlainSerializer(format_millis),
    WithJsonSchema({"type": ["string", "number"], "format": "quantity", "examples": ["500m", "2"]}),
]
"""Thousandths of a core."""
SignalKind = Literal["event", "container", "pod", "workload", "node", "sample", "alert"]


class Words(BaseModel):
    """A section of a playbook; a key that it does not know is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, defer_build=True)
