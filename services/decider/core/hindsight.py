"""Hindsight: what came without an action that a rule's mode kept from being ordered, as far as the inbox tells."""

from dataclasses import replace
from datetime import datetime

from services.decider.core.ladder import Plan
from services.decider.core.proving import held_since, with_sample
from services.decider.core.state import Forgone, Health
from services.decider.core.turn import Turn
from services.decider.core.watching import cure_of
from shared.contracts.actions import Action
from shared.contracts.inbox import Finding, Observation, Outcome, Result, WorkloadEntry
from shared.contracts.incidents import Incident, Phase, Reason
from shared.contracts.signals import NodeSignal, WorkloadSignal
from shared.kernel.durations import format_duration

MOST_FORGONE = 32
"""How many forgone actions of one workload are watched at a time; of the oldest beyond them nothing more is told."""
_IN_DOUBT = frozenset({Reason.ACTION_ORDERED, Reason.REVERT_ORDERED, Reason.RESULT_MISSING})
"""Where an incident stands by these, it is not known whether something was done to the workload."""


def forgo(turn: Turn, action: Action) -> None:
    """Watch what comes without an action that a rule's incident has just ended with."""
    plan = turn.plan
    if turn.state.manual is not None or not isinstance(plan, Plan):
        return
    *oldest, last = (*turn.state.forgone, _forgone(turn, action, plan))
    for one in oldest[: 1 - MOST_FORGONE]:
        turn.decide_about(one, Reason.UNTOLD, detail=f"{one.action.in_words()}: too much is watched by now")
    turn.remember(forgone=(*oldest[1 - MOST_FORGONE :], last))


def watch(turn: Turn, entry: WorkloadEntry) -> None:
    """Take up what an entry tells about what is watched."""
    for one in turn.state.forgone:
        match entry:
            case Finding():
                _found(turn, one, entry)
            case Observation():
                _shown(turn, one, entry)
            case Result():
                _acted(turn, one, entry)
            case WorkloadSignal() | NodeSignal() if entry.deleted:
                _tell(turn, one, Reason.UNTOLD, because=f"the {entry.object.kind} was deleted")
            case _:
                pass


def look_back(turn: Turn) -> None:
    """Tell of what is watched what is known by now."""
    for one in turn.state.forgone:
        healed_at = _healed_at(turn, one)
        if healed_at is not None and healed_at <= min(turn.now, one.until):
            _tell_of_healed(turn, one)
        elif turn.now >= one.until:
            _tell_of_end(turn, one)


def look_at(turn: Turn) -> datetime | None:
    """Return the next moment at which time alone may tell something of what is watched."""
    moments = (min(one.until, _healed_at(turn, one) or one.until) for one in turn.state.forgone)
    return min(moments, default=None)


def _forgone(turn: Turn, action: Action, plan: Plan) -> Forgone:
    incident, health, verify = turn.incident, turn.state.health, plan.verify
    return Forgone(
        incident=incident.id,
        rule=incident.rule,
        step=incident.step,
        attempt=incident.attempt,
        playbook=turn.playbook_in_force,
        action=action,
        healthy_for=verify.healthy_for,
        part=cure_of(incident.step) if verify.query else "",
        at=turn.now,
        until=turn.now + verify.within,
        found_at=turn.state.found_at or turn.now,
        latest=turn.now,
        revision=health.revision if health is not None else 0,
        opened_at=incident.opened_at,
    )


def _found(turn: Turn, one: Forgone, finding: Finding) -> None:
    """Begin the proof anew at a finding that is newer than all known; one that is written twice is no second."""
    if finding.rule == one.rule and finding.at > one.latest:
        _revise(turn, one, replace(one, found_at=turn.now, latest=finding.at))


def _shown(turn: Turn, one: Forgone, seen: Observation) -> None:
    if (seen.rule, seen.part, seen.playbook) != (one.rule, one.part, one.playbook):
        return
    proofs = with_sample(one.proofs, seen, moment=min(seen.at, turn.now))
    held = held_since(proofs, now=turn.now)
    if held is not None and held[1] - max(held[0], one.found_at) >= one.healthy_for:
        _tell_of_healed(turn, one)
    else:
        _revise(turn, one, replace(one, proofs=proofs))


def _acted(turn: Turn, one: Forgone, result: Result) -> None:
    """Take up what another incident's action has come to: it is not by itself that the workload heals after it."""
    incident = turn.state.open_incident
    if incident is None or incident.phase is not Phase.ACTING or incident.awaited_command != result.command:
        return
    whose = f"by {turn.state.manual.by}" if turn.state.manual is not None else f"by rule {incident.rule}"
    what = f"{result.action.in_words()} {whose}"
    if result.outcome is Outcome.APPLIED:
        is_same = result.action.kind == one.action.kind
        _tell(turn, one, Reason.CONFIRMED if is_same else Reason.DIFFERED, because=what)
    elif result.outcome is Outcome.UNKNOWN:
        _tell(turn, one, Reason.UNTOLD, because=f"what became of {what} is not known")


def _healed_at(turn: Turn, one: Forgone) -> datetime | None:
    """Return when health will show that the workload healed, if all stays as it is; samples show it as they come."""
    health = turn.state.health
    if one.part or health is None or not health.healthy or _was_well_throughout(health, one):
        return None
    return max(health.since, one.found_at) + one.healthy_for


def _was_well_throughout(health: Health, one: Forgone) -> bool:
    """Tell whether health never saw the trouble, as that of an alert, so that it cannot tell of its end either."""
    return health.healthy and one.opened_at is not None and health.since <= one.opened_at


def _tell_of_healed(turn: Turn, one: Forgone) -> None:
    doubt = _doubt(turn, one)
    if doubt:
        _tell(turn, one, Reason.UNTOLD, because=f"it healed, but {doubt}")
    else:
        _tell(turn, one, Reason.NEEDLESS, because=f"it healed without, for {format_duration(one.healthy_for)}")


def _doubt(turn: Turn, one: Forgone) -> str:
    """Return why nobody knows whether it healed by itself; empty where nothing speaks against it."""
    health, incident = turn.state.health, turn.state.incident
    if incident is not None and _is_in_doubt(incident, one):
        return "what became of a command about it is not known"
    if one.revision and health is not None and health.revision not in {0, one.revision}:
        return f"its template was changed meanwhile (revision {one.revision}, then {health.revision})"
    return ""


def _is_in_doubt(incident: Incident, one: Forgone) -> bool:
    return incident.reason in _IN_DOUBT and incident.at >= one.at


def _tell_of_end(turn: Turn, one: Forgone) -> None:
    within = format_duration(one.until - one.at)
    if _is_told_of(turn, one):
        _tell(turn, one, Reason.MISSED, because=f"it had not healed within {within}")
    else:
        _tell(turn, one, Reason.UNTOLD, because=f"nothing told of its health within {within}")


def _is_told_of(turn: Turn, one: Forgone) -> bool:
    """Tell whether anything speaks of how the workload is, so that not to have healed says something."""
    is_found_again, health = one.latest > one.at, turn.state.health
    if one.part:
        return is_found_again or bool(one.proofs)
    return is_found_again or (health is not None and not _was_well_throughout(health, one))


def _tell(turn: Turn, one: Forgone, reason: Reason, *, because: str) -> None:
    turn.decide_about(one, reason, detail=f"{one.action.in_words()}: {because}")
    turn.remember(forgone=tuple(other for other in turn.state.forgone if other is not one))


def _revise(turn: Turn, before: Forgone, after: Forgone) -> None:
    turn.remember(forgone=tuple(after if one is before else one for one in turn.state.forgone))
