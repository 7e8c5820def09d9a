"""A rule in words: what it looks at, when it acts, how far, and what ends it."""

from collections.abc import Iterator

from services.decider.core.clauses import Clause
from services.decider.core.ladder import mode_of
from services.decider.core.language import (
    WORKLOAD,
    ActionRung,
    EscalateRung,
    NotifyRung,
    RuleWords,
    Rung,
    WaitRung,
)
from services.decider.core.playbook import Playbook
from services.decider.core.protecting import labels_of
from services.decider.core.rules import Rule, partners_of
from services.decider.core.silencing import is_named_by
from shared.contracts.actions import ACTIONS
from shared.contracts.modes import Mode, strictest
from shared.kernel.durations import format_duration

_MODE_WORDS = {
    Mode.OFF: "off: it is passed over",
    Mode.SHADOW: "shadow: it is told what it would order, and nothing is sent",
    Mode.DRY_RUN: "dry-run: the API server is asked what would change, and nothing does",
    Mode.APPROVAL: "approval: previewed, then it waits for a person",
    Mode.LIVE: "live: it acts by itself",
}
_ENDS = (
    "ends: healed, also by itself; escalated after the last rung, or without a person's yes;"
    " closed when the workload is gone"
)


def rule_in_words(playbook: Playbook, rule: Rule) -> list[str]:
    """Return what a rule means, line by line; each mode is the one that holds after all that is around it."""
    words, mode = rule.words, mode_of(playbook, rule)
    return [
        f"rule {rule.name} ({words.severity.value}){f': {words.description}' if words.description else ''}",
        *_about(words),
        f"looks at: {words.signal} signals",
        *_conditions(rule),
        f"opens an incident: {_window(words)}",
        *([f"mode {_MODE_WORDS[Mode.OFF]}; nothing is opened"] if mode is Mode.OFF else []),
        *(line for step, rung in enumerate(words.ladder) for line in _rung(step, rung, mode=mode)),
        f"not in the namespaces: {', '.join(sorted(playbook.words.spec.protected.namespaces)) or 'none'}",
        *_labels(playbook),
        *_windows(playbook, rule),
        _ENDS,
        f"then rests: {format_duration(words.cooldown)} for the workload",
    ]


def _about(words: RuleWords) -> Iterator[str]:
    """Yield what a rule's incidents carry for people."""
    said = {"summary": words.summary, "owner": words.owner, "runbook": words.runbook}
    yield from (f"{name}: {text}" for name, text in said.items() if text)
    if words.labels:
        yield f"labels: {', '.join(f'{name}={value}' for name, value in words.labels.items())}"


def _labels(playbook: Playbook) -> Iterator[str]:
    labels = [f"{key}={value}" for key, value in labels_of(playbook.words.spec.protected)]
    if labels:
        yield f"not what has the label: {' or '.join(labels)}"


def _windows(playbook: Playbook, rule: Rule) -> Iterator[str]:
    for window in playbook.words.spec.maintenance:
        if not window.rules or is_named_by(window.rules, rule.name):
            where = f" in {', '.join(window.namespaces)}" if window.namespaces else ""
            length = format_duration(window.duration)
            yield f"not in maintenance {window.name}{where}: {length} from {window.schedule} ({window.timezone}) on"


def _conditions(rule: Rule) -> Iterator[str]:
    if rule.words.promql:
        yield f"asks Prometheus: {' '.join(rule.words.promql.split())}"
    yield from _clause(rule.clause, rule.words.when)
    for name, partner in partners_of(rule.words).items():
        yield f"{name}: {partner.signal} signals"
        yield from (f"  {line}" for line in _clause(rule.partners[name], partner.when))
    if rule.words.by != (WORKLOAD,):
        yield f"by: {', '.join(rule.words.by)}"


def _clause(clause: Clause, when: str) -> Iterator[str]:
    for name, allowed in clause.where.items():
        yield f"where: {name} is {allowed}"
    if when:
        yield f"when: {' '.join(when.split())}"


def _window(words: RuleWords) -> str:
    window = words.window
    within = f"within {format_duration(window.within)}, in the signals' own time"
    if words.held_for is not None:
        return f"when it has held for {format_duration(words.held_for)} without a break"
    if words.without is not None:
        return f"when what is named `without` did not come within {format_duration(words.without.within)} after it"
    after = f", each at most {format_duration(words.after.within)} after what is named `after`" if words.after else ""
    if window.rate is not None:
        what = f"{window.of} grows by" if window.of else "there are"
        return f"when {what} {window.rate:g} or more per {format_duration(window.per)}, {within}{after}"
    if window.distinct:
        return f"at {window.count} different values of {window.distinct} {within}{after}"
    if window.count == 1:
        return f"at the first such signal{after}"
    return f"at {window.count} such signals {within}{after}"


def _rung(step: int, rung: Rung, *, mode: Mode) -> Iterator[str]:
    first, *further = _rung_words(rung, mode=mode)
    yield f"step {step}: {first}"
    if rung.when:
        yield f"  only where: {' '.join(rung.when.split())}"
    yield from further


def _rung_words(rung: Rung, *, mode: Mode) -> Iterator[str]:
    match rung:
        case EscalateRung():
            yield f"escalate to a person{f': {rung.message}' if rung.message else ''}"
        case NotifyRung():
            yield f"tell people, and go on: {rung.message}"
        case WaitRung():
            yield f"wait for {format_duration(rung.length)}"
            yield f"  healed by itself: healthy for {format_duration(rung.healthy_for)}"
        case _:
            yield from _action_words(rung, mode=mode)


def _action_words(rung: ActionRung, *, mode: Mode) -> Iterator[str]:
    effective = strictest(mode, rung.mode)
    yield f"{rung.in_words()}; {_MODE_WORDS[effective]}"
    if effective is Mode.APPROVAL:
        whom = f"one of {', '.join(rung.approval.by)}" if rung.approval.by else "a person"
        yield f"  waits for {whom}: {format_duration(rung.approval.expires)}, then escalates"
    if rung.attempts > 1:
        yield f"  attempts: {rung.attempts}, {format_duration(rung.backoff)} apart at first, twice as long each time"
    verify = rung.verify
    if rung.if_unproven():
        yield f"  if it is not proven: {rung.if_unproven()}"
    healthy_for, within = format_duration(verify.healthy_for), format_duration(verify.within)
    yield f"  proven: {_proof(rung)} for {healthy_for}, at the latest {within} after it"


def _proof(rung: ActionRung) -> str:
    if rung.verify.query:
        return f"each sample of {rung.verify.query} meets {' '.join(rung.verify.when.split())}"
    if rung.ENDS_POD:
        return "the pod is gone, and healthy"
    return "healthy again" if ACTIONS[rung.action].QUIET else "healthy"
