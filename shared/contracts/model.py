"""The base of every message and value on the wire."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, JsonValue

__all__ = ["JsonObject", "JsonScalar", "JsonValue", "Message", "Moment", "Value", "body_of"]

JsonScalar = str | int | float | bool | None
JsonObject = dict[str, JsonValue]


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as beyond:
        raise ValueError("expected a moment that exists in UTC, between the years 1 and 9999") from beyond


Moment = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""An aware datetime, held in UTC so that equal moments have equal bytes."""


class Value(BaseModel):
    """An immutable value; unknown fields are ignored, so that a newer writer does not stop an older reader."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)  # a program uses few of all the messages


class Message(Value):
    """A value that travels on a topic by itself, as one CloudEvent.

    `TYPE` and `VERSION` make the CloudEvents attribute `type`; `id` and `at` are repeated in the headers.
    """

    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1

    id: str
    at: Moment

    @property
    def key(self) -> str:
        """Return the text by which the message is partitioned."""
        raise NotImplementedError


def body_of(message: Message) -> bytes:
    """Return a message's canonical bytes: equal messages have equal bytes."""
    return message.model_dump_json().encode()
