"""How an incident moves: a step is started, ordered, approved, proven or failed, and the incident ends."""

from datetime import datetime, timedelta

from services.decider.core.climbing import climb_on, is_another_than_shown, note_taken
from services.decider.core.foretelling import foretell
from services.decider.core.hindsight import forgo
from services.decider.core.holds import Hold
from services.decider.core.ladder import Handover, Notice, Plan, Wait
from services.decider.core.leaving import left_over
from services.decider.core.orders import RESULT_WITHIN, is_braked, order_action, order_preview, order_revert, settled
from services.decider.core.proving import proven_at
from services.decider.core.turn import Turn
from shared.contracts.actions import Action
from shared.contracts.approvals import Terms
from shared.contracts.inbox import EvidenceRef, Outcome, Result
from shared.contracts.incidents import Mode, Note, Phase, Reason, StepRecord
from shared.contracts.refusals import Refusal
from shared.contracts.reports import RcaRequest
from shared.kernel.durations import format_duration
from shared.kernel.ids import derive

PAUSE_POLL = timedelta(seconds=10)
HOLD_POLL = timedelta(minutes=1)
"""How soon an incident goes on after a silence was ended early; one that expires is waited for to the second."""
SHORTEST_BRAKE, LONGEST_BRAKE = timedelta(seconds=1), timedelta(hours=1)
"""How long one order is put off, whatever the remediator says: what it tells of a day ahead holds for no day."""
WAKE_EVERY = timedelta(milliseconds=100)
"""How often it is looked whether a moment has come at which time alone may change an incident."""
REMEMBERED = 64
"""How many ended incidents a workload remembers; a cooldown lies between those of one rule."""

_PUT_OFF = {Reason.BRAKED, Reason.STOPPED}
_ENDINGS = {
    Reason.LADDER_EXHAUSTED: "every rung was tried",
    Reason.RULE_UNKNOWN: "the playbook in force has no such rule any more",
    Reason.STEP_GONE: "the playbook in force has no such step any more",
}


def start_step(turn: Turn) -> None:
    """Begin the present step; one that holds nothing up, or cannot be taken, is passed by a named decision."""
    held = turn.hold
    if held is not None:
        _wait_for_end(turn, held)
        return
    turn.revise(suppressed_by="")
    while not _is_begun(turn):
        climb_on(turn)


def barred_by(turn: Turn) -> Reason | None:
    """Return why the present step may not act, although a person allows it: another playbook may be in force by now."""
    plan = Reason.PROTECTED if turn.protection else turn.plan
    if isinstance(plan, Reason):
        return plan
    if not isinstance(plan, Plan):
        return Reason.ESCALATED
    return Reason.MODE_OFF if plan.mode not in {Mode.APPROVAL, Mode.LIVE} else None


def is_as_shown(turn: Turn) -> bool:
    """Tell whether the step still has the action that was shown; that which a person asked for no playbook changes."""
    plan, shown = turn.plan, turn.incident.steps[-1]
    if turn.state.manual is not None or turn.state.previewed == turn.said != "":
        return True
    return isinstance(plan, Plan) and plan.action == shown.action


def terms_in_force(turn: Turn) -> Terms:
    """Return who may approve the present step by the playbook in force, which may be another than when it was asked."""
    plan = turn.plan
    return plan.terms if isinstance(plan, Plan) else Terms()


def fail_step(turn: Turn, reason: Reason, *, detail: str = "") -> None:
    """Say why the step failed; try it again, or begin the next."""
    turn.revise(reason=reason)
    turn.decide(reason, detail=detail)
    _try_again(turn)


def settle(turn: Turn, result: Result) -> None:
    """Take up what became of the command that the incident waits for."""
    *earlier, newest = turn.incident.steps
    record = settled(newest, result, now=turn.now, inverse=_inverse_of(turn, newest, result))
    turn.revise(steps=(*earlier, record), awaited_command=None)
    if _is_put_off(result):
        _put_off(turn, result)
        return
    explain(turn, result.evidence)
    if turn.incident.phase is Phase.ACTING:
        note_taken(turn)
    match turn.incident.phase:
        case Phase.PREVIEWING:
            _previewed(turn, result)
        case Phase.REVERTING:
            _reverted(turn, result)
        case _:
            _acted(turn, result)


def _inverse_of(turn: Turn, step: StepRecord, result: Result) -> Action | None:
    """Return what undoes a step: as it was known when it was ordered, or as the object told when it was changed."""
    plan = turn.plan
    is_told = result.outcome is Outcome.APPLIED and not step.reverts and isinstance(plan, Plan) and plan.is_undone
    return result.inverse if step.inverse is None and is_told else step.inverse


def end(turn: Turn, phase: Phase, reason: Reason, *, detail: str = "") -> None:
    """End the incident; its rule rests for its cooldown, and counts from nothing what it acted on."""
    turn.revise(phase=phase, reason=reason, closed_at=turn.now, deadline=None, awaited_command=None, suppressed_by="")
    incident, rule = turn.incident, turn.rule
    turn.decide(reason, detail=detail)
    explain(turn, None)
    tallies = left_over(turn)
    cooldowns = {name: until for name, until in turn.state.cooldowns.items() if until > turn.now}
    if rule is not None:
        cooldowns[incident.rule] = turn.now + rule.words.cooldown
    turn.remember(tallies=tallies, cooldowns=cooldowns, past=(*turn.state.past, incident.id)[-REMEMBERED:], proofs=())


def explain(turn: Turn, evidence: EvidenceRef | None) -> None:
    """Ask once an incident for its cause, when the evidence is at hand or when nothing more will come."""
    if turn.state.explained:
        return
    turn.remember(explained=True)
    incident = turn.incident
    turn.emit(
        RcaRequest(
            id=derive("rca", incident.id),
            at=turn.now,
            incident=incident,
            finding=turn.state.finding,
            evidence=evidence,
        )
    )


def judge(turn: Turn) -> None:
    """Let time pass: a cure may be proven by now, a deadline may be over."""
    proven, incident = proven_at(turn), turn.incident
    if proven is not None and turn.now >= proven:
        end(turn, Phase.HEALED, Reason.VERIFIED if incident.phase is Phase.VERIFYING else Reason.RECOVERED)
    elif incident.suppressed_by:
        start_step(turn)
    elif incident.deadline is not None and turn.now >= incident.deadline:
        _deadline_over(turn)


def wake_at(turn: Turn) -> datetime | None:
    """Return the next moment at which time alone may change the incident."""
    if turn.state.open_incident is None:
        return None
    look_again = turn.now + HOLD_POLL if turn.incident.suppressed_by else None
    moments = [moment for moment in (proven_at(turn), turn.incident.deadline, look_again) if moment is not None]
    return min(moments, default=None)


def _try_again(turn: Turn) -> None:
    """Try the step again after its back-off while it has attempts left, else begin the next."""
    plan, incident = _with_attempts_left(turn), turn.incident
    if plan is not None:
        delay = plan.backoff * 2 ** (incident.attempt - 1)
        turn.revise(phase=Phase.WAITING, attempt=incident.attempt + 1, deadline=turn.now + delay, awaited_command=None)
        return
    if turn.is_step_gone:
        end(turn, Phase.ESCALATED, Reason.STEP_GONE, detail=_ENDINGS[Reason.STEP_GONE])
        return
    climb_on(turn)
    start_step(turn)


def _with_attempts_left(turn: Turn) -> Plan | None:
    """Return the present step's plan if it may be tried once more."""
    plan = turn.plan
    return plan if isinstance(plan, Plan) and turn.incident.attempt < plan.attempts else None


def _is_begun(turn: Turn) -> bool:
    """Take the present step, and tell whether the incident stays at it; else it goes on at once."""
    plan = Reason.PROTECTED if turn.protection else turn.plan
    if turn.unmet and not isinstance(plan, Reason):
        turn.decide(Reason.STEP_NOT_MET, detail=turn.unmet)
        return False
    match plan:
        case Plan():
            return _is_action_begun(turn, plan)
        case Notice():
            _notify(turn, plan)
            return False
        case Wait():
            _wait(turn, plan)
        case Handover():
            end(turn, Phase.ESCALATED, Reason.ESCALATED, detail=plan.message or "the ladder hands it to a person")
        case Reason():
            end(turn, Phase.ESCALATED, plan, detail=_ending(turn, plan))
    return True


def _ending(turn: Turn, reason: Reason) -> str:
    return f"protected is {turn.protection}" if reason is Reason.PROTECTED else _ENDINGS[reason]


def _notify(turn: Turn, notice: Notice) -> None:
    incident = turn.incident
    note = Note(at=turn.now, step=incident.step, message=notice.message)
    turn.revise(reason=Reason.NOTIFIED, notes=(*incident.notes, note))
    turn.decide(Reason.NOTIFIED, detail=notice.message)


def _wait(turn: Turn, wait: Wait) -> None:
    turn.revise(phase=Phase.WAITING, reason=Reason.WAITING, deadline=turn.now + wait.length)
    turn.decide(Reason.WAITING, detail=format_duration(wait.length))


def _is_action_begun(turn: Turn, plan: Plan) -> bool:
    blocked = Reason.MODE_OFF if plan.mode is Mode.OFF else plan.action
    if isinstance(blocked, Reason):
        turn.decide(blocked)
        return False
    _begin(turn, plan, blocked)
    return True


def _wait_for_end(turn: Turn, held: Hold) -> None:
    """Wait for the end of what holds the step back: said once of each, not at every look."""
    incident = turn.incident
    if (incident.suppressed_by, incident.deadline) == (held.by, held.until):
        return
    if incident.suppressed_by != held.by:
        turn.suppress(held)
    turn.revise(phase=Phase.WAITING, reason=held.reason, deadline=held.until, suppressed_by=held.by)


def _begin(turn: Turn, plan: Plan, action: Action) -> None:
    if turn.world.paused is not None:
        _wait_for_resume(turn, phase=Phase.WAITING)
        return
    turn.revise(mode=plan.mode)
    if plan.mode is Mode.SHADOW:
        turn.decide(Reason.SHADOWED, detail=action.in_words())
        end(turn, Phase.CLOSED, Reason.SHADOW_DONE, detail="nothing was ordered")
        forgo(turn, action)
    elif plan.mode is Mode.LIVE:
        order_action(turn, action, inverse=plan.inverse)
    else:
        order_preview(turn, action, inverse=plan.inverse)


def _wait_for_resume(turn: Turn, *, phase: Phase) -> None:
    if turn.incident.reason is not Reason.PAUSED:  # said once, not at every look
        turn.decide(Reason.PAUSED, detail=turn.world.paused.cause if turn.world.paused else "")
    turn.revise(phase=phase, reason=Reason.PAUSED, deadline=turn.now + PAUSE_POLL)


def _is_put_off(result: Result) -> bool:
    return result.outcome is Outcome.REFUSED and result.retry_after is not None


def _put_off(turn: Turn, result: Result) -> None:
    """Wait with the same attempt: that the brake or a stop put it off is no failure of it."""
    wait = min(max(result.retry_after or SHORTEST_BRAKE, SHORTEST_BRAKE), LONGEST_BRAKE)
    reason = Reason.STOPPED if result.reason == Refusal.PAUSED.value else Reason.BRAKED
    turn.revise(phase=Phase.WAITING, reason=reason, deadline=turn.now + wait)
    turn.decide(reason, detail=_told(result), command=result.command)


def _is_approved(turn: Turn) -> bool:
    """Tell whether a person allowed what was put off; nobody is asked twice while nothing stands against it."""
    approved = turn.incident.mode is Mode.APPROVAL and is_braked(turn.incident.steps[-1])
    is_free = turn.world.paused is None and turn.hold is None and barred_by(turn) is None
    return approved and is_free and is_as_shown(turn)


def _previewed(turn: Turn, result: Result) -> None:
    plan = turn.plan
    if is_another_than_shown(turn):
        start_step(turn)
    elif result.outcome is not Outcome.DRY_RUN:
        fail_step(turn, Reason.PREVIEW_REFUSED, detail=f"{result.reason}: {result.message}")
    elif turn.incident.mode is Mode.APPROVAL and isinstance(plan, Plan):
        _await_approval(turn, result, plan)
    else:
        end(turn, Phase.CLOSED, Reason.DRY_RUN_DONE, detail="; ".join(filter(None, (*result.changes, result.message))))
        forgo(turn, result.action)


def _await_approval(turn: Turn, result: Result, plan: Plan) -> None:
    deadline = turn.now + plan.expires
    turn.revise(phase=Phase.AWAITING_APPROVAL, reason=Reason.APPROVAL_REQUIRED, deadline=deadline, approval=plan.terms)
    brake = f"; {result.message}" if result.message else ""
    turn.decide(Reason.APPROVAL_REQUIRED, detail=f"{result.action.in_words()}{brake}")
    foretell(turn, result)


def _acted(turn: Turn, result: Result) -> None:
    detail = _told(result)
    match result.outcome:
        case Outcome.APPLIED:
            _verify(turn, Reason.ACTION_APPLIED, detail)
        case Outcome.UNKNOWN:
            _verify(turn, Reason.ACTION_UNKNOWN, detail)
        case Outcome.DRY_RUN:
            end(turn, Phase.CLOSED, Reason.DRY_RUN_DONE, detail=detail)
            forgo(turn, result.action)
        case Outcome.REFUSED:
            fail_step(turn, Reason.ACTION_REFUSED, detail=detail)
        case Outcome.FAILED:
            _fell_short(turn, detail)


def _told(result: Result) -> str:
    return f"{result.reason}: {result.message}" if result.message else result.reason


def _verify(turn: Turn, reason: Reason, detail: str) -> None:
    plan = turn.plan
    within = plan.verify.within if isinstance(plan, Plan) else RESULT_WITHIN
    turn.revise(phase=Phase.VERIFYING, reason=reason, deadline=turn.now + within)
    turn.decide(reason, detail=detail)
    judge(turn)


def _fell_short(turn: Turn, detail: str) -> None:
    """Say that an action was begun and not ended: another attempt goes on with it, and after the last it is undone."""
    if _with_attempts_left(turn) is not None:
        fail_step(turn, Reason.ACTION_FAILED, detail=detail)
    else:
        _fail_and_undo(turn, Reason.ACTION_FAILED, detail=detail)


def _cure_failed(turn: Turn) -> None:
    """Say that the cure was not proven; it is undone before anything else is tried."""
    _fail_and_undo(turn, Reason.NOT_VERIFIED)


def _fail_and_undo(turn: Turn, reason: Reason, *, detail: str = "") -> None:
    if turn.incident.steps[-1].inverse is None:
        fail_step(turn, reason, detail=detail)
        return
    turn.revise(reason=reason)
    turn.decide(reason, detail=detail)
    _revert(turn)


def _revert(turn: Turn) -> None:
    """Undo the last action without asking a person; only a pause holds it, and a playbook that lets nothing act."""
    undone = turn.incident.steps[-1]
    barred = _bar_of_revert(turn)
    if barred is not None:
        end(turn, Phase.ESCALATED, barred, detail=f"not reverted: {undone.action.in_words()}")
    elif turn.world.paused is not None:
        _wait_for_resume(turn, phase=Phase.REVERTING)
    elif undone.inverse is not None:
        order_revert(turn, undone.inverse, reverts=undone.command)


def _bar_of_revert(turn: Turn) -> Reason | None:
    if turn.protection:
        return Reason.PROTECTED
    if turn.rule is None:
        return Reason.RULE_UNKNOWN
    return None if turn.mode in {Mode.APPROVAL, Mode.LIVE} else Reason.MODE_OFF


def _reverted(turn: Turn, result: Result) -> None:
    detail = _told(result)
    if result.outcome is not Outcome.APPLIED:
        end(turn, Phase.ESCALATED, Reason.REVERT_FAILED, detail=detail)
        return
    turn.revise(reason=Reason.REVERTED)
    turn.decide(Reason.REVERTED, detail=detail)
    _try_again(turn)


def _deadline_over(turn: Turn) -> None:
    match turn.incident.phase:
        case Phase.VERIFYING:
            _cure_failed(turn)
        case Phase.REVERTING if turn.incident.awaited_command is None:
            _revert(turn)
        case Phase.REVERTING:
            end(turn, Phase.ESCALATED, Reason.REVERT_FAILED, detail="what became of the command is not known")
        case Phase.AWAITING_APPROVAL:
            end(turn, Phase.ESCALATED, Reason.APPROVAL_EXPIRED)
        case Phase.PREVIEWING | Phase.ACTING:
            end(turn, Phase.ESCALATED, Reason.RESULT_MISSING, detail="what became of the command is not known")
        case _:
            _go_on(turn)


def _go_on(turn: Turn) -> None:
    """Begin what was waited with: the step after one that waits, else the present one."""
    if turn.incident.reason is Reason.WAITING:
        turn.decide(Reason.WAIT_OVER)
        climb_on(turn)
    if turn.incident.reason in _PUT_OFF and _is_approved(turn):
        put_off = turn.incident.steps[-1]
        order_action(turn, put_off.action, inverse=put_off.inverse, approved_by=put_off.approved_by)
        return
    start_step(turn)
