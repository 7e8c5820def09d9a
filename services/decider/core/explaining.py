"""What a model refused, as faults in the words and at the places of the file."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from services.decider.core.faults import MAX_FAULTS, Fault, did_you_mean, shortened
from services.decider.core.language import STEPS
from services.decider.core.source import Path, Source

_EXPECTED: Mapping[str, str] = {
    "string_type": "expected a text",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "frozen_set_type": "expected a list",
    "dict_type": "expected keys with values",
    "model_type": "expected keys with values",
    "model_attributes_type": "expected keys with values",
    "string_too_short": "expected a text that is not empty",
    "string_too_long": "expected at most {max_length} characters",
    "string_pattern_mismatch": "expected small letters, digits and '-' between them",
    "too_short": "expected at least {min_length} of them",
    "too_long": "expected at most {max_length} of them",
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected at least {ge}",
    "less_than_equal": "expected at most {le}",
}
_ACTIONS = tuple(STEPS)
_UNION_MEMBERS = frozenset({"str", "int", "float", "bool"})
_COUNTED = frozenset({"too_short", "too_long"})
"""Complaints about how many there are, where showing what was found tells nothing more."""


def faults_of(
    source: Source, invalid: ValidationError, sections: Mapping[str, type[BaseModel]], *, at: Path = ()
) -> list[Fault]:
    """Return a fault for each thing that a model refused; `sections` names the model that a key holds.

    `at` is where the value stands that was validated.
    """
    errors = (error for error in invalid.errors(include_url=False) if not _is_consequence(error))
    explained = dict.fromkeys(_explained(source, error, sections, at=at) for error in islice(errors, MAX_FAULTS))
    return list(explained)


def _is_consequence(error: ErrorDetails) -> bool:
    """Tell whether a list is only too short because pydantic leaves those of its items out that are wrong."""
    found, least = error["input"], error.get("ctx", {}).get("min_length", 0)
    return error["type"] == "too_short" and isinstance(found, list) and len(cast("list[object]", found)) >= least


def _explained(source: Source, error: ErrorDetails, sections: Mapping[str, type[BaseModel]], *, at: Path) -> Fault:
    path = _path_in(source, error["loc"], at=at)
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(source, path, known=sorted(_known_keys(error["loc"], sections)))
        case "missing":
            return source.fault(path, f"key {path[-1]!r} is missing")
        case "union_tag_not_found":
            return source.fault(path, f"key 'action' is missing; expected one of: {', '.join(_ACTIONS)}")
        case "union_tag_invalid":
            found = str(error.get("ctx", {}).get("tag", ""))
            return _unknown_word(source, (*path, "action"), found=found, choices=_ACTIONS)
        case "literal_error" | "enum":
            return _unknown_word(source, path, found=error["input"], choices=_choices(error))
        case _ if _is_scalar_of_union(error):
            others = "labels" if "facts" in path else "a list of such values"
            return source.fault(path, f"expected a text, a number, true or false, or {others}")
        case _:
            return source.fault(path, _refused(error), hint=str(error.get("ctx", {}).get("hint", "")))


def _unknown_key(source: Source, path: Path, *, known: Sequence[str]) -> Fault:
    hint = did_you_mean(str(path[-1]), known)
    expected = f"unknown key; expected one of: {', '.join(known)}"
    return source.fault(path, expected, hint=hint, mark=source.key_of(path))


def _unknown_word(source: Source, path: Path, *, found: object, choices: Sequence[str]) -> Fault:
    listed = " or ".join([", ".join(map(repr, choices[:-1])), repr(choices[-1])]) if choices[1:] else repr(choices[0])
    return source.fault(path, f"expected {listed}, found {_shown(found)}", hint=did_you_mean(str(found), choices))


def _choices(error: ErrorDetails) -> list[str]:
    context = error.get("ctx", {})
    listed = str(context.get("expected"))
    return [word.strip(" '") for word in listed.replace(" or ", ", ").split(",")]


def _refused(error: ErrorDetails) -> str:
    expected = _EXPECTED.get(error["type"])
    if expected is None:
        return error["msg"].removeprefix("Value error, ")
    counted = expected.format(**error.get("ctx", {}))
    return counted if error["type"] in _COUNTED else f"{counted}, found {_shown(error['input'])}"


def _shown(found: object) -> str:
    match found:
        case None:
            return "nothing"
        case bool():
            return str(found).lower()
        case list():
            return "a list"
        case dict():
            return "keys with values"
        case str():
            return shortened(found)
        case _:
            return str(found)


def _is_scalar_of_union(error: ErrorDetails) -> bool:
    """Tell whether this is one of pydantic's several complaints that a value is none of a union's members."""
    parts = [part for part in error["loc"] if isinstance(part, str)]
    return bool(parts) and (parts[-1] in _UNION_MEMBERS or parts[-1].startswith("list["))


def _path_in(source: Source, location: Sequence[str | int], *, at: Path) -> Path:
    """Return the part of pydantic's location that exists in the file: it names union members on the way as well."""
    path = at
    for part in location[:-1]:
        path = (*path, part) if source.has((*path, part)) else path
    if not location:
        return path
    last = location[-1]
    is_member = source.has((*path, last)) or (isinstance(last, str) and last.replace("_", "").isalnum())
    return (*path, last) if is_member and last not in _UNION_MEMBERS else path


def _known_keys(location: Sequence[str | int], sections: Mapping[str, type[BaseModel]]) -> Iterator[str]:
    section = next((part for part in reversed(location[:-1]) if isinstance(part, str)), "")
    yield from (field.alias or name for name, field in sections[section].model_fields.items())
