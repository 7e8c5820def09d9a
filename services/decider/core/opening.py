"""How findings become an incident: what bars it, what is counted, and when that is enough."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.decider.core.ladder import mode_of
from services.decider.core.matching import says
from services.decider.core.rules import Rule
from services.decider.core.state import Climb
from services.decider.core.steps import start_step
from services.decider.core.tallies import (
    Tally,
    acted_on,
    due,
    due_next,
    key_of,
    lacking,
    longest_held,
    rule_of_key,
    touched,
    with_finding,
    with_observation,
)
from services.decider.core.turn import Turn
from services.decider.core.wording import worded
from shared.contracts.inbox import Finding, Observation
from shared.contracts.incidents import Incident, Mode, Phase, Reason, Severity
from shared.contracts.signals import facts_of
from shared.contracts.workloads import WorkloadRef
from shared.kernel.ids import derive

BARRED_POLL = timedelta(minutes=1)
"""How often it is looked whether what bars an incident that is due is over."""


@dataclass(frozen=True, slots=True)
class _Bar:
    """Why what is due opens nothing; `by` names what holds it back."""

    reason: Reason
    detail: str = ""
    by: str = ""


def found(turn: Turn, finding: Finding) -> None:
    """Take up that a rule's condition held: count it, or say why not."""
    rule = turn.rule_named(finding.rule)
    if rule is None:
        turn.decide(Reason.RULE_UNKNOWN, rule=finding.rule)
        return
    if _is_outdated(turn, rule, finding):
        turn.decide(Reason.FINDING_OUTDATED, rule=finding.rule)
        return
    reason = _reason_to_leave(turn, finding, rule)
    if reason is not None:
        turn.decide(reason, rule=finding.rule, detail=_cause_of(reason, turn, finding))
        return
    if rule.words.held_for is not None:  # told once, when it begins: known also where it opens nothing now
        _tally(turn, rule, finding)
    if not _is_of_open_incident(turn, finding) and (held := turn.hold_on(finding.rule)) is not None:
        turn.suppress(held, rule=finding.rule)
    elif turn.state.open_incident is not None:
        _found_again(turn, finding, rule)
    elif _is_resting(turn, rule.name):
        turn.decide(Reason.COOLDOWN, rule=rule.name)
    else:
        _count(turn, finding, rule)


def observed(turn: Turn, seen: Observation) -> None:
    """Take up what a signal says beside a rule's trouble; where nothing waits for it, nothing is decided."""
    rule = turn.rule_named(seen.rule)
    if rule is None or _is_outdated(turn, rule, seen):
        return
    if rule.words.held_for is None:
        _observed_in(turn, key_of(seen.rule, seen.group), seen, rule=rule)
        return
    for key in [key for key in sorted(turn.state.tallies) if rule_of_key(key) == rule.name]:
        _observed_in(turn, key, seen, rule=rule)  # the end of an object is its end in each group that it was counted in


def _observed_in(turn: Turn, key: str, seen: Observation, *, rule: Rule) -> None:
    before = turn.state.tallies.get(key, Tally(counting=rule.counting))
    if before.is_empty and rule.words.held_for is not None:
        return
    after = touched(before, with_observation(before, seen, words=rule.words, now=turn.now), now=turn.now)
    turn.remember(tallies={**turn.state.tallies, key: after})
    if turn.state.open_incident is not None:
        _turn_to_what_holds(turn, rule)
        return
    if _is_resting(turn, rule.name):
        return
    if due(after, words=rule.words, now=turn.now):
        _open_what_is_due(turn, key, rule)
        return
    known, missing = (lacking(tally, words=rule.words, now=turn.now) for tally in (before, after))
    if missing is not None and missing.until is None and missing != known:
        turn.decide(missing.reason, rule=rule.name, detail=missing.detail)


def open_due(turn: Turn) -> None:
    """Open the incident for which only time was lacking, if its time has come; one at a time, in the keys' order."""
    for key in sorted(turn.state.tallies):
        if turn.state.open_incident is not None:
            return
        rule, tally = turn.rule_named(rule_of_key(key)), turn.state.tallies.get(key)
        # an incident of the same rule that ended at once has taken its part of the tallies with it
        if rule is not None and tally is not None and _is_due(turn, rule, tally):
            _open_what_is_due(turn, key, rule)


def due_at(turn: Turn) -> datetime | None:
    """Return the next moment at which time alone may open an incident; None while one is open."""
    if turn.state.open_incident is not None:
        return None
    moments = (_due_of(turn, key, tally) for key, tally in turn.state.tallies.items())
    return min((moment for moment in moments if moment is not None), default=None)


def incident_id(workload: WorkloadRef, *, rule: str, cause: str) -> str:
    """Return the id of the incident that a cause opens: the same cause never opens two."""
    return derive("inc", workload.key, rule, cause)


def incident_of(turn: Turn, workload: WorkloadRef, *, rule: str, cause: str) -> Incident:
    """Return an incident that has just begun."""
    return Incident(
        id=incident_id(workload, rule=rule, cause=cause),
        at=turn.now,
        workload=workload,
        rule=rule,
        playbook=turn.playbook_in_force,
        severity=Severity.WARNING,
        mode=Mode.LIVE,
        summary="",
        phase=Phase.WAITING,
        reason=Reason.INCIDENT_OPENED,
        signal_at=turn.now,
        opened_at=turn.now,
    )


def _reason_to_leave(turn: Turn, finding: Finding, rule: Rule) -> Reason | None:
    newest = turn.state.incident
    closed_at = newest.closed_at if newest is not None else None
    if closed_at is not None and (_has_opened(turn, finding) or finding.at <= closed_at):
        return Reason.STALE_FINDING
    # what is open takes up what shows a protected label, and ends by it at its next step
    return _barred(turn, rule, None if _is_of_open_incident(turn, finding) else finding)


def _is_outdated(turn: Turn, rule: Rule, entry: Finding | Observation) -> bool:
    """Tell whether only another playbook's words of a rule say this, by which it was matched."""
    return entry.playbook != turn.playbook_in_force and not says(rule, entry)


def _has_opened(turn: Turn, finding: Finding) -> bool:
    return incident_id(finding.workload, rule=finding.rule, cause=finding.id) in turn.state.past


def _barred(turn: Turn, rule: Rule, finding: Finding | None) -> Reason | None:
    """Return why no incident of a rule may be opened now by a finding."""
    playbook = turn.world.playbook
    if playbook is not None and mode_of(playbook, rule) is Mode.OFF:
        return Reason.MODE_OFF
    if turn.protection_of(finding):
        return Reason.PROTECTED
    return None


def _cause_of(reason: Reason, turn: Turn, finding: Finding) -> str:
    return f"protected is {turn.protection_of(finding)}" if reason is Reason.PROTECTED else ""


def _is_resting(turn: Turn, rule: str) -> bool:
    return turn.now < turn.state.cooldowns.get(rule, turn.now)


def _is_of_open_incident(turn: Turn, finding: Finding) -> bool:
    """Tell whether a finding says that what is open goes on: a proof must begin anew with it, silenced or not."""
    incident = turn.state.open_incident
    return incident is not None and incident.rule == finding.rule


def _found_again(turn: Turn, finding: Finding, rule: Rule) -> None:
    incident = turn.incident
    if finding.rule != incident.rule:
        turn.revise(other_rules=tuple(sorted({*incident.other_rules, finding.rule})))
        turn.decide(Reason.INCIDENT_ALREADY_OPEN, rule=finding.rule)
        return
    counted = _tallies_of(turn, rule.name)
    newest = acted_on(counted, turn.state.finding, finding, words=rule.words, now=turn.now)
    turn.remember(finding=newest, found_at=turn.now)
    turn.revise(findings=incident.findings + 1)
    turn.decide(Reason.REPEATED_FINDING)


def _turn_to_what_holds(turn: Turn, rule: Rule) -> None:
    """Let the open incident act on another object where the end of its own was told, and that one still holds."""
    finding = turn.state.finding
    if finding is None or turn.incident.rule != rule.name or rule.words.held_for is None:
        return
    held = longest_held(_tallies_of(turn, rule.name), finding, words=rule.words, now=turn.now)
    turn.remember(finding=held or finding)


def _tallies_of(turn: Turn, rule: str) -> Iterator[Tally]:
    for key in sorted(turn.state.tallies):
        if rule_of_key(key) == rule:
            yield turn.state.tallies[key]


def _count(turn: Turn, finding: Finding, rule: Rule) -> None:
    tally, key = _tally(turn, rule, finding), key_of(rule.name, finding.group)
    missing = lacking(tally, words=rule.words, now=turn.now)
    if missing is not None:
        turn.decide(missing.reason, rule=rule.name, detail=missing.detail)
    elif not (rule.is_timed or rule.words.after):
        _open(turn, finding, rule, findings=max(1, len(tally.hits)))
    elif (bar := _opened_or_barred(turn, key, rule)) is not None:
        _say(turn, key, bar)  # each finding is answered, also where the same was said at a wake-up


def _tally(turn: Turn, rule: Rule, finding: Finding) -> Tally:
    key = key_of(rule.name, finding.group)
    known = turn.state.tallies.get(key, Tally(counting=rule.counting))
    tally = touched(known, with_finding(known, finding, words=rule.words, now=turn.now), now=turn.now)
    turn.remember(tallies={**turn.state.tallies, key: tally})
    return tally


def _is_due(turn: Turn, rule: Rule, tally: Tally) -> bool:
    return rule.is_timed and not _is_resting(turn, rule.name) and bool(due(tally, words=rule.words, now=turn.now))


def _open_what_is_due(turn: Turn, key: str, rule: Rule) -> None:
    """Open the incident of a tally, or say once what bars it."""
    tally = turn.state.tallies[key]
    bar = _opened_or_barred(turn, key, rule)
    if bar is not None and (tally.barred, tally.suppressed_by) != (bar.reason, bar.by):
        _say(turn, key, bar)


def _opened_or_barred(turn: Turn, key: str, rule: Rule) -> _Bar | None:
    """Open the incident of the first that is due and not barred by itself; what holds is never stale by its age."""
    tally, held = turn.state.tallies[key], turn.hold_on(rule.name)
    found = due(tally, words=rule.words, now=turn.now)
    bars = [_bar_of(turn, rule, finding) for finding in found]
    free = next((finding for finding, bar in zip(found, bars, strict=True) if bar is None), None)
    if free is None:
        return bars[0]
    if held is not None:
        return _Bar(held.reason, held.detail, held.by)
    _open(turn, free, rule, findings=max(1, len(tally.hits)))
    return None


def _bar_of(turn: Turn, rule: Rule, finding: Finding) -> _Bar | None:
    reason = Reason.STALE_FINDING if _has_opened(turn, finding) else _barred(turn, rule, finding)
    return _Bar(reason, _cause_of(reason, turn, finding)) if reason is not None else None


def _say(turn: Turn, key: str, bar: _Bar) -> None:
    turn.decide(bar.reason, rule=rule_of_key(key), detail=bar.detail, suppressed_by=bar.by)
    barred = replace(turn.state.tallies[key], barred=bar.reason, suppressed_by=bar.by)
    turn.remember(tallies={**turn.state.tallies, key: barred})


def _due_of(turn: Turn, key: str, tally: Tally) -> datetime | None:
    rule = turn.rule_named(rule_of_key(key))
    if rule is None or not rule.is_timed:
        return None
    moments = [due_next(tally, words=rule.words, now=turn.now)]
    if due(tally, words=rule.words, now=turn.now):
        moments.append(turn.now if tally.barred is None else _next_look(turn, rule))
    soonest = min((moment for moment in moments if moment is not None), default=None)
    return max(soonest, turn.state.cooldowns.get(rule.name, soonest)) if soonest is not None else None


def _next_look(turn: Turn, rule: Rule) -> datetime:
    held, look = turn.hold_on(rule.name), turn.now + BARRED_POLL
    return min(held.until, look) if held is not None else look


def _open(turn: Turn, finding: Finding, rule: Rule, *, findings: int) -> None:
    incident = incident_of(turn, finding.workload, rule=rule.name, cause=finding.id)
    turn.begin(
        incident.model_copy(
            update={
                "severity": rule.words.severity,
                "summary": _summary(rule, finding),
                "owner": rule.words.owner,
                "runbook": rule.words.runbook,
                "labels": rule.words.labels,
                "findings": findings,
                "signal_at": finding.at,
            }
        ),
        finding=finding,
        found_at=turn.now,
        manual=None,
        climb=Climb(rungs=rule.steps),
    )
    turn.decide(Reason.INCIDENT_OPENED)
    start_step(turn)


def _summary(rule: Rule, finding: Finding) -> str:
    if rule.words.summary:
        return worded(rule.words.summary, facts_of(finding.signal))
    return rule.words.description or f"{rule.name} on {finding.workload.key}"
