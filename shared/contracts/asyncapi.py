"""The AsyncAPI 3.0 document of all topics (https://www.asyncapi.com/docs/reference), from their declaration. Pure."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from shared.contracts.codec import CONTENT_TYPE, type_of
from shared.contracts.commands import Command
from shared.contracts.model import Message
from shared.contracts.signatures import CLUSTER, KEY_ID, SIGNATURE
from shared.contracts.topics import TOPICS, Topic

Json = dict[str, Any]
_HEADERS = ("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "ce_subject")
_OF_SIGNED = (CLUSTER, KEY_ID, SIGNATURE)
_REF = "#/components/schemas/{model}"


def document(topics: Iterable[Topic] = TOPICS) -> Json:
    """Return the document; the same topics give the same document."""
    shown = [topic for topic in topics if topic.messages]
    models = {type_of(model): model for topic in shown for model in topic.messages}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "SRE-Agent",
            "version": "1",
            "description": "What the services say to each other: CloudEvents 1.0 in Kafka's binary mode, JSON bodies.",
        },
        "defaultContentType": CONTENT_TYPE.decode(),
        "channels": {topic.name: _channel(topic) for topic in shown},
        "components": {
            "messages": {name: _message(name, model) for name, model in sorted(models.items())},
            "schemas": _schemas(models.values()),
        },
    }


def _channel(topic: Topic) -> Json:
    binding: Json = {
        "partitions": topic.partitions,
        "topicConfiguration": {"cleanup.policy": ["compact" if topic.is_compacted else "delete"]},
    }
    if topic.retention is not None:
        binding["topicConfiguration"]["retention.ms"] = topic.retention // timedelta(milliseconds=1)
    names = [type_of(model) for model in topic.messages]
    return {
        "address": topic.name,
        "description": topic.purpose,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"kafka": binding},
    }


def _message(name: str, model: type[Message]) -> Json:
    return {
        "name": name,
        "summary": (model.__doc__ or "").partition("\n")[0],
        "headers": {
            "type": "object",
            "required": [*_HEADERS, *(_OF_SIGNED if model is Command else ())],
            "properties": {"ce_type": {"const": name}, "traceparent": {"type": "string"}},
        },
        "payload": {"$ref": _REF.format(model=model.__name__)},
    }


def _schemas(models: Iterable[type[Message]]) -> Json:
    schemas: Json = {}
    for model in models:
        schema = model.model_json_schema(ref_template=_REF, mode="serialization")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    return dict(sorted(schemas.items()))
