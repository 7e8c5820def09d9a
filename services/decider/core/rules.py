"""A rule, compiled: what it is about, what its trouble is held against, and what of it cannot be meant."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from services.decider.core.clauses import Allowed, Clause, clause_of, type_of, unknown_fact
from services.decider.core.conditions import Condition
from services.decider.core.faults import Fault
from services.decider.core.language import MOST_COUNTED, WORKLOAD, Partner, RuleWords, SignalKind, Window
from services.decider.core.promql import QueryError, check_query
from services.decider.core.rungs import Compiled, names_of, rungs_of
from services.decider.core.source import Path, Source
from services.decider.core.wording import wording_faults
from shared.contracts.commands import MANUAL
from shared.kernel.ids import derive

QUERY = "query"
"""The fact by which samples are told apart; a rule's own query bears its name."""
_NUMBERS = frozenset({int, float})
_GROUPING = frozenset({str, int, bool})
"""The types of facts that tell groups apart; a number with a point is seldom the same twice."""


@dataclass(frozen=True)
class Rule:
    """One rule: the clause of its trouble, those of its partners (`after`, `without`), and its rungs."""

    words: RuleWords
    clause: Clause
    partners: Mapping[str, Clause]
    rungs: tuple[Compiled, ...]

    @property
    def name(self) -> str:
        """Return the rule's name."""
        return self.words.name

    @property
    def where(self) -> Mapping[str, Allowed]:
        """Return the values that the facts of its trouble may have."""
        return self.clause.where

    @property
    def condition(self) -> Condition | None:
        """Return the condition of its trouble."""
        return self.clause.condition

    @property
    def is_timed(self) -> bool:
        """Tell whether time alone may open its incidents: what lasts long enough, what stays away."""
        return self.words.held_for is not None or self.words.without is not None

    @cached_property
    def counting(self) -> str:
        """Return a name of what it counts: another once its words would count other signals, or count them apart.

        How many and how long is no part of it. Few rules of many are ever asked.
        """
        words = self.words
        kinds = {"": words, **partners_of(words)}
        asked = {name: (one.signal, one.where, one.when) for name, one in kinds.items()}
        shape = (words.promql, words.by, words.window.distinct, words.window.of, words.held_for is not None)
        return derive("counting", json.dumps((asked, shape), sort_keys=True))

    @cached_property
    def steps(self) -> tuple[str, ...]:
        """Return a name of each of its rungs, by what it says; asked of few rules of many, as well."""
        return names_of(self.words.ladder)


def rule_of(source: Source, words: RuleWords, path: Path) -> tuple[Rule, list[Fault]]:
    """Return the rule that stands at a path, with all that is wrong with it."""
    clause, faults = clause_of(source, words, path)
    partners: dict[str, Clause] = {}
    for name, partner in partners_of(words).items():
        partners[name], refused = clause_of(source, partner, (*path, name))
        faults += refused
    faults += [*_query_faults(source, words, path=path), *_window_faults(source, words, path=(*path, "window"))]
    faults += [*_timing_faults(source, words, path=path), *_grouping_faults(source, words, path=(*path, "by"))]
    faults += [*_name_faults(source, words, path=(*path, "name"))]
    faults += wording_faults(source, words.summary, kind=words.signal, path=(*path, "summary"))
    rungs, unusable = rungs_of(source, words, path=(*path, "ladder"))
    return Rule(words, _of_own_query(words, clause), partners, rungs), [*faults, *unusable]


def partners_of(words: RuleWords) -> dict[str, Partner]:
    """Return what a rule's trouble is held against, by its name."""
    named = {"after": words.after, "without": words.without}
    return {name: partner for name, partner in named.items() if partner is not None}


def _name_faults(source: Source, words: RuleWords, *, path: Path) -> Iterator[Fault]:
    if words.name == MANUAL:
        expected = f"{MANUAL!r} is what decisions about a person's own actions say; expected another name"
        yield source.fault(path, expected)


def _of_own_query(words: RuleWords, clause: Clause) -> Clause:
    """Return the clause of a rule; that of one that asks a query is about that query's samples alone."""
    if not words.promql:
        return clause
    return replace(clause, where={**clause.where, QUERY: Allowed(frozenset({words.name}))})


def _query_faults(source: Source, words: RuleWords, *, path: Path) -> Iterator[Fault]:
    if not words.promql:
        return
    place = (*path, "promql")
    if words.signal != "sample":
        yield source.fault(place, "only a rule on samples asks a query; expected `signal: sample`")
    if QUERY in words.where:
        expected = "a rule that asks a query is about its samples alone; expected either `promql` or this"
        yield source.fault((*path, "where", QUERY), expected)
    try:
        check_query(words.promql)
    except QueryError as invalid:
        mark = source.inside(place, line=invalid.line, column=invalid.column)
        yield source.fault(place, invalid.expected, hint=invalid.hint, mark=mark)


def _window_faults(source: Source, words: RuleWords, *, path: Path) -> Iterator[Fault]:
    window = words.window
    if window.distinct:
        yield from _fact_faults(source, words.signal, window.distinct, types=_GROUPING, path=(*path, "distinct"))
    if window.of:
        yield from _fact_faults(source, words.signal, window.of, types=_NUMBERS, path=(*path, "of"))
    if window.rate is None:
        for name in {"of", "per"} & window.model_fields_set:
            yield source.fault((*path, name), "only a window with a `rate` has it", mark=source.key_of((*path, name)))
        return
    if window.distinct or "count" in window.model_fields_set:
        yield source.fault((*path, "rate"), "expected either `rate` or `count`: a window asks one question")
    elif not window.of and _signals_for(window) > MOST_COUNTED:
        expected = f"expected at most {MOST_COUNTED} signals in a window, found {_signals_for(window):g}"
        yield source.fault((*path, "rate"), expected)


def _signals_for(window: Window) -> float:
    """Return how many signals the rate of a window asks for."""
    return (window.rate or 0) * (window.within / window.per)


def _fact_faults(source: Source, kind: SignalKind, name: str, *, types: frozenset[type], path: Path) -> Iterator[Fault]:
    found = type_of(kind, name)
    if found is None:
        yield unknown_fact(source, path, kind=kind, name=name)
    elif found not in types:
        wanted = "a number" if types is _NUMBERS else "a text, a whole number, or true or false"
        yield source.fault(path, f"expected a fact that is {wanted}, found {name!r}")


def _timing_faults(source: Source, words: RuleWords, *, path: Path) -> Iterator[Fault]:
    said = [name for name in ("for", *partners_of(words)) if name != "for" or words.held_for is not None]
    for name in said[1:]:
        yield source.fault((*path, name), f"expected either `{said[0]}` or `{name}`: a rule asks one question of time")
    if words.held_for is not None and words.signal == "event":
        yield source.fault((*path, "for"), "an event only happens, nothing holds; expected a `window`")
    if "window" in words.model_fields_set and said and said[0] != "after":
        yield source.fault(
            (*path, "window"), f"expected either `window` or `{said[0]}`: a rule asks one question of time"
        )


def _grouping_faults(source: Source, words: RuleWords, *, path: Path) -> Iterator[Fault]:
    kinds: dict[SignalKind, None] = {words.signal: None}
    kinds |= {partner.signal: None for partner in partners_of(words).values()}
    for place, name in enumerate(words.by):
        if name != WORKLOAD:
            for kind in kinds:
                yield from _fact_faults(source, kind, name, types=_GROUPING, path=(*path, place))
