"""What of a playbook can never come about: rules that nothing reaches, cures that nothing proves, rights not given."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.decider.core.clauses import LABEL, Allowed
from services.decider.core.faults import Fault
from services.decider.core.ladder import mode_of
from services.decider.core.language import WORKLOAD, ActionRung
from services.decider.core.playbook import Playbook
from services.decider.core.rules import Rule
from services.decider.core.source import Path, Source
from services.decider.core.watching import lasting_facts
from shared.contracts.actions import ACTIONS, RIGHTS
from shared.contracts.modes import Mode, strictest
from shared.contracts.rights import EVERYWHERE, Right
from shared.contracts.signals import fact_types

HEALTH_IS_TOLD_OF = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Node"})
"""The kinds of workload by whose own status a cure can be proven."""
MAX_COMPARED = 500_000
"""How many values are compared to tell which rules come too late: with thousands of rules it would take minutes."""
Grants = Mapping[str, frozenset[Right]]
"""What the remediator may do, by namespace."""


@dataclass(frozen=True, slots=True)
class _Earlier:
    """A rule that stands before others, at its place; `effort` is what holding one value against it takes."""

    index: int
    rule: Rule
    effort: int


def unreached(source: Source, playbook: Playbook, rule: Rule, *, path: Path) -> Iterator[Fault]:
    """Yield why a rule never opens an incident: all its namespaces are protected."""
    allowed, protected = rule.where.get("namespace"), playbook.words.spec.protected.namespaces
    if allowed is not None and allowed.exact and not allowed.globs and allowed.exact <= protected:
        yield source.fault((*path, "where", "namespace"), f"nothing is opened in what is protected: {allowed}")


def overtaken(source: Source, playbook: Playbook) -> Iterator[Fault]:
    """Yield each rule whose signals all meet another one first, so that it comes only while that one rests."""
    before: defaultdict[tuple[object, ...], list[_Earlier]] = defaultdict(list)
    left = MAX_COMPARED
    for index, rule in enumerate(playbook.rules.values()):
        found = sorted((one for key in _keys_asked(rule) for one in before[key]), key=lambda one: one.index)
        left -= (1 + _values(rule)) * sum(one.effort for one in found)
        if left < 0:
            expected = "there is too much to hold each rule against those before it; from this one on it is not done"
            yield source.fault(("spec", "rules", index), expected)
            return
        first = next((one.rule for one in found if _covers(one.rule, rule)), None)
        if first is not None:
            expected = f"every such signal opens an incident by rule {first.name!r} first; expected this rule before it"
            yield source.fault(("spec", "rules", index), expected)
        if mode_of(playbook, rule) is not Mode.OFF and _opens_at_once(rule):
            for key in _keys_kept(rule):
                before[key].append(_Earlier(index, rule, effort=1 + _globs(rule)))


def unended(source: Source, rule: Rule, *, path: Path) -> Iterator[Fault]:
    """Yield what a rule groups by whose value the end of its trouble does not tell, so that it would go on for ever."""
    if rule.words.held_for is None or WORKLOAD in rule.words.by:
        return
    told = lasting_facts(rule.words.signal) & fact_types(rule.words.signal).keys()
    for place, name in enumerate(rule.words.by):
        if name not in told and not name.startswith(LABEL):
            expected = f"the end of what lasts does not tell {name!r} as its beginning did, so it would never be over"
            hint = f"group by the workload beside it, by labels, or by: {', '.join(sorted(told))}"
            yield source.fault((*path, "by", place), expected, hint=hint)


def unproven(source: Source, kinds: frozenset[str], *, path: Path) -> Iterator[Fault]:
    """Yield why nothing can ever prove an action's cure."""
    if kinds and not kinds & HEALTH_IS_TOLD_OF:
        told, listed = ", ".join(sorted(HEALTH_IS_TOLD_OF)), ", ".join(sorted(kinds))
        expected = f"no health is told of a {listed}, so no cure is proven; it is told of: {told}"
        yield source.fault((*path, "action"), expected)


def seldom_proven(source: Source, rung: ActionRung, *, path: Path) -> Iterator[Fault]:
    """Yield why the cure of an action is proven only where it was seen in the workload's health before."""
    if ACTIONS[rung.action].QUIET and not rung.ENDS_POD:
        expected = f"no count of a healthy workload changes by {rung.action}; expected a `query` in `verify`"
        yield source.fault((*path, "action"), expected, hint="its health proves a cure only where it becomes good then")


def forbidden(source: Source, playbook: Playbook, rule: Rule, *, grants: Grants, path: Path) -> Iterator[Fault]:
    """Yield the actions for which the remediator has not been given the rights, in any namespace or in those named."""
    mode = mode_of(playbook, rule)
    for step, rung in enumerate(rule.words.ladder):
        if not isinstance(rung, ActionRung) or strictest(mode, rung.mode) is Mode.OFF:
            continue
        for where, missing in _missing(RIGHTS[rung.action], grants, _namespaces(rule.where)):
            listed = ", ".join(map(str, sorted(missing)))
            yield source.fault((*path, "ladder", step, "action"), f"the remediator may not {listed} {where}")


def _opens_at_once(rule: Rule) -> bool:
    words = rule.words
    is_of_time = rule.is_timed or words.after is not None
    return not (is_of_time or words.when or words.window.rate is not None or words.window.count > 1)


def _covers(earlier: Rule, rule: Rule) -> bool:
    """Tell whether each signal of a rule is certainly one of an earlier rule's that is about the same."""
    return all(name in rule.where and _holds_all(allowed, rule.where[name]) for name, allowed in earlier.where.items())


def _holds_all(wider: Allowed, narrower: Allowed) -> bool:
    if not wider.globs:
        return not narrower.globs and narrower.exact <= wider.exact
    return all(value in wider for value in narrower.exact) and set(narrower.globs) <= set(wider.globs)


def _keys_kept(rule: Rule) -> Iterator[tuple[object, ...]]:
    """Yield what a rule is kept by: the values of the one fact that tells most others apart, or itself among all."""
    exact = {name: allowed.exact for name, allowed in rule.where.items() if not allowed.globs}
    name = min(exact, key=lambda one: (len(exact[one]), one), default="")
    about = rule.words.signal, rule.words.by
    yield from ((*about, name, value) for value in exact[name]) if exact else [about]


def _keys_asked(rule: Rule) -> Iterator[tuple[object, ...]]:
    """Yield by what each rule is kept that may cover a rule: it allows any of its values, so that one is enough."""
    about = rule.words.signal, rule.words.by
    yield about
    for name, allowed in rule.where.items():
        yield from ((*about, name, value) for value in sorted(allowed.exact, key=repr)[:1])


def _values(rule: Rule) -> int:
    return sum(len(allowed.exact) + len(allowed.globs) for allowed in rule.where.values())


def _globs(rule: Rule) -> int:
    return sum(len(allowed.globs) for allowed in rule.where.values())


def _namespaces(where: Mapping[str, Allowed]) -> Sequence[str]:
    allowed = where.get("namespace")
    return sorted(map(str, allowed.exact)) if allowed is not None and not allowed.globs else []


def _missing(
    needed: frozenset[Right], grants: Grants, namespaces: Sequence[str]
) -> Iterator[tuple[str, frozenset[Right]]]:
    if not namespaces:
        best = min((_lacking(needed, grants, one) for one in grants), key=len, default=needed)
        yield from [("in any namespace", best)] if best else []
    for namespace in namespaces:
        if lacking := _lacking(needed, grants, namespace):
            yield f"in namespace {namespace!r}", lacking


def _lacking(needed: frozenset[Right], grants: Grants, namespace: str) -> frozenset[Right]:
    held = grants.get(namespace, frozenset()) | grants.get(EVERYWHERE, frozenset())
    return frozenset(right for right in needed if not any(one.allows(right) for one in held))
