"""Predictions held against what happened: how few were available while a previewed action was carried out."""

from dataclasses import replace

from services.decider.core.state import Foretold
from services.decider.core.turn import Turn
from shared.contracts.inbox import Outcome, Result, WorkloadEntry
from shared.contracts.incidents import Incident, Phase, Reason
from shared.contracts.signals import WorkloadSignal

_UNDER_WAY = frozenset({Phase.ACTING, Phase.VERIFYING})
_TO_COME = _UNDER_WAY | {Phase.AWAITING_APPROVAL, Phase.WAITING}


def foretell(turn: Turn, preview: Result) -> None:
    """Remember what a rule's preview predicts, in place of an earlier one; what replaces no pod says nothing."""
    incident, prediction = turn.incident, preview.prediction
    if turn.state.manual is not None or prediction is None or not prediction.replaced:
        turn.remember(foretold=None)
        return
    turn.remember(
        foretold=Foretold(
            incident=incident.id,
            rule=incident.rule,
            step=incident.step,
            attempt=incident.attempt,
            action=preview.action,
            lowest=prediction.lowest,
        )
    )


def witness(turn: Turn, entry: WorkloadEntry) -> None:
    """Note how few are available by now, while the action is under way."""
    known, health = turn.state.foretold, turn.state.health
    if known is None or not isinstance(entry, WorkloadSignal) or not _is_at(turn.state.incident, known, _UNDER_WAY):
        return
    before = health.available if health is not None and health.available is not None else known.lowest
    bound = known.bound if known.bound is not None else min(known.lowest, before)
    seen = entry.available if known.seen is None else min(known.seen, entry.available)
    turn.remember(foretold=replace(known, bound=bound, seen=seen))


def compare(turn: Turn) -> None:
    """Tell, once the step is over, whether what was predicted held; nothing of what was not carried out."""
    known, incident = turn.state.foretold, turn.state.incident
    if known is None or _is_at(incident, known, _TO_COME):
        return
    turn.remember(foretold=None)
    if incident is None or not _is_applied(incident, known) or known.seen is None or known.bound is None:
        return
    reason = Reason.PREDICTION_HELD if known.seen >= known.bound else Reason.PREDICTION_NOT_HELD
    told = f"lowest available: {known.bound} predicted, {known.seen} seen"
    turn.decide_about(known, reason, detail=f"{known.action.in_words()}: {told}")


def _is_at(incident: Incident | None, known: Foretold, phases: frozenset[Phase]) -> bool:
    """Tell whether the incident stands at what was predicted of, in one of some phases."""
    if incident is None or incident.phase not in phases:
        return False
    return (incident.id, incident.step, incident.attempt) == (known.incident, known.step, known.attempt)


def _is_applied(incident: Incident, known: Foretold) -> bool:
    return incident.id == known.incident and any(
        (one.step, one.attempt, one.outcome) == (known.step, known.attempt, Outcome.APPLIED) and not one.reverts
        for one in incident.steps
    )
