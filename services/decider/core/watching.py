"""What a rule watches for: its trouble, the end of it, its partners; each a question to one kind of signal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from services.decider.core.clauses import LABEL, Allowed, Clause
from services.decider.core.language import WORKLOAD, ActionRung, SignalKind
from services.decider.core.rules import Rule

TROUBLE, HELD = "trouble", "for"
"""Names of parts of a rule; the others are its partners' words, `after` and `without`, and the cures of its rungs."""
_CURE = "verify/"
_NAMES = frozenset({"cluster", "namespace", "workload", "workload_kind", "object", "object_kind", "container"})
_PLACES = frozenset({"cluster", "namespace", "workload", "workload_kind"})
"""What each signal of a workload tells alike, whatever its kind."""
_TELLERS: Mapping[SignalKind, frozenset[str]] = {
    "sample": frozenset({"query"}),
    "alert": frozenset({"alertname", "fingerprint"}),
}
_OF_PODS: frozenset[SignalKind] = frozenset({"container", "pod"})
_POD_IS_GONE: tuple[Mapping[str, Allowed], ...] = (
    {"deleted": Allowed(frozenset({True}))},
    {"terminating": Allowed(frozenset({True}))},
)


class Tells(Enum):
    """When a question's answer is told."""

    TROUBLE = auto()
    """If it holds, as a finding."""
    HOLDING = auto()
    """If it holds, as an observation."""
    EITHER = auto()
    """Whatever it is: a finding if it holds, else an observation that it does not."""
    SHOWING = auto()
    """Whatever it is, as an observation."""
    ENDING = auto()
    """If it holds, as an observation that the trouble does not."""


@dataclass(frozen=True, slots=True)
class Watch:
    """One question; only signals within `scope`, a part of the clause's `where`, are asked at all."""

    rule: Rule
    part: str
    clause: Clause
    tells: Tells
    scope: Mapping[str, Allowed]

    @property
    def by(self) -> Sequence[str]:
        """Return what its answers are about; a cure is always that of the workload."""
        return (WORKLOAD,) if is_cure(self.part) else self.rule.words.by

    @property
    def ends_by(self) -> Sequence[str]:
        """Return what the end of its trouble is about: a pod that goes seldom tells by what facts it was grouped."""
        return (WORKLOAD,) if WORKLOAD in self.rule.words.by else self.rule.words.by


def lasting_facts(kind: SignalKind) -> frozenset[str]:
    """Return the facts that the end of what lasts tells as its beginning did; with a pod go its containers, unnamed."""
    besides = {"container"} if kind in _OF_PODS else set[str]()
    return (_NAMES | {"node"} | _TELLERS.get(kind, frozenset())) - besides


def cure_of(step: int) -> str:
    """Return the part of a rule that is the proof of a rung's cure."""
    return f"{_CURE}{step}"


def is_cure(part: str) -> bool:
    """Tell whether a part of a rule is the proof of a cure."""
    return part.startswith(_CURE)


def watches_of(rule: Rule) -> Iterator[Watch]:
    """Yield all that a rule watches for."""
    if rule.words.held_for is None:
        yield Watch(rule, TROUBLE, rule.clause, Tells.TROUBLE, rule.clause.where)
    else:
        yield Watch(rule, HELD, rule.clause, Tells.EITHER, _lasting(rule.clause))
        yield from _endings(rule)
    for name, clause in rule.partners.items():
        yield Watch(rule, name, clause, Tells.HOLDING, clause.where)
    for step, (words, rung) in enumerate(zip(rule.words.ladder, rule.rungs, strict=True)):
        if rung.cure is not None:
            yield Watch(rule, cure_of(step), rung.cure, Tells.SHOWING, rung.cure.where)
        elif isinstance(words, ActionRung) and words.ENDS_POD:
            where = _pod_gone_of(rule.clause)
            yield Watch(rule, cure_of(step), Clause("pod", where, None), Tells.HOLDING, where)


def _pod_gone_of(clause: Clause) -> Mapping[str, Allowed]:
    """Return what tells of a pod's end in the workloads that a clause is about."""
    return {**_POD_IS_GONE[0], **{name: allowed for name, allowed in clause.where.items() if name in _PLACES}}


def _lasting(clause: Clause) -> Mapping[str, Allowed]:
    """Return what of a clause cannot change for what a signal is about, so that the end of its trouble is seen, too."""
    names = _NAMES | _TELLERS.get(clause.kind, frozenset())
    are_labels_lasting = clause.kind in _TELLERS  # those of an object can be edited
    return {
        name: allowed
        for name, allowed in clause.where.items()
        if name in names or (are_labels_lasting and name.startswith(LABEL))
    }


def _endings(rule: Rule) -> Iterator[Watch]:
    """Yield what ends a trouble without a signal of its own kind: with a pod go its containers."""
    if rule.clause.kind in _OF_PODS:
        for where in _POD_IS_GONE:
            yield Watch(rule, HELD, Clause("pod", where, None), Tells.ENDING, where)
