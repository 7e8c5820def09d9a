"""A file with its parameters: what it declares, what it is given, and the file with all of it filled in."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import NoReturn

from pydantic import ValidationError

from services.decider.core.explaining import faults_of
from services.decider.core.faults import MAX_FAULTS, Fault, PlaybookError, did_you_mean, one_of
from services.decider.core.file_words import PARAMETER_NAME, ParameterWords
from services.decider.core.parameters import (
    Argument,
    Arguments,
    InsertionError,
    Wording,
    in_condition,
    in_message,
    in_query,
    in_text,
)
from services.decider.core.source import MAX_CHARS, MAX_VALUES, Origin, Path, Source
from shared.contracts.model import JsonValue

_PARAMETERS: Path = ("spec", "parameters")
_INCLUDE: Path = ("spec", "include")
_WORDINGS: Mapping[str, Wording] = {
    "when": in_condition,
    "promql": in_query,
    "message": in_message,
    "summary": in_message,
}
_STAND_INS: Mapping[str, str] = {"when": "true", "promql": "vector(1)", "message": "-", "summary": "-"}
"""What is looked at instead of a text that could not be filled, so that nothing more is said of it."""


class Filling:
    """Fills files in, again and again if they are included again; it bounds what all of them come to."""

    def __init__(self) -> None:
        self._values = 0
        self._chars = 0

    def filled(self, source: Source, arguments: Arguments) -> Source:
        """Return a file with values where its spec names parameters; what cannot be filled stands in its faults.

        Raises:
            PlaybookError: it would be too much.
        """
        own = Source(source.file, origins={(): Origin(source, ())})
        own.value = self._value(own, source.value, path=(), arguments=arguments)
        return own

    def _value(self, own: Source, value: JsonValue, *, path: Path, arguments: Arguments) -> JsonValue:
        self._count(own, path)
        if path == _PARAMETERS:
            return value
        match value:
            case dict():
                return {
                    name: self._value(own, member, path=(*path, name), arguments=arguments)
                    for name, member in value.items()
                }
            case list():
                return [
                    self._value(own, item, path=(*path, place), arguments=arguments) for place, item in enumerate(value)
                ]
            case str() if "$" in value and path[:1] == ("spec",):
                return self._text(own, value, path=path, arguments=arguments)
            case _:
                return value

    def _text(self, own: Source, text: str, *, path: Path, arguments: Arguments) -> JsonValue:
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        try:
            whole = arguments.whole(text) if key not in _WORDINGS else None
            if whole is not None:
                return self._whole(own, whole, path=path)
            found = arguments.fill(text, wording=_WORDINGS.get(key, in_text))
        except InsertionError as wrong:
            if wrong.expected:
                mark = own.inside(path, line=wrong.line, column=wrong.column)
                own.faults.append(own.fault(path, wrong.expected, hint=wrong.hint, mark=mark))
            return _STAND_INS.get(key, None if path[:2] == _INCLUDE else text)
        own.inserted[path] = found.inserted
        self._count(own, path, chars=len(found.text))
        return found.text

    def _whole(self, own: Source, argument: Argument, *, path: Path) -> JsonValue:
        used = f"used at {Origin(own, path).where}"
        own.origins[path] = replace(argument.origin, used=used)
        items = argument.value if isinstance(argument.value, list) else [argument.value]
        for item in items:
            self._count(own, path, chars=len(str(item)))
        return argument.value

    def _count(self, own: Source, path: Path, *, chars: int = 0) -> None:
        self._values += 1
        self._chars += chars
        if self._values > MAX_VALUES:
            _give_up(own, path, f"expected at most {MAX_VALUES} values, with all that is included")
        if self._chars > MAX_CHARS:
            _give_up(own, path, f"expected at most {MAX_CHARS} characters, with all that parameters say")


def _give_up(own: Source, path: Path, expected: str) -> NoReturn:
    raise PlaybookError([*own.faults, own.fault(path, expected)])


def arguments_of(source: Source, given: Mapping[str, Argument]) -> tuple[Arguments, list[Fault]]:
    """Return what a file's parameters are when it is given some of them, and what is wrong with either."""
    faults: list[Fault] = []
    known: dict[str, Argument] = {}
    for name, declared in source.members_at(_PARAMETERS).items():
        path = (*_PARAMETERS, name)
        wrong = [*_declaration_faults(source, declared, path=path)]
        if wrong:
            faults += wrong
            known[name] = Argument(None, Origin(source, (*path, "default")))
            continue
        default = Argument(ParameterWords.model_validate(declared).default, Origin(source, (*path, "default")))  # type: ignore[arg-type]
        known[name] = given.get(name, default)
        faults += _type_faults(known[name], default)
    unknown = (_unknown(source, one, name=name, known=known) for name, one in given.items() if name not in known)
    return Arguments(known), [*faults, *islice(unknown, MAX_FAULTS)]


def unused(source: Source, arguments: Arguments) -> Iterator[Fault]:
    """Yield a hint for each parameter that nothing of its file asks for."""
    for name in arguments.known:
        path = (*_PARAMETERS, name)
        if name not in arguments.used:
            yield source.fault(
                path, f"nothing says ${{{name}}}; expected a parameter to be used", mark=source.key_of(path)
            )


def _declaration_faults(source: Source, declared: JsonValue, *, path: Path) -> Iterator[Fault]:
    if not PARAMETER_NAME.fullmatch(str(path[-1])):
        expected = "expected small letters, digits and '-' between them as the name of a parameter"
        yield source.fault(path, expected, mark=source.key_of(path))
    try:
        ParameterWords.model_validate(declared)
    except ValidationError as invalid:
        yield from faults_of(source, invalid, {"": ParameterWords}, at=path)


def _type_faults(argument: Argument, default: Argument) -> Iterator[Fault]:
    wanted, found = _type_of(default.value), _type_of(argument.value)
    if argument.value is not None and found not in {wanted, *_ALSO.get(wanted, ())}:
        at = default.origin.source.fault(default.origin.path, "").where
        yield argument.origin.source.fault(
            argument.origin.path,
            f"expected {wanted}, as its default is; found {found}",
            hint=f"the default stands at {at}",
        )


_ALSO: Mapping[str, frozenset[str]] = {
    "a number": frozenset({"a whole number"}),
    "a list": frozenset({"a list of texts", "a list of whole numbers", "a list of numbers"}),
}


def _type_of(value: JsonValue) -> str:
    """Return the type of a value in words; that of a list is the one of its items, if they have one."""
    match value:
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a number"
        case str():
            return "a text"
        case list():
            kinds = {_type_of(item).removeprefix("a ") for item in value}
            return f"a list of {kinds.pop()}s" if len(kinds) == 1 else "a list"
        case _:
            return "nothing"


def _unknown(source: Source, argument: Argument, *, name: str, known: Mapping[str, Argument]) -> Fault:
    listed = one_of(list(known)) if known else "it has none"
    origin = argument.origin
    return origin.source.fault(
        origin.path,
        f"{source.file} has no parameter {name!r}; {listed}",
        hint=did_you_mean(name, list(known)),
        mark=origin.source.key_of(origin.path),
    )
