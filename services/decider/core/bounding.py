"""How much the rules of a playbook may ask in all: before any of it is compiled, since that is what costs time."""

from collections.abc import Iterable, Iterator, Sequence

from services.decider.core.conditions import MAX_CHARS
from services.decider.core.faults import Fault
from services.decider.core.language import ActionRung, RuleWords
from services.decider.core.rules import partners_of
from services.decider.core.source import Path, Source
from shared.kernel.globs import is_glob

MAX_QUERIES = 200
"""All of them are asked in each round."""
MAX_GLOBS = 2_000
"""What a glob stands for is found by asking alone: a signal may meet those of all rules."""
MAX_CONDITION_CHARS = 200_000
"""Each different condition is compiled when the playbook is loaded, which takes as long as it is long."""

Placed = tuple[Path, RuleWords]
_Sized = Iterator[tuple[Path, int]]


def too_much(source: Source, rules: Sequence[Placed]) -> Iterator[Fault]:
    """Yield what there is too much of, at the place where it becomes too much."""
    for sized, most, what in (
        (_queries(rules), MAX_QUERIES, "rules that ask a query"),
        (_globs(rules), MAX_GLOBS, "globs in what all rules say of facts"),
        (_conditions(rules), MAX_CONDITION_CHARS, "characters in the conditions of all rules"),
    ):
        path = _where_beyond(most, sized)
        if path is not None:
            yield source.fault(path, f"expected at most {most} {what}")


def _where_beyond(most: int, sized: _Sized) -> Path | None:
    total = 0
    for path, size in sized:
        total += size
        if total > most:
            return path
    return None


def _queries(rules: Iterable[Placed]) -> _Sized:
    return (((*path, "promql"), 1) for path, rule in rules if rule.promql)


def _globs(rules: Iterable[Placed]) -> _Sized:
    for path, rule in rules:
        for clause, words in (((), rule), *(((name,), partner) for name, partner in partners_of(rule).items())):
            for name, value in words.where.items():
                values = value if isinstance(value, list) else [value]
                yield (*path, *clause, "where", name), sum(isinstance(one, str) and is_glob(one) for one in values)


def _conditions(rules: Iterable[Placed]) -> _Sized:
    """Yield how long each condition is, once: rules may ask the same. One too long is never compiled."""
    known: set[str] = set()
    for path, text in _conditions_said(rules):
        if text not in known and len(text) <= MAX_CHARS:
            known.add(text)
            yield path, len(text)


def _conditions_said(rules: Iterable[Placed]) -> Iterator[tuple[Path, str]]:
    for path, rule in rules:
        yield (*path, "when"), rule.when
        yield from (((*path, name, "when"), partner.when) for name, partner in partners_of(rule).items())
        for step, rung in enumerate(rule.ladder):
            yield (*path, "ladder", step, "when"), rung.when
            if isinstance(rung, ActionRung):
                yield (*path, "ladder", step, "verify", "when"), rung.verify.when
