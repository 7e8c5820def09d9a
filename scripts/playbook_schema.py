"""The JSON Schema of a playbook's file, for editors: completion, hover texts, and what is wrong while it is written."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any, cast, get_args

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import ModelSchema

from services.decider.core.file_words import FileWords
from services.decider.core.language import SignalKind
from shared.contracts.signals import FactType, fact_types, values_of
from shared.kernel.durations import format_duration

Schema = dict[str, Any]
KINDS: tuple[str, ...] = get_args(SignalKind)
_NAME = "ParameterOrText"
_REFERENCE: Schema = {
    "type": "string",
    "pattern": r"\$\{[a-z0-9]([-a-z0-9]*[a-z0-9])?\}",
    "description": "A parameter of this file, as ${name}",
}
FORMATS: Mapping[str, str] = {
    "duration": r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
    "quantity": r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+|[numkKMGTPE]|[KMGTPE]i)?$",
}
_MAPS = frozenset({"properties", "patternProperties", "$defs"})
_PLAIN = frozenset({"ParameterWords", "IncludeWords", "Metadata", "FileWords"})
"""Where no parameter can stand."""
_TYPES: Mapping[FactType, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
}


class _Told(GenerateJsonSchema):
    """Tells of each word what the text below it in the source says.

    Pydantic does so itself where a model asks for it, but then whoever imports the model waits until it is parsed.
    """

    def model_schema(self, schema: ModelSchema) -> JsonSchemaValue:
        told = super().model_schema(schema)
        model = cast("type[BaseModel]", schema["cls"])
        for name, field in model.model_fields.items():
            said = _texts_of(model).get(name)
            if said is not None:
                told["properties"][field.alias or name].setdefault("description", said)
        return told


def _texts_of(model: type[BaseModel]) -> Mapping[str, str]:
    """Return what stands below each field of a model, and of those that it inherits from."""
    texts: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            texts |= _own_texts(base)
    return texts


def _own_texts(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    (found,) = ast.parse(inspect.getsource(model)).body
    for field, text in pairwise(cast("ast.ClassDef", found).body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                yield name, inspect.cleandoc(said)
            case _:
                continue


def words() -> Schema:
    """Return the schema of all words, as they are without parameters."""
    schema = cast("Schema", _cleaned(FileWords.model_json_schema(mode="validation", schema_generator=_Told)))
    rule = schema["$defs"]["RuleWords"]["properties"]
    rule["ladder"] = _by_name_too(rule["ladder"])
    return schema


def document() -> Schema:
    """Return the schema for editors."""
    schema = words()
    definitions = cast("dict[str, Schema]", schema["$defs"])
    for name, definition in definitions.items():
        if name not in _PLAIN and "properties" in definition:
            definition["properties"] = dict(_with_parameters(definition["properties"]))
    definitions["RuleWords"]["allOf"] = [_facts_of(kind) for kind in KINDS]
    definitions[_NAME] = _REFERENCE
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Healing playbook", **schema}


def _cleaned(part: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a part as an editor wants it: durations and quantities as they are written, no titles, no nulls."""
    if isinstance(part, list):
        return [_cleaned(one) for one in cast("list[Any]", part)]
    if not isinstance(part, dict):
        return part
    schema = cast("Schema", part)
    if "anyOf" in schema:
        schema = _not_null(schema)
    cleaned = {name: _members(value) if name in _MAPS else _cleaned(value) for name, value in schema.items()}
    cleaned = {name: value for name, value in cleaned.items() if not _is_dropped(name, value)}
    if cleaned.get("format") in FORMATS:
        cleaned["pattern"] = FORMATS[str(cleaned.pop("format"))]
    if str(cleaned.get("default", "")).startswith("PT"):
        cleaned["default"] = format_duration(TypeAdapter(timedelta).validate_python(cleaned["default"]))
    return cleaned


def _members(schemas: Mapping[str, Any]) -> Schema:
    """Return schemas by names, which may be any: also `default`, or `title`."""
    return {name: _cleaned(schema) for name, schema in schemas.items()}


def _not_null(schema: Schema) -> Schema:
    ways = [way for way in schema["anyOf"] if way != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**rest, **ways[0]} if len(ways) == 1 and "$ref" not in ways[0] else {**rest, "anyOf": ways}


def _is_dropped(name: str, value: Any) -> bool:  # noqa: ANN401 - any JSON
    is_title = name == "title" and isinstance(value, str)
    return is_title or name == "discriminator" or (name == "default" and (value is None or isinstance(value, dict)))


def _by_name_too(ladder: Schema) -> Schema:
    rungs = {name: value for name, value in ladder.items() if name != "description"}
    named: Schema = {"type": "string", "description": "The name of one of `ladders`"}
    return {"description": ladder["description"], "anyOf": [rungs, named]}


def _with_parameters(properties: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    """Yield each word as what it may be, or a parameter; a plain text can hold one as it is."""
    for name, schema in properties.items():
        is_free = schema.get("type") == "string" and not {"pattern", "enum", "const"} & schema.keys()
        if is_free or "const" in schema or schema.get("type") == "object" or _is_section(schema):
            yield name, schema
            continue
        told = {key: schema[key] for key in ("description", "default", "examples") if key in schema}
        rest = {key: value for key, value in schema.items() if key not in told}
        ways = rest["anyOf"] if rest.keys() == {"anyOf"} else [rest]
        yield name, {**told, "anyOf": [*ways, {"$ref": f"#/$defs/{_NAME}"}]}


def _is_section(schema: Schema) -> bool:
    """Tell whether a word holds words of its own, which no parameter can stand for."""
    return bool(re.search(r"#/\$defs/(?!Mode|Severity)", str(schema)))


def _facts_of(kind: str) -> Schema:
    """Return which facts `where` may name, for one kind of signal."""
    facts = {name: _fact(kind, name, fact) for name, fact in fact_types(kind).items() if fact in _TYPES}
    where = {"properties": facts, "patternProperties": {r"^labels\..+": _value({"type": "string"})}}
    return {
        "if": {"properties": {"signal": {"const": kind}}, "required": ["signal"]},
        "then": {"properties": {"where": where}},
    }


def _fact(kind: str, name: str, fact: FactType) -> Schema:
    choices = sorted(values_of(kind, name))
    plain: Schema = {"enum": choices} if choices else _TYPES[fact]
    told = f"A fact of {kind} signals: {'one of ' + ', '.join(choices) if choices else _TYPES[fact]['type']}"
    return {"description": told, **_value(plain)}


def _value(plain: Schema) -> Schema:
    return {"anyOf": [plain, {"type": "array", "items": plain}, {"type": "string"}]}
