"""A rule's ladder, compiled rung by rung, and what of it cannot be meant."""

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from services.decider.core.clauses import Allowed, Clause, condition_of
from services.decider.core.conditions import Condition
from services.decider.core.faults import Fault
from services.decider.core.language import WORKLOAD, ActionRung, EscalateRung, NotifyRung, RuleWords, Rung
from services.decider.core.source import Path, Source
from services.decider.core.wording import wording_faults
from shared.contracts.actions.rung import ActionRungBase
from shared.kernel.ids import derive


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rung, compiled: the condition under which it is taken, and which samples show its cure."""

    condition: Condition | None
    cure: Clause | None


def rungs_of(source: Source, rule: RuleWords, *, path: Path) -> tuple[tuple[Compiled, ...], list[Fault]]:
    """Return each rung of the ladder that stands at a path, compiled, with all that is wrong with the ladder."""
    rungs: list[Compiled] = []
    faults = [*_order_faults(source, rule, path=path)]
    for step, rung in enumerate(rule.ladder):
        place = (*path, step)
        condition, refused = condition_of(source, rung.when, kind=rule.signal, path=(*place, "when"))
        cure, unusable = _cure_of(source, rung, path=(*place, "verify"))
        rungs.append(Compiled(condition, cure))
        faults += [*refused, *unusable]
        if isinstance(rung, EscalateRung | NotifyRung):
            faults += wording_faults(source, rung.message, kind=rule.signal, path=(*place, "message"))
        if isinstance(rung, ActionRung):
            faults += _action_faults(source, rung, rule, path=place)
    return tuple(rungs), faults


def _cure_of(source: Source, rung: Rung, *, path: Path) -> tuple[Clause | None, list[Fault]]:
    """Return which samples show the cure of a rung: those of its query, as its condition says."""
    if not isinstance(rung, ActionRung) or not (rung.verify.query or rung.verify.when):
        return None, []
    verify = rung.verify
    if not verify.when:
        return None, [source.fault(path, "key 'when' is missing: what the samples of the query must meet")]
    if not verify.query:
        expected = "only the samples of a query are asked this; expected `query`"
        return None, [source.fault((*path, "when"), expected, mark=source.key_of((*path, "when")))]
    condition, faults = condition_of(source, verify.when, kind="sample", path=(*path, "when"))
    return Clause("sample", {"query": Allowed(frozenset({verify.query}))}, condition), faults


def names_of(ladder: Sequence[Rung]) -> tuple[str, ...]:
    """Return a name of each rung, by what it says and its condition: the same wherever it stands in another ladder.

    How far and how often it goes, and what proves it, is no part of it. One that is there again has another name.
    """
    names: list[str] = []
    seen: Counter[str] = Counter()
    for rung in ladder:
        said = action_said(rung) if isinstance(rung, ActionRung) else _said(rung, frozenset({"when"}))
        name = "/".join([rung.action, said, *([derive("when", rung.when)] if rung.when else [])])
        seen[name] += 1
        names.append(f"{name}/{seen[name]}" if seen[name] > 1 else name)
    return tuple(names)


def said_in(name: str) -> str:
    """Return what of a rung's name is of what it says alone, under whatever condition."""
    return "/".join(name.split("/")[:2])


def action_in(name: str) -> str:
    """Return the kind of action, or other step, that a rung's name is of."""
    return name.partition("/")[0]


def action_said(rung: ActionRung) -> str:
    """Return a name of the action that a rung says, with all that shapes it: not of when, how far or how often."""
    return _said(rung, frozenset(ActionRungBase.model_fields))


def _said(rung: Rung, besides: AbstractSet[str]) -> str:
    return derive("said", rung.model_dump_json(exclude=set(besides)))


def _order_faults(source: Source, rule: RuleWords, *, path: Path) -> Iterator[Fault]:
    for step, rung in enumerate(rule.ladder[:-1]):
        if isinstance(rung, EscalateRung) and not rung.when:
            expected = "escalate ends a ladder; expected it as the last rung, or with a `when`"
            yield source.fault((*path, step), expected)


def _action_faults(source: Source, rung: ActionRung, rule: RuleWords, *, path: Path) -> Iterator[Fault]:
    if rung.verify.within <= rung.verify.healthy_for:
        yield source.fault((*path, "verify"), "expected `within` to be longer than `healthy_for`")
    if WORKLOAD not in rule.by:
        expected = "only workloads are acted on; expected `escalate`, or `by` with the workload"
        yield source.fault((*path, "action"), expected)
    tellers = rung.TELLERS
    if tellers and rule.signal not in tellers:
        expected = f"{rung.action} acts on what the signal names; expected `signal: {' or '.join(tellers)}`"
        yield source.fault((*path, "action"), expected)
