"""Orders: a command goes out about an incident, and what became of it is written down."""

from datetime import datetime, timedelta

from services.decider.core.protecting import labels_in_force, namespaces_in_force
from services.decider.core.turn import Turn
from shared.contracts.actions import Action
from shared.contracts.commands import Command
from shared.contracts.inbox import Result
from shared.contracts.incidents import Phase, Reason, StepRecord
from shared.kernel.ids import derive

COMMAND_EXPIRES = timedelta(seconds=60)
"""After this a command is no longer carried out: what it was decided on may have changed."""
RESULT_WITHIN = timedelta(seconds=120)
"""Longer than a command lives, so that a result that does not come can only mean that none will."""
_PREVIEW, _ACTION, _REVERT = "dry-run", "live", "revert"


def order_preview(turn: Turn, action: Action, *, inverse: Action | None) -> None:
    """Ask what an action would change; asked again about the same attempt it is another command."""
    turn.remember(previewed=turn.said)
    command = _command(turn, action, _PREVIEW)
    _order(turn, command, phase=Phase.PREVIEWING, reason=Reason.PREVIEW_ORDERED, inverse=inverse)


def order_action(turn: Turn, action: Action, *, inverse: Action | None, approved_by: str = "") -> None:
    """Order an action, which a person has approved where one was asked."""
    command = _command(turn, action, _ACTION, approved_by=approved_by)
    _order(turn, command, phase=Phase.ACTING, reason=Reason.ACTION_ORDERED, inverse=inverse)


def order_revert(turn: Turn, action: Action, *, reverts: str) -> None:
    """Order the action that undoes what a command did."""
    command = _command(turn, action, _REVERT, reverts=reverts)
    _order(turn, command, phase=Phase.REVERTING, reason=Reason.REVERT_ORDERED)


def is_braked(step: StepRecord) -> bool:
    """Tell whether the brake, or a stop, put a step off: nothing was wrong with it but the moment."""
    return step.retry_after is not None


def settled(step: StepRecord, result: Result, *, now: datetime, inverse: Action | None) -> StepRecord:
    """Return the record of a step with what became of its command, and what undoes it."""
    return step.model_copy(
        update={
            "inverse": inverse,
            "outcome": result.outcome,
            "reason": result.reason,
            "message": result.message,
            "changes": result.changes,
            "finished_at": now,
            "evidence": result.evidence,
            "retry_after": result.retry_after,
        }
    )


def _command(turn: Turn, action: Action, form: str, *, reverts: str = "", approved_by: str = "") -> Command:
    incident, playbook = turn.incident, turn.world.playbook
    braked = _times_braked(turn)
    again: list[str | int] = [braked] if braked else []  # ids of what was never braked stay what they were
    if turn.state.climb is not None and turn.state.climb.changes:
        again += ["ladder", turn.state.climb.changes]  # another one counts its steps anew
    if form == _PREVIEW and (shown := _times_shown(turn)):
        again += ["anew", shown]
    return Command(
        id=derive("cmd", incident.id, incident.step, incident.attempt, form, *again),
        at=turn.now,
        workload=incident.workload,
        incident=incident.id,
        rule=incident.rule,
        playbook=turn.playbook_in_force,
        step=incident.step,
        attempt=incident.attempt,
        action=action,
        dry_run=form == _PREVIEW,
        reverts=reverts,
        expires_at=turn.now + COMMAND_EXPIRES,
        protected_labels=labels_in_force(playbook.words.spec.protected) if playbook else {},
        protected_namespaces=namespaces_in_force(incident.workload, playbook.words.spec.protected) if playbook else (),
        approved_by=approved_by,
        requested_by=turn.state.manual.by if turn.state.manual else f"rule {incident.rule}",
        severity=incident.severity,
    )


def _order(turn: Turn, command: Command, *, phase: Phase, reason: Reason, inverse: Action | None = None) -> None:
    turn.remember(proofs=())  # what was shown before proves nothing of what is ordered now
    turn.revise(
        phase=phase,
        reason=reason,
        deadline=turn.now + RESULT_WITHIN,
        awaited_command=command.id,
        steps=(*_steps_taken(turn), _ordered(turn, command, inverse)),
    )
    turn.decide(reason, detail=command.action.in_words(), command=command.id)
    turn.emit(command)


def _steps_taken(turn: Turn) -> tuple[StepRecord, ...]:
    """Return the records without one that was put off: the new order of it takes its place."""
    steps = turn.incident.steps
    return steps[:-1] if steps and is_braked(steps[-1]) else steps


def _times_braked(turn: Turn) -> int:
    """Return how often the present attempt was put off until now."""
    incident = turn.incident
    last = incident.steps[-1] if incident.steps else None
    if last is None or (last.step, last.attempt) != (incident.step, incident.attempt):
        return 0
    return last.braked + is_braked(last)


def _times_shown(turn: Turn) -> int:
    """Return how often the present attempt was previewed until now."""
    place = (turn.incident.step, turn.incident.attempt)
    return sum(one.dry_run and not is_braked(one) and (one.step, one.attempt) == place for one in turn.incident.steps)


def _ordered(turn: Turn, command: Command, inverse: Action | None) -> StepRecord:
    return StepRecord(
        step=command.step,
        attempt=command.attempt,
        action=command.action,
        inverse=inverse,
        reverts=command.reverts,
        command=command.id,
        dry_run=command.dry_run,
        approved_by=command.approved_by,
        ordered_at=command.at,
        braked=_times_braked(turn),
    )
