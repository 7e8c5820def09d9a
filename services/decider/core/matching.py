"""`match`: which rules does a signal meet? Stateless, so that any number of processes may do it side by side."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.decider.core.conditions import Facts
from services.decider.core.language import Scalar
from services.decider.core.playbook import Playbook, Rule
from shared.contracts.inbox import Finding
from shared.contracts.signals import FactValue, HealthSignal, NodeSignal, Signal, WorkloadSignal, facts_of
from shared.kernel.ids import derive

Matched = Finding | HealthSignal
_Placed = tuple[int, Rule]


@dataclass(frozen=True, slots=True)
class _KindIndex:
    """The rules of one kind of signal, each under the one fact of its `where` that tells most rules apart."""

    by_fact: Mapping[str, Mapping[Scalar, Sequence[_Placed]]]
    always: Sequence[_Placed]

    def candidates(self, facts: Mapping[str, FactValue]) -> list[_Placed]:
        found = list(self.always)
        for name, buckets in self.by_fact.items():
            value = facts[name]
            if not isinstance(value, dict):
                found.extend(buckets.get(value, ()))
        return sorted(found, key=_place) if len(found) > 1 else found


@dataclass(frozen=True, slots=True)
class RuleIndex:
    """A playbook's rules, laid out so that a signal meets only those that its facts allow."""

    playbook: str
    kinds: Mapping[str, _KindIndex]


def index_rules(playbook: Playbook) -> RuleIndex:
    """Return the index of a playbook's rules; built once, when the playbook comes into force."""
    by_kind: defaultdict[str, list[_Placed]] = defaultdict(list)
    for place, rule in enumerate(playbook.rules.values()):
        by_kind[rule.words.signal].append((place, rule))
    return RuleIndex(playbook.hash, {kind: _index_of(rules) for kind, rules in by_kind.items()})


def match(rules: RuleIndex, signal: Signal) -> list[Matched]:
    """Return what of a signal concerns incidents: a finding a rule, in the order of the file, and health as it is.

    A workload's health is passed on whatever the rules say, because cures are proven by it.
    """
    matched: list[Matched] = [signal] if isinstance(signal, WorkloadSignal | NodeSignal) else []
    index = rules.kinds.get(signal.kind)
    if index is None:
        return matched
    facts = Facts(signal.kind, facts_of(signal))
    met = (rule for _, rule in index.candidates(facts.values) if _holds(rule, facts))
    return [*matched, *(_finding(rules.playbook, rule, signal) for rule in met)]


def _place(placed: _Placed) -> int:
    return placed[0]


def _holds(rule: Rule, facts: Facts) -> bool:
    for name, allowed in rule.where.items():
        if facts.values[name] not in allowed:
            return False
    return rule.condition is None or rule.condition.holds(facts)


def _finding(playbook: str, rule: Rule, signal: Signal) -> Finding:
    return Finding(
        id=derive("finding", playbook, rule.name, signal.id),
        at=signal.at,
        workload=signal.workload,
        rule=rule.name,
        playbook=playbook,
        signal=signal,
    )


def _index_of(rules: Sequence[_Placed]) -> _KindIndex:
    variety = _variety(rule for _, rule in rules)
    by_fact: defaultdict[str, defaultdict[Scalar, list[_Placed]]] = defaultdict(lambda: defaultdict(list))
    always: list[_Placed] = []
    for placed in rules:
        where = placed[1].where
        if not where:
            always.append(placed)
            continue
        best = max(sorted(where), key=variety.__getitem__)
        for value in where[best]:
            by_fact[best][value].append(placed)
    return _KindIndex(by_fact, always)


def _variety(rules: Iterable[Rule]) -> Mapping[str, int]:
    values: defaultdict[str, set[Scalar]] = defaultdict(set)
    for rule in rules:
        for name, allowed in rule.where.items():
            values[name] |= allowed
    return {name: len(found) for name, found in values.items()}
