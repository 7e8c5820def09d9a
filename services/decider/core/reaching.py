"""What of a playbook can never come about: rules that nothing reaches, cures that nothing proves, rights not given."""

from collections.abc import Iterator, Mapping, Sequence

from services.decider.core.clauses import Allowed
from services.decider.core.faults import Fault
from services.decider.core.ladder import mode_of
from services.decider.core.language import ActionRung
from services.decider.core.playbook import Playbook
from services.decider.core.rules import Rule
from services.decider.core.source import Path, Source
from shared.contracts.actions import RIGHTS
from shared.contracts.modes import Mode, strictest
from shared.contracts.rights import EVERYWHERE, Right

HEALTH_IS_TOLD_OF = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Node"})
"""The kinds of workload by whose own status a cure can be proven."""
Grants = Mapping[str, frozenset[Right]]
"""What the remediator may do, by namespace."""


def unreached(source: Source, playbook: Playbook, rule: Rule, *, path: Path) -> Iterator[Fault]:
    """Yield why a rule never opens an incident: all its namespaces are protected."""
    allowed, protected = rule.where.get("namespace"), playbook.words.spec.protected.namespaces
    if allowed is not None and allowed.exact and not allowed.globs and allowed.exact <= protected:
        yield source.fault((*path, "where", "namespace"), f"nothing is opened in what is protected: {allowed}")


def overtaken(source: Source, playbook: Playbook, rule: Rule, *, path: Path) -> Iterator[Fault]:
    """Yield the rule that every signal of another one meets first, so that this one comes only while that one rests."""
    for earlier in playbook.rules.values():
        if earlier is rule:
            return
        if mode_of(playbook, earlier) is not Mode.OFF and _opens_at_once(earlier) and _covers(earlier, rule):
            expected = (
                f"every such signal opens an incident by rule {earlier.name!r} first; expected this rule before it"
            )
            yield source.fault(path, expected)
            return


def unproven(source: Source, kinds: frozenset[str], *, path: Path) -> Iterator[Fault]:
    """Yield why nothing can ever prove an action's cure."""
    if kinds and not kinds & HEALTH_IS_TOLD_OF:
        told, listed = ", ".join(sorted(HEALTH_IS_TOLD_OF)), ", ".join(sorted(kinds))
        expected = f"no health is told of a {listed}, so no cure is proven; it is told of: {told}"
        yield source.fault((*path, "action"), expected)


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
    """Tell whether each signal of a rule is certainly one of the earlier rule's, and about the same."""
    if (earlier.words.signal, earlier.words.by) != (rule.words.signal, rule.words.by):
        return False
    return all(name in rule.where and _holds_all(allowed, rule.where[name]) for name, allowed in earlier.where.items())


def _holds_all(wider: Allowed, narrower: Allowed) -> bool:
    return all(value in wider for value in narrower.exact) and set(narrower.globs) <= set(wider.globs)


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
