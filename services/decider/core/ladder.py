"""What a step of an incident would do: the rung of a rule's ladder, or a person's single action, as one plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from services.decider.core.conditions import Facts
from services.decider.core.language import ActionRung, EscalateRung, ManualWords, NotifyRung, WaitRung
from services.decider.core.playbook import Playbook, Rule
from services.decider.core.wording import worded
from shared.contracts.actions import Action
from shared.contracts.actions.rung import Approval, Verify
from shared.contracts.approvals import Terms
from shared.contracts.inbox import Finding, ManualAction, Outcome
from shared.contracts.incidents import Reason, StepRecord
from shared.contracts.modes import Mode, strictest
from shared.contracts.signals import facts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An action (or why there is none), what undoes it, how far it may go, and how its cure is proven.

    Where it `is_undone` and has no `inverse` here, its result tells one: only the object knew what was there before.
    """

    action: Action | Reason
    inverse: Action | None
    is_undone: bool
    mode: Mode
    attempts: int
    backoff: timedelta
    verify: Verify
    expires: timedelta
    terms: Terms


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


def plan_of_person(manual: ManualAction, words: ManualWords) -> Plan:
    """Return the plan of a person's action: once, as far as the playbook lets people go, proven like any other."""
    return Plan(
        action=manual.action,
        inverse=None,
        is_undone=False,
        mode=strictest(words.mode, Mode.DRY_RUN if manual.dry_run else Mode.LIVE),
        attempts=1,
        backoff=timedelta(0),
        verify=Verify(),
        expires=words.approval.expires,
        terms=terms_of(words.approval, asked_by=manual.by),
    )


def terms_of(approval: Approval, *, asked_by: str = "") -> Terms:
    """Return who may approve, by a playbook's words; nobody has asked for what a rule does."""
    return Terms(by=approval.by, other_person=approval.other_person, asked_by=asked_by)


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


def as_reverted(finding: Finding, steps: Sequence[StepRecord]) -> Finding:
    """Return a finding as it would be told by now: what was changed and undone is what it was before."""
    signal = finding.signal
    for undone in (one.action for one in steps if one.reverts and one.outcome is Outcome.APPLIED):
        signal = undone.told_after(signal)
    return finding.model_copy(update={"signal": signal})


def _plan_of_rung(rung: ActionRung, finding: Finding, *, mode: Mode) -> Plan:
    action = rung.aimed(finding.signal)
    return Plan(
        action=action,
        inverse=action.inverse() if rung.is_undone and not isinstance(action, Reason) else None,
        is_undone=rung.is_undone,
        mode=strictest(mode, rung.mode),
        attempts=rung.attempts,
        backoff=rung.backoff,
        verify=rung.verify,
        expires=rung.approval.expires,
        terms=terms_of(rung.approval),
    )
