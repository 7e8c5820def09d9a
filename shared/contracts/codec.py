"""Messages to Kafka records and back: CloudEvents 1.0, Kafka protocol binding, binary content mode.

Attributes travel as `ce_*` headers, the body is the model as JSON. The attribute `type` carries the version
(`dev.sre-agent.finding.v1`); a reader takes its own version and every older one for which an upcast is declared.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from shared.contracts.model import JsonObject, Message, body_of
from shared.contracts.signals import EventSignal
from shared.contracts.topics import TOPICS, Topic
from shared.kernel.errors import PoisonError

TYPE_PREFIX = "dev.sre-agent."
CONTENT_TYPE = b"application/json"
Headers = tuple[tuple[str, bytes | None], ...]
"""A header that was written without a value has none, and reads as an empty text."""
Upcast = Callable[[JsonObject], JsonObject]


def _unchanged(body: JsonObject) -> JsonObject:
    """Lift a body whose model reads the older form by itself."""
    return body


UPCASTS: Mapping[tuple[str, int], Upcast] = {(EventSignal.TYPE, 1): _unchanged}
"""From (TYPE, version) to the function that lifts a body of that version to the next one."""


class Record(NamedTuple):
    """One record as read from a partition; `timestamp_ms` is milliseconds since the epoch.

    A tuple, because one is made for each of the millions that a replay reads: a frozen dataclass takes three times as
    long to make.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def place(self) -> str:
        """Return where it lies, as `topic/partition/offset`."""
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to be written; without a partition the key chooses it."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers
    partition: int | None = None


class Envelope(NamedTuple):
    """A message with the attributes that are not in its body, and where it was read."""

    message: Message
    record: Record
    attributes: Mapping[str, bytes | None]

    @property
    def source(self) -> str:
        """Return the service that wrote it."""
        return _text(self.attributes, "ce_source")

    @property
    def traceparent(self) -> str | None:
        """Return the W3C trace context that it belongs to."""
        return _text(self.attributes, "traceparent") if "traceparent" in self.attributes else None


def type_of(model: type[Message]) -> str:
    """Return the CloudEvents attribute `type` of a model."""
    return f"{TYPE_PREFIX}{model.TYPE}.v{model.VERSION}"


def encode(
    message: Message,
    *,
    topic: Topic,
    source: str,
    traceparent: str | None = None,
    partition: int | None = None,
) -> Outgoing:
    """Return the record of a message; `source` is the writing service, `traceparent` the W3C context of its cause.

    A message without a cause begins a trace, whose ids derive from its own.
    """
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", message.id.encode()),
        ("ce_type", type_of(type(message)).encode()),
        ("ce_source", f"/sre-agent/{source}".encode()),
        ("ce_time", message.at.isoformat().encode()),
        ("ce_subject", message.key.encode()),
        ("content-type", CONTENT_TYPE),
        ("traceparent", (traceparent or begun_trace(message.id)).encode()),
    ]
    return Outgoing(
        topic=topic.name,
        key=message.key.encode(),
        value=body_of(message),
        headers=tuple(headers),
        partition=partition,
    )


def begun_trace(message: str) -> str:
    """Return the W3C trace context (https://www.w3.org/TR/trace-context/) that a message without a cause begins."""
    digest = hashlib.sha256(message.encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-01"


def decode(record: Record) -> Envelope:
    """Return the message of a record.

    Raises:
        PoisonError: the record is no CloudEvent of a declared type for its topic, or its body does not fit the model.
    """
    attributes = dict(record.headers)
    model, version = _declared(record.topic, _text(attributes, "ce_type"))
    message = _read(record, model, version)
    if message.id != _text(attributes, "ce_id"):
        raise PoisonError(f"ce_id {_text(attributes, 'ce_id')!r} is not the id of the body, {message.id!r}")
    if "ce_source" not in attributes:
        raise PoisonError(_missing("ce_source"))
    return Envelope(message, record, attributes)


def _text(attributes: Mapping[str, bytes | None], name: str) -> str:
    if name not in attributes:
        raise PoisonError(_missing(name))
    return (attributes[name] or b"").decode(errors="replace")


def _missing(name: str) -> str:
    return f"header {name!r} is missing; expected a CloudEvent in binary mode"


@lru_cache(maxsize=256)  # bounded, because a type comes from outside
def _declared(topic: str, type_attribute: str) -> tuple[type[Message], int]:
    name, _, version = type_attribute.removeprefix(TYPE_PREFIX).rpartition(".v")
    model = _models(topic).get(name)
    if model is None or not version.isdecimal():
        expected = ", ".join(sorted(map(type_of, _models(topic).values()))) or "none"
        raise PoisonError(f"ce_type {type_attribute!r} does not belong on {topic}; expected one of: {expected}")
    return model, int(version)


def _read(record: Record, model: type[Message], version: int) -> Message:
    if record.value is None:
        raise PoisonError(f"{type_of(model)} has no body")
    try:
        if version == model.VERSION:
            return model.model_validate_json(record.value)
        return model.model_validate(_lifted(record.value, model, version))
    except ValidationError as invalid:
        raise PoisonError(_first_fault(model, invalid)) from invalid


def _lifted(value: bytes, model: type[Message], version: int) -> JsonObject:
    body = _JSON_OBJECT.validate_json(value)
    for step in range(version, model.VERSION):
        if (model.TYPE, step) not in UPCASTS:
            raise PoisonError(f"{model.TYPE} v{step} is no longer read; this version reads v{model.VERSION}")
        body = UPCASTS[model.TYPE, step](body)
    if version > model.VERSION:
        raise PoisonError(f"{model.TYPE} v{version} is newer than this version reads (v{model.VERSION})")
    return body


def _first_fault(model: type[Message], invalid: ValidationError) -> str:
    fault = invalid.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, fault["loc"])) or "body"
    return f"{type_of(model)}: {where}: {fault['msg']}"


_JSON_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)


@cache
def _models(topic: str) -> Mapping[str, type[Message]]:
    declared = next((candidate for candidate in TOPICS if candidate.name == topic), None)
    return {model.TYPE: model for model in declared.messages} if declared else {}
