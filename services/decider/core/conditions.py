"""Conditions in CEL (Common Expression Language), checked against a kind of signal's facts when they are loaded."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from cel_expr_python import cel

from services.decider.core.faults import TextError, did_you_mean
from shared.contracts.signals import FactType, FactValue, fact_types

MAX_CHARS = 4_000
MAX_DEPTH = 32
MAX_KEPT = 1_024
"""How many conditions are kept compiled: rules that share a ladder, or differ by `where`, ask the same."""
_OPENING, _CLOSING = "([{", ")]}"
_POSITION = re.compile(r"<input>:(-?\d+):(-?\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_RESERVED = re.compile(r"reserved identifier: (\w+)")
_MATCHES = re.compile(r"""\bmatches\s*\((?:[^()"',]*,)?\s*([rR]?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))\s*\)""")
"""A call of `matches` with its pattern written out."""
_WORD = re.compile(r"\w+")
_ESCAPED = {"namespace": "__namespace__"}
"""Facts whose names CEL keeps for itself, spelled as Kubernetes spells them in its own conditions."""
_TYPES: Mapping[FactType, cel.Type] = {
    str: cel.Type.STRING,
    int: cel.Type.INT,
    float: cel.Type.DOUBLE,
    bool: cel.Type.BOOL,
    dict[str, str]: cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
}


class ConditionError(TextError):
    """Signal that a condition cannot be compiled."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition; `facts` are the names of those that it may ask for."""

    text: str
    expression: cel.Expression
    facts: tuple[str, ...]

    def holds(self, facts: "Facts") -> bool:
        """Tell whether the condition is true; one that cannot be evaluated (a missing label, say) is not."""
        try:
            answer = self.expression.eval(facts.activation(self.facts))
        except RuntimeError:  # the budget of iterations is spent: raised, where other failures are answers
            return False
        return answer.type() == cel.Type.BOOL and bool(answer.value())

    def answer(self, facts: "Facts") -> str:
        """Return what the condition says in words: true, false, or why it cannot be told, which counts as false."""
        try:
            answer = self.expression.eval(facts.activation(self.facts))
        except RuntimeError as spent:
            return f"cannot be told: {spent}"
        if answer.type() == cel.Type.ERROR:
            return f"cannot be told: {answer.value()}"
        return "true" if answer.value() else "false"


class Facts:
    """A signal's facts; those that a condition needs are prepared for CEL once, and only if it is asked at all."""

    __slots__ = ("_activations", "_kind", "values")

    def __init__(self, kind: str, values: Mapping[str, FactValue]) -> None:
        self.values = values
        self._kind = kind
        self._activations: dict[tuple[str, ...], cel.Activation] = {}

    def activation(self, names: tuple[str, ...]) -> cel.Activation:
        """Return some of the facts as CEL sees them."""
        prepared = self._activations.get(names)
        if prepared is None:
            values = {_ESCAPED.get(name, name): self.values[name] for name in names}
            prepared = self._activations[names] = _environment(self._kind).Activation(values)
        return prepared


@lru_cache(maxsize=MAX_KEPT)
def compile_condition(text: str, *, kind: str) -> Condition:
    """Return the condition of a text, type-checked against the facts of a kind of signal.

    Raises:
        ConditionError: it is no CEL, asks for a fact that is not there, or is no yes-or-no question.
    """
    _bound(text)
    try:
        expression = _environment(kind).compile(text)
    except RuntimeError as invalid:
        raise _explained(str(invalid), kind) from invalid
    if expression.return_type() != cel.Type.BOOL:
        raise ConditionError(f"expected a condition that is true or false, found {expression.return_type()}")
    _refuse_unusable_patterns(text)
    return Condition(text, expression, _asked_for(text, kind))


def _asked_for(text: str, kind: str) -> tuple[str, ...]:
    """Return the facts whose names stand in a condition, be it within a text or as a variable of its own."""
    words = set(_WORD.findall(text))
    return tuple(name for name in fact_types(kind) if _ESCAPED.get(name, name) in words)


def _refuse_unusable_patterns(text: str) -> None:
    """Refuse a regular expression that is written out and is none: CEL itself tells only when it is asked."""
    for found in {found[1]: found for found in reversed([*_MATCHES.finditer(text)])}.values():
        answer = _environment_of_nothing().compile(f'"".matches({found[1]})').eval()
        if answer.type() == cel.Type.ERROR:
            line = text.count("\n", 0, found.start(1)) + 1
            column = found.start(1) - text.rfind("\n", 0, found.start(1))
            problem = str(answer.value()).rpartition("expression: ")[2]
            raise ConditionError(
                f"expected a regular expression as RE2 knows them: {problem}", line=line, column=column
            )


def _bound(text: str) -> None:
    """Refuse what the compiler should not be asked: its stack and its time grow with the nesting of a text."""
    if len(text) > MAX_CHARS:
        raise ConditionError(f"expected a condition of at most {MAX_CHARS} characters, found {len(text)}")
    depth, line, column = 0, 1, 0
    for sign in text:
        line, column = (line + 1, 0) if sign == "\n" else (line, column + 1)
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if depth > MAX_DEPTH:
            raise ConditionError(f"expected at most {MAX_DEPTH} levels of nesting", line=line, column=column)


def _explained(message: str, kind: str) -> ConditionError:
    position = _POSITION.search(message)
    if position is None:
        return ConditionError(f"expected a CEL condition: {message}")
    problem = position[3].replace(" (in container '')", "")
    return ConditionError(
        f"expected a CEL condition over the facts of a {kind} signal: {problem}",
        line=max(1, int(position[1])),  # -1 where it is about the whole
        column=max(1, int(position[2])),
        hint=_hint(problem, kind),
    )


def _hint(problem: str, kind: str) -> str:
    reserved = _RESERVED.search(problem)
    if reserved and reserved[1] in _ESCAPED:
        return f"in conditions it is spelled {_ESCAPED[reserved[1]]}; or ask for it in `where`"
    undeclared = _UNDECLARED.search(problem)
    if undeclared:
        known = sorted(fact_types(kind))
        return did_you_mean(undeclared[1], known) or f"known facts: {', '.join(known)}"
    if "(double, int)" in problem or "(int, double)" in problem:
        return "write decimals on both sides, as in value > 5.0"
    return ""


@cache
def _environment_of_nothing() -> cel.Env:
    return cel.NewEnv()


@cache
def _environment(kind: str) -> cel.Env:
    types = {_ESCAPED.get(name, name): _TYPES[fact] for name, fact in fact_types(kind).items()}
    return cel.NewEnv(variables=types)
