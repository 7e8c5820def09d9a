"""Clauses: which signals are meant, by kind, facts (`where`) and a condition (`when`); compiled, or refused."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from services.decider.core.conditions import Condition, ConditionError, Facts, compile_condition
from services.decider.core.faults import MAX_FAULTS, Fault, did_you_mean
from services.decider.core.language import Scalar, SignalKind
from services.decider.core.source import Path, Source
from shared.contracts.signals import AlertStatus, FactType, FactValue, fact_types
from shared.kernel.globs import Glob, compile_glob, is_glob

LABEL = "labels."
"""What a label is named by as a fact: `labels.team`."""
_LABELS = "labels"
TYPE_WORDS: Mapping[FactType, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict[str, str]: "labels, which are asked for one by one, as in labels.team",
}
_UNSAID: Mapping[SignalKind, Mapping[str, Scalar]] = {"alert": {"status": AlertStatus.FIRING.value}}
"""What holds for a kind of signal where a clause says nothing of it: an alert that is over is no trouble."""
_ASKS_FOR = r"(?<![\w.\"'])({})(?![\w\"'])"


class ClauseWords(Protocol):
    """What a playbook says of the signals that it means."""

    @property
    def signal(self) -> SignalKind:
        """Return the kind of signal."""
        ...

    @property
    def where(self) -> Mapping[str, Scalar | list[Scalar]]:
        """Return the values that facts must have."""
        ...

    @property
    def when(self) -> str:
        """Return the condition in CEL; empty where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Allowed:
    """The values that a fact may have: those that are written out, and those that a glob stands for."""

    exact: frozenset[Scalar]
    globs: tuple[Glob, ...] = ()

    def __contains__(self, value: object) -> bool:
        """Tell whether a fact may have this value."""
        return value in self.exact or (
            bool(self.globs) and isinstance(value, str) and any(glob.matches(value) for glob in self.globs)
        )

    def __str__(self) -> str:
        """Return the values as a person reads them."""
        return " or ".join(sorted([*map(str, self.exact), *(glob.text for glob in self.globs)]))


@dataclass(frozen=True, slots=True)
class Clause:
    """Compiled: `where` holds the allowed values of each fact."""

    kind: SignalKind
    where: Mapping[str, Allowed]
    condition: Condition | None

    def holds(self, facts: Facts) -> bool:
        """Tell whether a signal of this kind, by its facts, is meant."""
        for name, allowed in self.where.items():
            if fact_of(facts.values, name) not in allowed:
                return False
        return self.condition is None or self.condition.holds(facts)


def fact_of(values: Mapping[str, FactValue], name: str) -> FactValue | None:
    """Return a fact, or one label of a signal by `labels.NAME`; None where the signal has none of this name."""
    try:
        return values[name]
    except KeyError:  # asked first, because most names are those of facts
        labels = values.get(_LABELS)
    return labels.get(name.removeprefix(LABEL)) if name.startswith(LABEL) and isinstance(labels, dict) else None


def type_of(kind: SignalKind, name: str) -> FactType | None:
    """Return the type of a kind of signal's fact, or of one of its labels; None where it has no such fact."""
    types = fact_types(kind)
    return str if name.startswith(LABEL) and name != LABEL and _LABELS in types else types.get(name)


def unknown_fact(source: Source, path: Path, *, kind: str, name: str) -> Fault:
    """Return the fault of a fact that a kind of signal does not have."""
    known = sorted(fact_types(kind))
    expected = f"{kind} signals have no fact {name!r}; expected one of: {', '.join(known)}"
    return source.fault(path, expected, hint=did_you_mean(name, known), mark=source.key_of(path))


def clause_of(source: Source, words: ClauseWords, path: Path) -> tuple[Clause, list[Fault]]:
    """Return the clause that stands at a path, with all that is wrong with it; what is refused is left out of it."""
    condition, refused = condition_of(source, words.when, kind=words.signal, path=(*path, "when"))
    faults = [*islice(_where_faults(source, words, path), MAX_FAULTS), *_unsaid_faults(source, words, path), *refused]
    return Clause(words.signal, _allowed(words), condition), faults


def condition_of(source: Source, text: str, *, kind: SignalKind, path: Path) -> tuple[Condition | None, list[Fault]]:
    """Return the condition that stands at a path, if there is one, or why it cannot be used."""
    if not text:
        return None, []
    try:
        return compile_condition(text, kind=kind), []
    except ConditionError as invalid:
        return None, [source.fault_inside(path, invalid)]


def _allowed(words: ClauseWords) -> Mapping[str, Allowed]:
    """Return the values of each fact that a clause is about: those it names, and those that go without saying."""
    said = {name: _allowed_by(value if isinstance(value, list) else [value]) for name, value in words.where.items()}
    unsaid = {name: Allowed(frozenset({value})) for name, value in _UNSAID.get(words.signal, {}).items()}
    return {**unsaid, **said}


def _allowed_by(values: list[Scalar]) -> Allowed:
    globs = {value for value in values if isinstance(value, str) and is_glob(value)}
    return Allowed(frozenset(values) - globs, tuple(compile_glob(text) for text in sorted(globs)))


def _where_faults(source: Source, words: ClauseWords, path: Path) -> Iterator[Fault]:
    for name, value in words.where.items():
        place, wanted = (*path, "where", name), type_of(words.signal, name)
        values = value if isinstance(value, list) else [value]
        if wanted is None:
            yield unknown_fact(source, place, kind=words.signal, name=name)
        elif not all(type(one) is wanted for one in values):
            yield source.fault(place, f"expected {TYPE_WORDS[wanted]}, found {', '.join(sorted(map(repr, values)))}")


def _unsaid_faults(source: Source, words: ClauseWords, path: Path) -> Iterator[Fault]:
    for name, value in _UNSAID.get(words.signal, {}).items():
        if name not in words.where and re.search(_ASKS_FOR.format(name), words.when):
            expected = f"a rule that asks for {name!r} says so in `where`; without it, it is {value!r}"
            yield source.fault((*path, "when"), expected)
