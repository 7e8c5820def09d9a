"""`decide`: what an input means for one workload. A pure function; the inbox's order and times are all it knows."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from services.decider.core.ladder import mode_of
from services.decider.core.playbook import Rule
from services.decider.core.state import Health, Hit, WorkloadState
from services.decider.core.steps import barred_by, end, judge, order, settle, start_step, wake_at
from services.decider.core.turn import Cause, Output, Turn, World
from shared.contracts.inbox import Approval, Finding, ManualAction, Result, WakeUp, WorkloadEntry
from shared.contracts.incidents import Incident, Mode, Phase, Reason, Severity
from shared.contracts.signals import HealthSignal, NodeSignal, WorkloadSignal
from shared.contracts.workloads import WorkloadRef
from shared.kernel.ids import derive

MANUAL = "manual"


def decide(
    state: WorkloadState, entry: WorkloadEntry, *, world: World, offset: int, now: datetime
) -> tuple[WorkloadState, tuple[Output, ...]]:
    """Return the workload's new state and what follows from an entry; `now` is the entry's inbox timestamp."""
    moment = max(now, entry.due) if isinstance(entry, WakeUp) else now
    turn = Turn(state, Cause(entry=entry.id, workload=entry.workload, offset=offset, now=moment), world)
    _take_up(turn, entry)
    return replace(turn.state, wake_at=wake_at(turn)), turn.outputs()


def _take_up(turn: Turn, entry: WorkloadEntry) -> None:
    match entry:
        case Finding():
            _found(turn, entry)
        case WorkloadSignal() | NodeSignal():
            _health_told(turn, entry)
        case Result():
            _result_came(turn, entry)
        case Approval():
            _person_answered(turn, entry)
        case ManualAction():
            _person_acts(turn, entry)
        case WakeUp():
            if turn.state.open_incident is not None:
                judge(turn)
        case _:
            assert_never(entry)


def _found(turn: Turn, finding: Finding) -> None:
    rule = turn.world.playbook.rules.get(finding.rule) if turn.world.playbook else None
    if rule is None:
        turn.decide(Reason.RULE_UNKNOWN, rule=finding.rule)
        return
    reason = _reason_to_leave(turn, finding, rule)
    if reason is not None:
        turn.decide(reason, rule=finding.rule)
    elif turn.state.open_incident is not None:
        _found_again(turn, finding)
    else:
        _count(turn, finding, rule)


def _reason_to_leave(turn: Turn, finding: Finding, rule: Rule) -> Reason | None:
    playbook, newest = turn.world.playbook, turn.state.incident
    if newest is not None and newest.closed_at is not None:
        is_told_again = _incident_id(finding.workload, finding.rule, finding.id) in turn.state.past
        if is_told_again or finding.at <= newest.closed_at:
            return Reason.STALE_FINDING
    if playbook is not None and mode_of(playbook, rule) is Mode.OFF:
        return Reason.MODE_OFF
    if turn.is_protected:
        return Reason.PROTECTED
    return None


def _found_again(turn: Turn, finding: Finding) -> None:
    incident = turn.incident
    if finding.rule != incident.rule:
        turn.revise(other_rules=tuple(sorted({*incident.other_rules, finding.rule})))
        turn.decide(Reason.INCIDENT_ALREADY_OPEN, rule=finding.rule)
        return
    latest = turn.state.finding
    is_newer = latest is None or finding.at >= latest.at
    turn.remember(finding=finding if is_newer else latest, found_at=turn.now)
    turn.revise(findings=incident.findings + 1)
    turn.decide(Reason.REPEATED_FINDING)


def _count(turn: Turn, finding: Finding, rule: Rule) -> None:
    if turn.now < turn.state.cooldowns.get(rule.name, turn.now):
        turn.decide(Reason.COOLDOWN, rule=rule.name)
        return
    hits = _hits_with(turn.state.hits.get(rule.name, ()), finding, within=rule.words.window.within)
    turn.remember(hits={**turn.state.hits, rule.name: hits})
    if len(hits) < rule.words.window.count:
        turn.decide(Reason.WINDOW_NOT_REACHED, rule=rule.name, detail=f"{len(hits)} of {rule.words.window.count}")
        return
    _open(turn, finding, rule)


def _hits_with(hits: tuple[Hit, ...], finding: Finding, *, within: timedelta) -> tuple[Hit, ...]:
    """Return the hits of the window that ends at the latest signal; one signal counts once, however often it came."""
    known = {hit.signal: hit for hit in hits}
    known[finding.signal.id] = Hit(finding.at, finding.signal.id)
    newest = max(hit.at for hit in known.values())
    inside = [hit for hit in known.values() if newest - hit.at < within]
    return tuple(sorted(inside, key=lambda hit: (hit.at, hit.signal)))


def _open(turn: Turn, finding: Finding, rule: Rule) -> None:
    incident = _incident(turn, finding.workload, rule=rule.name, cause=finding.id)
    turn.remember(
        incident=incident.model_copy(
            update={
                "severity": rule.words.severity,
                "summary": rule.words.description or f"{rule.name} on {finding.workload.key}",
                "findings": len(turn.state.hits[rule.name]),
                "signal_at": finding.at,
            }
        ),
        finding=finding,
        found_at=turn.now,
        manual=None,
        explained=False,
    )
    turn.decide(Reason.INCIDENT_OPENED)
    start_step(turn)


def _incident_id(workload: WorkloadRef, rule: str, cause: str) -> str:
    return derive("inc", workload.key, rule, cause)


def _incident(turn: Turn, workload: WorkloadRef, *, rule: str, cause: str) -> Incident:
    return Incident(
        id=_incident_id(workload, rule, cause),
        at=turn.now,
        workload=workload,
        rule=rule,
        playbook=turn.world.playbook.hash if turn.world.playbook else "",
        severity=Severity.WARNING,
        mode=Mode.LIVE,
        summary="",
        phase=Phase.WAITING,
        reason=Reason.INCIDENT_OPENED,
        signal_at=turn.now,
        opened_at=turn.now,
    )


def _health_told(turn: Turn, signal: HealthSignal) -> None:
    before = turn.state.health
    unchanged = before is not None and before.healthy == signal.healthy
    since = before.since if before is not None and unchanged else turn.now
    turn.remember(health=Health(healthy=signal.healthy, since=since, at=turn.now))
    if turn.state.open_incident is None:
        return
    if not unchanged:
        turn.revise(healthy_since=turn.now if signal.healthy else None)
    if signal.deleted:
        end(turn, Phase.CLOSED, Reason.TARGET_GONE, detail=f"the {signal.object.kind} was deleted")
    else:
        judge(turn)


def _result_came(turn: Turn, result: Result) -> None:
    incident = turn.state.open_incident
    if incident is None or incident.awaited_command != result.command:
        turn.decide(Reason.RESULT_NOT_AWAITED, command=result.command)
        return
    settle(turn, result)


def _person_answered(turn: Turn, approval: Approval) -> None:
    incident = turn.state.open_incident
    is_awaited = (
        incident is not None
        and incident.phase is Phase.AWAITING_APPROVAL
        and (incident.id, incident.step) == (approval.incident, approval.step)
    )
    if not is_awaited:
        turn.decide(Reason.APPROVAL_NOT_AWAITED, detail=f"by {approval.by}")
    elif not approval.approved:
        end(turn, Phase.ESCALATED, Reason.APPROVAL_REJECTED, detail=f"by {approval.by}: {approval.note}")
    elif turn.world.paused is not None:
        turn.decide(Reason.PAUSED, detail=turn.world.paused.cause)
    elif (barred := barred_by(turn)) is not None:
        end(turn, Phase.ESCALATED, barred, detail=f"approved by {approval.by}, but the playbook in force says no")
    else:
        turn.decide(Reason.APPROVAL_GRANTED, detail=f"by {approval.by}")
        order(turn, turn.incident.steps[-1].action, dry_run=False)


def _person_acts(turn: Turn, manual: ManualAction) -> None:
    if turn.is_protected:
        turn.decide(Reason.PROTECTED, rule=MANUAL, detail=f"by {manual.by}")
        return
    if _incident_id(manual.workload, MANUAL, manual.id) in turn.state.past:
        turn.decide(Reason.MANUAL_ACTION_REPEATED, rule=MANUAL, detail=f"by {manual.by}")
        return
    if turn.state.open_incident is not None:
        turn.decide(Reason.INCIDENT_ALREADY_OPEN, rule=MANUAL, detail=f"by {manual.by}")
        return
    incident = _incident(turn, manual.workload, rule=MANUAL, cause=manual.id)
    summary = manual.note or f"asked for by {manual.by}"
    turn.remember(
        incident=incident.model_copy(update={"summary": summary}),
        finding=None,
        found_at=None,
        manual=manual,
        explained=False,
    )
    turn.decide(Reason.MANUAL_ACTION, detail=f"by {manual.by}")
    start_step(turn)
