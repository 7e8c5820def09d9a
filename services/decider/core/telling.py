"""A rule in words: what it looks at, when it acts, how far, and what ends it."""

from collections.abc import Iterator
from datetime import timedelta

from services.decider.core.ladder import mode_of
from services.decider.core.language import EscalateRung, RestartPodRung, RollbackRung, Rung, SetMemoryRung
from services.decider.core.playbook import Playbook, Rule
from shared.contracts.incidents import Mode, strictest
from shared.kernel.quantities import format_bytes

_MODE_WORDS = {
    Mode.OFF: "off: it is passed over",
    Mode.DRY_RUN: "dry-run: the API server is asked what would change, and nothing does",
    Mode.APPROVAL: "approval: previewed, then it waits for a person",
    Mode.LIVE: "live: it acts by itself",
}
_ENDS = (
    "ends: healed, also by itself; escalated after the last rung, or without a person's yes;"
    " closed when the workload is gone"
)
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def rule_in_words(playbook: Playbook, rule: Rule) -> list[str]:
    """Return what a rule means, line by line; each mode is the one that holds after all that is around it."""
    words, mode = rule.words, mode_of(playbook, rule)
    return [
        f"rule {rule.name} ({words.severity.value}){f': {words.description}' if words.description else ''}",
        f"looks at: {words.signal} signals",
        *_conditions(rule),
        f"opens an incident: {_window(rule)}",
        *([f"mode {_MODE_WORDS[Mode.OFF]}; nothing is opened"] if mode is Mode.OFF else []),
        *(line for step, rung in enumerate(words.ladder) for line in _rung(step, rung, mode=mode)),
        f"not in the namespaces: {', '.join(sorted(playbook.words.spec.protected.namespaces)) or 'none'}",
        _ENDS,
        f"then rests: {duration(words.cooldown)} for the workload",
    ]


def duration(length: timedelta) -> str:
    """Return a length of time as a playbook spells it."""
    left, text = int(length.total_seconds()), ""
    for seconds, unit in _UNITS:
        count, left = divmod(left, seconds)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _conditions(rule: Rule) -> Iterator[str]:
    for name, allowed in rule.where.items():
        yield f"where: {name} is {' or '.join(sorted(map(str, allowed)))}"
    if rule.words.when:
        yield f"when: {' '.join(rule.words.when.split())}"


def _window(rule: Rule) -> str:
    window = rule.words.window
    if window.count == 1:
        return "at the first such signal"
    return f"at {window.count} such signals within {duration(window.within)}, in the signals' own time"


def _rung(step: int, rung: Rung, *, mode: Mode) -> Iterator[str]:
    if isinstance(rung, EscalateRung):
        yield f"step {step}: escalate to a person{f': {rung.message}' if rung.message else ''}"
        return
    effective = strictest(mode, rung.mode)
    yield f"step {step}: {_action(rung)}; {_MODE_WORDS[effective]}"
    if effective is Mode.APPROVAL:
        yield f"  waits for a person: {duration(rung.approval.expires)}, then escalates"
    if rung.attempts > 1:
        yield f"  attempts: {rung.attempts}, {duration(rung.backoff)} apart at first, twice as long each time"
    verify = rung.verify
    yield f"  proven: healthy for {duration(verify.healthy_for)}, at the latest {duration(verify.within)} after it"


def _action(rung: RestartPodRung | SetMemoryRung | RollbackRung) -> str:
    match rung:
        case RestartPodRung():
            return "restart the pod that was found"
        case SetMemoryRung():
            return f"multiply the container's memory limit by {rung.factor:g}, up to {format_bytes(rung.cap)}"
        case RollbackRung():
            return "roll back to the revision before"
