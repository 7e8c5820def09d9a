"""`decide`: what an input means for one workload. A pure function; the inbox's order and times are all it knows."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from services.decider.core.climbing import realign
from services.decider.core.foretelling import compare, witness
from services.decider.core.hindsight import look_at, look_back, watch
from services.decider.core.opening import due_at, found, incident_id, incident_of, observed, open_due
from services.decider.core.orders import order_action
from services.decider.core.proving import is_done_by, is_shown_of
from services.decider.core.recounting import recount
from services.decider.core.state import Health, WorkloadState
from services.decider.core.steps import barred_by, end, is_as_shown, judge, settle, start_step, terms_in_force, wake_at
from services.decider.core.tallies import AHEAD
from services.decider.core.turn import Cause, Output, Turn, World
from services.decider.core.watching import is_cure
from shared.contracts.approvals import objection_to, told
from shared.contracts.commands import MANUAL
from shared.contracts.inbox import Approval, Finding, ManualAction, Observation, Result, WakeUp, WorkloadEntry
from shared.contracts.incidents import Phase, Reason
from shared.contracts.signals import HealthSignal, NodeSignal, WorkloadSignal

EARLY = timedelta(seconds=1)
"""How much earlier than its moment a wake-up may be stamped and still be one: clocks that are kept differ by less. One
that is earlier finds nothing to do, and is written again: no deadline runs by the clock of a decider."""


def decide(
    state: WorkloadState, entry: WorkloadEntry, *, world: World, offset: int, now: datetime
) -> tuple[WorkloadState, tuple[Output, ...]]:
    """Return the workload's new state and what follows from an entry; `now` is the entry's inbox timestamp."""
    moment, entry = moment_of(entry, now=now), _as_told(entry, now=now)
    turn = Turn(state, Cause(entry=entry.id, workload=entry.workload, offset=offset, now=moment), world)
    recount(turn)
    realign(turn)
    look_back(turn)  # first by what was known until now: a wake-up that is late changes nothing of it
    watch(turn, entry)
    witness(turn, entry)
    _take_up(turn, entry)
    compare(turn)
    look_back(turn)
    moments = [moment for moment in (wake_at(turn), due_at(turn), look_at(turn)) if moment is not None]
    return replace(turn.state, wake_at=min(moments, default=None)), turn.outputs()


def moment_of(entry: WorkloadEntry, *, now: datetime) -> datetime:
    """Return the moment of an entry by its inbox timestamp; a wake-up that is a little early counts as of its own."""
    return entry.due if isinstance(entry, WakeUp) and now < entry.due <= now + EARLY else now


def _as_told(entry: WorkloadEntry, *, now: datetime) -> WorkloadEntry:
    """Return an entry whose signal's clock is too far ahead as of when it came, or it would be the latest for long."""
    if isinstance(entry, Finding | Observation) and entry.at > now + AHEAD:
        return entry.model_copy(update={"at": now})
    return entry


def _take_up(turn: Turn, entry: WorkloadEntry) -> None:
    match entry:
        case Finding():
            found(turn, entry)
        case Observation():
            _observed(turn, entry)
        case WorkloadSignal() | NodeSignal():
            _health_told(turn, entry)
        case Result():
            _result_came(turn, entry)
        case Approval():
            _person_answered(turn, entry)
        case ManualAction():
            _person_acts(turn, entry)
        case WakeUp():
            _time_passed(turn)
        case _:
            assert_never(entry)


def _time_passed(turn: Turn) -> None:
    if turn.state.open_incident is not None:
        judge(turn)
    open_due(turn)


def _observed(turn: Turn, seen: Observation) -> None:
    if not is_cure(seen.part):
        observed(turn, seen)
    elif is_done_by(turn, seen) or is_shown_of(turn, seen):
        judge(turn)


def _health_told(turn: Turn, signal: HealthSignal) -> None:
    before = turn.state.health
    unchanged = before is not None and before.healthy == signal.healthy
    since = before.since if before is not None and unchanged else turn.now
    revision, available = (signal.revision, signal.available) if isinstance(signal, WorkloadSignal) else (0, None)
    known = Health(healthy=signal.healthy, since=since, at=turn.now, revision=revision, available=available)
    turn.remember(health=known)
    if signal.deleted:
        turn.remember(tallies={})
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
    elif approval.version not in {"", turn.incident.version}:
        turn.decide(Reason.APPROVAL_STALE, detail=f"by {approval.by}: another state was shown than there is by now")
    elif not approval.approved:
        end(turn, Phase.ESCALATED, Reason.APPROVAL_REJECTED, detail=f"by {approval.by}: {approval.note}")
    elif (objection := objection_to(approval.by, approval.roles, terms=terms_in_force(turn))) is not None:
        detail = f"by {approval.by}: {told(objection, terms=terms_in_force(turn))}"
        turn.decide(Reason(objection.value), detail=detail)
    else:
        _person_allowed(turn, approval)


def _person_allowed(turn: Turn, approval: Approval) -> None:
    """Order what a person was shown and may allow, if nothing stands against it by now."""
    if turn.world.paused is not None:
        turn.decide(Reason.PAUSED, detail=turn.world.paused.cause)
    elif (held := turn.hold) is not None:
        turn.suppress(held)
    elif (barred := barred_by(turn)) is not None:
        why = f": protected is {turn.protection}" if barred is Reason.PROTECTED else ""
        end(turn, Phase.ESCALATED, barred, detail=f"approved by {approval.by}, but the playbook in force says no{why}")
    elif not is_as_shown(turn):
        turn.decide(
            Reason.APPROVAL_OUTDATED, detail=f"by {approval.by}: the playbook in force has another action there"
        )
        start_step(turn)  # previewed anew: a person allows what that person saw, and nothing else
    else:
        turn.decide(Reason.APPROVAL_GRANTED, detail=f"by {approval.by}")
        shown = turn.incident.steps[-1]
        order_action(turn, shown.action, inverse=shown.inverse, approved_by=approval.by)


def _person_acts(turn: Turn, manual: ManualAction) -> None:
    if protection := turn.protection_of(None):
        turn.decide(Reason.PROTECTED, rule=MANUAL, detail=f"by {manual.by}: protected is {protection}")
        return
    if incident_id(manual.workload, rule=MANUAL, cause=manual.id) in turn.state.past:
        turn.decide(Reason.MANUAL_ACTION_REPEATED, rule=MANUAL, detail=f"by {manual.by}")
        return
    if turn.state.open_incident is not None:
        turn.decide(Reason.INCIDENT_ALREADY_OPEN, rule=MANUAL, detail=f"by {manual.by}")
        return
    incident = incident_of(turn, manual.workload, rule=MANUAL, cause=manual.id)
    summary = manual.note or f"asked for by {manual.by}"
    turn.begin(incident.model_copy(update={"summary": summary}), finding=None, found_at=None, manual=manual, climb=None)
    turn.decide(Reason.MANUAL_ACTION, detail=f"by {manual.by}")
    start_step(turn)
