"""`match`: which rules does a signal meet? Stateless, so that any number of processes may do it side by side."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.decider.core.clauses import Allowed, fact_of
from services.decider.core.conditions import Facts
from services.decider.core.grouping import Subject, subject_of
from services.decider.core.language import Scalar
from services.decider.core.playbook import Playbook
from services.decider.core.rules import Rule
from services.decider.core.watching import HELD, Tells, Watch, watches_of
from shared.contracts.inbox import Finding, Observation
from shared.contracts.model import JsonObject
from shared.contracts.signals import (
    FactValue,
    HealthSignal,
    InDoubt,
    Signal,
    ToldFacts,
    facts_of,
)
from shared.kernel.ids import derive

Matched = Finding | Observation | HealthSignal
_Placed = tuple[int, Watch]
_ASKED_BOTH_WAYS = frozenset({Tells.EITHER, Tells.SHOWING})
"""Where it is told as well that the answer is no."""


@dataclass(frozen=True, slots=True)
class _KindIndex:
    """What is watched for in one kind of signal, each under the one fact of its scope that tells most rules apart."""

    by_fact: Mapping[str, Mapping[Scalar, Sequence[_Placed]]]
    always: Sequence[_Placed]

    def candidates(self, facts: Mapping[str, FactValue]) -> list[_Placed]:
        found = list(self.always)
        for name, buckets in self.by_fact.items():
            value = fact_of(facts, name)
            if value is not None and not isinstance(value, dict) and value in buckets:
                found.extend(buckets[value])
        return sorted(found, key=_place) if len(found) > 1 else found


@dataclass(frozen=True, slots=True)
class RuleIndex:
    """A playbook's rules, laid out so that a signal meets only those that its facts allow."""

    playbook: str
    kinds: Mapping[str, _KindIndex]


def index_rules(playbook: Playbook) -> RuleIndex:
    """Return the index of a playbook's rules; built once, when the playbook comes into force."""
    by_kind: defaultdict[str, list[_Placed]] = defaultdict(list)
    watches = (watch for rule in playbook.rules.values() for watch in watches_of(rule))
    for place, watch in enumerate(watches):
        by_kind[watch.clause.kind].append((place, watch))
    return RuleIndex(playbook.hash, {kind: _index_of(placed) for kind, placed in by_kind.items()})


def match(rules: RuleIndex, signal: Signal) -> list[Matched]:
    """Return what of a signal concerns incidents: what rules have to say of it, in their order, and health as it is.

    A workload's health is passed on whatever the rules say, because cures are proven by it.
    """
    matched: list[Matched] = [signal] if isinstance(signal, HealthSignal) else []
    index = rules.kinds.get(signal.kind)
    if index is None:
        return matched
    values = facts_of(signal)
    candidates = index.candidates(values)
    if not candidates:  # as with most signals, for which nothing more is made ready
        return matched
    facts = Facts(signal.kind, values)
    told = (_told(watch, signal, facts, playbook=rules.playbook) for _, watch in candidates)
    return [*matched, *(answer for answer in told if answer is not None)]


def says(rule: Rule, entry: Finding | Observation) -> bool:
    """Tell whether a rule says of an entry's signal what the entry says, which was told by other words of its name.

    The end of what holds is one in each group, so that no matter of which it was told.
    """
    signal = entry.signal
    facts = Facts(signal.kind, facts_of(signal))
    is_end = isinstance(entry, Observation) and not entry.holds
    alike = {"id": entry.id, "at": entry.at} | ({"group": entry.group} if is_end else {})
    told = (
        _told(watch, signal, facts, playbook=entry.playbook)
        for watch in watches_of(rule)
        if watch.clause.kind == signal.kind
    )
    return any(one.model_copy(update=alike) == entry for one in told if one is not None)


def may_meet(rules: RuleIndex, body: JsonObject) -> bool:
    """Tell whether rules may have something to say of the signal of a body: no is sure, yes is for `match` to tell.

    It costs a third of reading the signal and matching it, and most signals are no rule's business.
    """
    try:
        told = ToldFacts(body)
        index = rules.kinds.get(told.kind)
        return index is not None and any(_is_within(watch.scope, told) for _, watch in index.candidates(told))
    except InDoubt:
        return True


def _place(placed: _Placed) -> int:
    return placed[0]


def _told(watch: Watch, signal: Signal, facts: Facts, *, playbook: str) -> Matched | None:
    """Return the answer to a question, if it is one that is to be told."""
    holds = watch.clause.holds(facts)
    if not holds and not (watch.tells in _ASKED_BOTH_WAYS and _is_within(watch.scope, facts.values)):
        return None
    is_trouble = holds and watch.tells in {Tells.TROUBLE, Tells.EITHER}
    is_end = watch.part == HELD and not is_trouble
    subject = subject_of(watch.ends_by if is_end else watch.by, signal, facts.values)
    if subject is None:
        return None
    if is_trouble:
        return _finding(watch, signal, subject, playbook=playbook)
    return _observation(watch, signal, subject, playbook=playbook, holds=holds and not is_end)


def _is_within(scope: Mapping[str, Allowed], facts: Mapping[str, FactValue]) -> bool:
    return all(fact_of(facts, name) in allowed for name, allowed in scope.items())


def _finding(watch: Watch, signal: Signal, subject: Subject, *, playbook: str) -> Finding:
    return Finding(
        id=derive("finding", playbook, watch.rule.name, signal.id),
        at=signal.at,
        workload=subject.workload,
        rule=watch.rule.name,
        playbook=playbook,
        signal=signal,
        group=subject.group,
    )


def _observation(watch: Watch, signal: Signal, subject: Subject, *, playbook: str, holds: bool) -> Observation:
    return Observation(
        id=derive("observation", playbook, watch.rule.name, watch.part, signal.id),
        at=signal.at,
        workload=subject.workload,
        rule=watch.rule.name,
        playbook=playbook,
        part=watch.part,
        holds=holds,
        signal=signal,
        group=subject.group,
    )


def _index_of(watches: Sequence[_Placed]) -> _KindIndex:
    variety = _variety(watch for _, watch in watches)
    by_fact: defaultdict[str, defaultdict[Scalar, list[_Placed]]] = defaultdict(lambda: defaultdict(list))
    always: list[_Placed] = []
    for placed in watches:
        exact = _exact(placed[1])
        if not exact:
            always.append(placed)
            continue
        best = max(sorted(exact), key=variety.__getitem__)
        for value in exact[best]:
            by_fact[best][value].append(placed)
    return _KindIndex(by_fact, always)


def _exact(watch: Watch) -> Mapping[str, frozenset[Scalar]]:
    """Return the facts of a scope whose values are all written out; a glob can be found by asking alone."""
    return {name: allowed.exact for name, allowed in watch.scope.items() if not allowed.globs}


def _variety(watches: Iterable[Watch]) -> Mapping[str, int]:
    values: defaultdict[str, set[Scalar]] = defaultdict(set)
    for watch in watches:
        for name, exact in _exact(watch).items():
            values[name] |= exact
    return {name: len(found) for name, found in values.items()}
