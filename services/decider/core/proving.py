"""When a cure is proven: by the workload's own health, or by the samples of a query."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.decider.core.grouping import object_of
from services.decider.core.ladder import Plan, Step, Wait
from services.decider.core.language import MOST_COUNTED
from services.decider.core.orders import RESULT_WITHIN
from services.decider.core.state import Health, Proof
from services.decider.core.tallies import FRESH
from services.decider.core.turn import Turn
from services.decider.core.watching import cure_of
from shared.contracts.actions.rung import Verify
from shared.contracts.inbox import Observation
from shared.contracts.incidents import Incident, Phase, Reason
from shared.contracts.signals import SampleSignal

_IN_FLIGHT = frozenset({Phase.PREVIEWING, Phase.ACTING, Phase.REVERTING})
"""The phases in which a command is under way, or held back by a pause: nothing is proven until it is settled."""
_DONE = "done"
"""The part of what tells that an action was done: it is a series of its own, under the command's id."""
STEADY = timedelta(minutes=10)
"""How long a workload must be healthy for the question to a person to be withdrawn: as long as a container must run for
the kubelet to forget its crashes (kubernetes.io, Pod lifecycle, restart policy). One that is killed again and again for
its memory is healthy in between, and nobody could answer as fast."""


def proven_at(turn: Turn) -> datetime | None:
    """Return when the present step's cure will be proven, if all stays as it is; None where it is not in sight.

    What was told before the action was ordered cannot prove it, and the proof begins anew at each finding.
    """
    plan = turn.plan
    if turn.incident.phase in _IN_FLIGHT:
        return None
    if isinstance(plan, Plan) and plan.verify.query:
        return turn.now if _is_shown(turn, plan.verify) else None
    return _healthy_long_enough_at(turn, plan)


def is_done_by(turn: Turn, seen: Observation) -> bool:
    """Note that a signal tells that what was ordered last was done, whichever rule listens; tell whether it does."""
    incident = turn.state.open_incident
    last = incident.steps[-1] if incident is not None and incident.steps else None
    if last is None or last.dry_run or _done_at(turn) is not None or not last.action.is_told_by(seen.signal):
        return False
    done = Proof(series=last.command, part=_DONE, playbook=seen.playbook, since=turn.now, at=turn.now)
    turn.remember(proofs=(*turn.state.proofs, done))
    return True


def is_shown_of(turn: Turn, seen: Observation) -> bool:
    """Note what a sample shows of the present step's cure; tell whether it is one of that, from after the order."""
    incident, moment = turn.state.open_incident, min(seen.at, turn.now)
    if incident is None or (incident.rule, cure_of(incident.step)) != (seen.rule, seen.part):
        return False
    if not isinstance(seen.signal, SampleSignal):
        return False
    if incident.steps and moment <= incident.steps[-1].ordered_at:
        return False
    turn.remember(proofs=with_sample(turn.state.proofs, seen, moment=moment))
    return True


def with_sample(proofs: Sequence[Proof], seen: Observation, *, moment: datetime) -> tuple[Proof, ...]:
    """Return what the series of a query show with one more sample."""
    series = object_of(seen.signal)
    others = [one for one in proofs if one.series != series]
    known = next((one for one in proofs if (one.series, one.part) == (series, seen.part)), None)
    newest = sorted([*others, _proof(known, seen, series=series, moment=moment)], key=lambda one: one.at)
    return tuple(newest[-MOST_COUNTED:])


def held_since(proofs: Sequence[Proof], *, now: datetime) -> tuple[datetime, datetime] | None:
    """Return since and until when every series that is still told has met the condition; None where one does not."""
    told = [one for one in proofs if now - one.at <= FRESH]
    held = [(one.since, one.at) for one in told if one.since is not None]
    if not held or len(held) < len(told):
        return None
    return max(since for since, _ in held), min(at for _, at in held)


def _is_shown(turn: Turn, verify: Verify) -> bool:
    """Tell whether every series that is still told has met the condition for long enough, all at the same time."""
    part = cure_of(turn.incident.step)
    asked = [one for one in turn.state.proofs if (one.part, one.playbook) == (part, turn.playbook_in_force)]
    held = held_since(asked, now=turn.now)
    if held is None:
        return False
    begun, at = held
    return at - max(begun, turn.state.found_at or begun) >= verify.healthy_for


def _proof(before: Proof | None, seen: Observation, *, series: str, moment: datetime) -> Proof:
    """Return what a series shows by now; after a silence nobody knows whether it held."""
    if before is not None and before.playbook != seen.playbook:
        before = None
    if before is not None and seen.holds and moment <= before.at:
        return before
    is_unbroken = before is not None and before.since is not None and moment - before.at <= FRESH
    since = (before.since if before is not None and is_unbroken else moment) if seen.holds else None
    at = moment if before is None else max(moment, before.at)
    return Proof(series=series, part=seen.part, playbook=seen.playbook, since=since, at=at)


def _healthy_long_enough_at(turn: Turn, plan: Step | Reason) -> datetime | None:
    health, incident = turn.state.health, turn.incident
    if health is None or not health.healthy:
        return None
    since = max(health.since, turn.state.found_at or health.since)
    if incident.phase is not Phase.VERIFYING:
        return since + _recovers_after(incident, plan) if _became_healthy_after_opening(health, incident) else None
    told = _told_at(turn, health)
    return max(since, told) + _healthy_for(plan) if told is not None else None


def _became_healthy_after_opening(health: Health, incident: Incident) -> bool:
    """Tell whether health knows of a recovery: a trouble that left it as it was, as an alert's, may well go on."""
    return health.since > incident.opened_at


def _recovers_after(incident: Incident, plan: Step | Reason) -> timedelta:
    if incident.phase is Phase.AWAITING_APPROVAL:
        return max(_healthy_for(plan), STEADY)
    return _healthy_for(plan)


def _told_at(turn: Turn, health: Health) -> datetime | None:
    """Return from when on health may prove the cure of what was ordered last; None where nothing tells of it yet.

    A workload that was well all along, and need not tell anything after an action, proves nothing by being told again:
    it must become well after the order, or a signal tell that the action was done.
    """
    if not turn.incident.steps:
        return None
    last = turn.incident.steps[-1]
    told = health.since if last.action.QUIET else health.at
    return last.ordered_at if told > last.ordered_at else _done_at(turn)


def _done_at(turn: Turn) -> datetime | None:
    """Return when it was told that what was ordered last was done; None where that was not."""
    steps = turn.incident.steps
    known = (one.since for one in turn.state.proofs if (one.part, one.series) == (_DONE, steps[-1].command))
    return next(known, None)


def _healthy_for(plan: Step | Reason) -> timedelta:
    match plan:
        case Plan():
            return plan.verify.healthy_for
        case Wait():
            return plan.healthy_for
        case _:
            return RESULT_WITHIN
