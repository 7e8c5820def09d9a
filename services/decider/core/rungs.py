"""A rule's ladder, compiled rung by rung, and what of it cannot be meant."""

from collections.abc import Iterator, Mapping, Sequence

from services.decider.core.clauses import condition_of
from services.decider.core.conditions import Condition
from services.decider.core.faults import Fault
from services.decider.core.language import WORKLOAD, ActionRung, EscalateRung, NotifyRung, RuleWords, SignalKind
from services.decider.core.source import Path, Source
from services.decider.core.wording import wording_faults

_TELLERS: Mapping[str, Sequence[SignalKind]] = {
    "restart-pod": ("container", "pod", "event"),
    "set-memory": ("container",),
}
"""Which kinds of signal name what an action is done to; any kind does for an action on the workload as a whole."""


def rungs_of(source: Source, rule: RuleWords, *, path: Path) -> tuple[tuple[Condition | None, ...], list[Fault]]:
    """Return the condition of each rung of the ladder that stands at a path, with all that is wrong with the ladder."""
    conditions: list[Condition | None] = []
    faults = [*_order_faults(source, rule, path=path)]
    for step, rung in enumerate(rule.ladder):
        place = (*path, step)
        condition, refused = condition_of(source, rung.when, kind=rule.signal, path=(*place, "when"))
        conditions.append(condition)
        faults += refused
        if isinstance(rung, EscalateRung | NotifyRung):
            faults += wording_faults(source, rung.message, kind=rule.signal, path=(*place, "message"))
        if isinstance(rung, ActionRung):
            faults += _action_faults(source, rung, rule, path=place)
    return tuple(conditions), faults


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
    tellers = _TELLERS.get(rung.action, (rule.signal,))
    if rule.signal not in tellers:
        expected = f"{rung.action} acts on what the signal names; expected `signal: {' or '.join(tellers)}`"
        yield source.fault((*path, "action"), expected)
