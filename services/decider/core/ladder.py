"""What a step of an incident would do: the rung of a rule's ladder, or a person's single action, as one plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from services.decider.core.conditions import Facts
from services.decider.core.language import (
    ActionRung,
    Approval,
    EscalateRung,
    NotifyRung,
    RestartPodRung,
    RollbackRung,
    SetMemoryRung,
    Verify,
    WaitRung,
)
from services.decider.core.playbook import Playbook, Rule
from services.decider.core.wording import worded
from shared.contracts.actions import Action, RestartPod, Rollback, SetMemory
from shared.contracts.inbox import Finding, ManualAction, Outcome
from shared.contracts.incidents import Mode, Reason, StepRecord, strictest
from shared.contracts.signals import ContainerSignal, EventSignal, PodSignal, Signal, facts_of
from shared.contracts.workloads import ObjectRef
from shared.kernel.quantities import format_bytes

_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An action (or why there is none), what undoes it, how far it may go, and how its cure is proven."""

    action: Action | Reason
    inverse: Action | None
    mode: Mode
    attempts: int
    backoff: timedelta
    verify: Verify
    expires: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Let time pass, in which the workload may recover by itself."""

    length: timedelta
    healthy_for: timedelta


@dataclass(frozen=True, slots=True)
class Notice:
    """Tell people something."""

    message: str


@dataclass(frozen=True, slots=True)
class Handover:
    """Leave the incident to a person."""

    message: str


Step = Plan | Wait | Notice | Handover


def mode_of(playbook: Playbook, rule: Rule) -> Mode:
    """Return how far a rule may go: the strictest of the playbook's mode and its own."""
    return strictest(playbook.words.spec.mode, rule.words.mode)


def step_of_rung(rung: ActionRung | WaitRung | NotifyRung | EscalateRung, finding: Finding, *, mode: Mode) -> Step:
    """Return what a rung does about a finding; an action within the mode of what is around it."""
    match rung:
        case WaitRung():
            return Wait(length=rung.length, healthy_for=rung.healthy_for)
        case NotifyRung():
            return Notice(worded(rung.message, facts_of(finding.signal)))
        case EscalateRung():
            return Handover(worded(rung.message, facts_of(finding.signal)))
        case _:
            return _plan_of_rung(rung, finding, mode=mode)


def plan_of_person(manual: ManualAction) -> Plan:
    """Return the plan of a person's action: once, no further approval, proven like any other."""
    return Plan(
        action=manual.action,
        inverse=None,
        mode=Mode.DRY_RUN if manual.dry_run else Mode.LIVE,
        attempts=1,
        backoff=timedelta(0),
        verify=Verify(),
        expires=Approval().expires,
    )


def rung_of(rule: Rule, step: int) -> ActionRung | WaitRung | NotifyRung | EscalateRung | None:
    """Return a rung of a rule's ladder, counted from 0; nothing beyond its end."""
    return rule.words.ladder[step] if step < len(rule.words.ladder) else None


def is_met(rule: Rule, step: int, finding: Finding) -> bool:
    """Tell whether the condition of a rung holds on a finding; on one of another kind than the rule's it does not."""
    condition = rule.rungs[step].condition if step < len(rule.rungs) else None
    if condition is None:
        return True
    signal = finding.signal
    return signal.kind == rule.words.signal and condition.holds(Facts(signal.kind, facts_of(signal)))


def action_for(rung: ActionRung, finding: Finding) -> Action | Reason:
    """Return the action of a rung on what a finding is about, or why it cannot be one."""
    signal = finding.signal
    match rung:
        case RollbackRung():
            return Rollback(from_template_hash=signal.template_hash if isinstance(signal, ContainerSignal) else "")
        case RestartPodRung() if (pod := _pod_of(signal)) is not None:
            return RestartPod(pod=pod.name, uid=pod.uid)
        case SetMemoryRung() if isinstance(signal, ContainerSignal) and signal.memory_limit_bytes > 0:
            return _more_memory(rung, signal)
        case RestartPodRung() | SetMemoryRung():
            return Reason.TARGET_UNSUITABLE
        case _:
            assert_never(rung)


def inverse_of(action: Action) -> Action | None:
    """Return what undoes an action; None where nothing does."""
    match action:
        case SetMemory():
            return action.model_copy(update={"from_bytes": action.to_bytes, "to_bytes": action.from_bytes})
        case RestartPod() | Rollback():
            return None
        case _:
            assert_never(action)


def as_reverted(finding: Finding, steps: Sequence[StepRecord]) -> Finding:
    """Return a finding as it would be told by now: a memory limit that was set and set back is what it was before."""
    signal = finding.signal
    if not isinstance(signal, ContainerSignal):
        return finding
    limit = signal.memory_limit_bytes
    for undone in (one.action for one in steps if one.reverts and one.outcome is Outcome.APPLIED):
        if isinstance(undone, SetMemory) and (undone.container, undone.from_bytes) == (signal.container, limit):
            limit = undone.to_bytes
    return finding.model_copy(update={"signal": signal.model_copy(update={"memory_limit_bytes": limit})})


def described(action: Action) -> str:
    """Return an action in words for people."""
    match action:
        case RestartPod():
            return f"restart pod {action.pod}"
        case SetMemory():
            before, after = format_bytes(action.from_bytes), format_bytes(action.to_bytes)
            return f"set the memory limit of container {action.container} from {before} to {after}"
        case Rollback():
            return "roll back to the revision before"
        case _:
            assert_never(action)


def _plan_of_rung(rung: ActionRung, finding: Finding, *, mode: Mode) -> Plan:
    action = action_for(rung, finding)
    is_undone = isinstance(rung, SetMemoryRung) and rung.revert
    return Plan(
        action=action,
        inverse=inverse_of(action) if is_undone and not isinstance(action, Reason) else None,
        mode=strictest(mode, rung.mode),
        attempts=rung.attempts,
        backoff=rung.backoff,
        verify=rung.verify,
        expires=rung.approval.expires,
    )


def _pod_of(signal: Signal) -> ObjectRef | None:
    """Return the pod that a signal is about, if there is one that can be told from another of its name."""
    match signal:
        case ContainerSignal() | EventSignal():
            is_there = True
        case PodSignal():
            is_there = not signal.deleted
        case _:
            return None
    return signal.object if is_there and signal.object.kind == "Pod" and signal.object.uid else None


def _more_memory(rung: SetMemoryRung, signal: ContainerSignal) -> SetMemory | Reason:
    if signal.memory_limit_bytes >= rung.cap:
        return Reason.CAP_REACHED
    wanted = int(signal.memory_limit_bytes * rung.factor)
    whole = -(-wanted // _MEBIBYTE) * _MEBIBYTE  # people read mebibytes
    return SetMemory(
        container=signal.container,
        from_bytes=signal.memory_limit_bytes,
        to_bytes=min(whole, rung.cap),
    )
