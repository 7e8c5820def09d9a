"""Why something was decided, as it is shown: lines for people, JSON for programs."""

from collections.abc import Iterable, Iterator, Mapping

from services.decider.core.inquiry import (
    Asked,
    Counted,
    Event,
    IncidentAccount,
    Looked,
    SignalAccount,
    account_of_signal,
)
from services.decider.core.playbook import Playbook
from services.decider.core.trial import Trial
from services.decider.core.watching import HELD, TROUBLE
from shared.contracts.incidents import Decision, Reason
from shared.contracts.model import JsonObject, JsonValue

GUARDS: Mapping[Reason, str] = {
    Reason.RULE_UNKNOWN: "the playbook in force has no such rule",
    Reason.MODE_OFF: "the rule, or the rung, is off",
    Reason.PROTECTED: "its namespace, or a label that it shows, is protected",
    Reason.FINDING_OUTDATED: "only the rule's former words say this of the signal",
    Reason.STALE_FINDING: "it is not newer than the end of the newest incident, or has opened one already",
    Reason.REPEATED_FINDING: "the rule's incident is open; the proof of its cure begins anew",
    Reason.WINDOW_NOT_REACHED: "the window asks for more",
    Reason.HELD_TOO_SHORT: "it has not held for long enough yet",
    Reason.NO_LONGER_HELD: "it holds no more",
    Reason.NOT_PRECEDED: "what it is to follow did not come before",
    Reason.STILL_AWAITED: "what is to stay away may still come in time",
    Reason.CAME_IN_TIME: "what was to stay away came in time",
    Reason.COOLDOWN: "the rule rests after its last incident",
    Reason.INCIDENT_ALREADY_OPEN: "another incident of the workload is open",
    Reason.PAUSED: "all is paused",
    Reason.BRAKED: "the storm brake put it off",
    Reason.STOPPED: "somebody has stopped all writes, or those to its part of the cluster",
    Reason.TARGET_UNSUITABLE: "the action has no target in what was found",
    Reason.CAP_REACHED: "the limit is at its cap",
    Reason.STEP_GONE: "the playbook in force has no such step any more",
    Reason.STEP_NOT_MET: "the rung's own condition does not hold",
    Reason.RESULT_MISSING: "no result came in time",
    Reason.RESULT_NOT_AWAITED: "nothing waits for this result",
    Reason.APPROVAL_NOT_AWAITED: "nothing waits for this answer",
    Reason.APPROVAL_STALE: "the person was shown another state",
    Reason.APPROVAL_OUTDATED: "the playbook in force has another action there by now, which is previewed instead",
    Reason.APPROVER_NOT_NAMED: "the playbook names others who may approve it",
    Reason.APPROVER_ASKED_FOR_IT: "it takes another person than the one who asked for it",
    Reason.APPROVAL_EXPIRED: "nobody answered in time",
}
"""What stops, and why, in a few words; other reasons lead on."""


def lines_of_signal(account: SignalAccount) -> Iterator[str]:
    """Yield what became of a signal, line by line."""
    yield from _rules_lines(account)
    yield from _event_lines(account.events)
    yield account.verdict


def lines_of_incident(account: IncidentAccount) -> Iterator[str]:
    """Yield the story of an incident, line by line: what opened it, and each entry that concerned it."""
    incident = account.incident
    yield f"incident {incident.id}: rule {incident.rule} on {incident.workload.key}"
    if account.opening is not None:
        yield from _rules_lines(account.opening)
    yield from _event_lines(account.events)
    yield f"it stands at: {incident.phase.value} by {incident.reason.value}"


def lines_of_unmet(trial: Trial, playbook: Playbook) -> Iterator[str]:
    """Yield why the rules that a case expects something of were met by none of its signals."""
    looked = [one for signal in trial.signals for one in account_of_signal(signal, (), playbook=playbook).looked]
    for rule in dict.fromkeys(expected.rule for expected in trial.case.expect if expected.rule):
        own = [one for one in looked if one.rule == rule and one.part in {TROUBLE, HELD}]
        if not own:
            yield f"rule {rule} looks at {playbook.rules[rule].words.signal} signals; the case gives none"
        elif not any(one.met for one in own):
            unmet = (next((asked for asked in one.asked if not asked.met), None) for one in own)
            lines = (line for asked in unmet if asked is not None for line in _asked_lines(asked, indent=""))
            yield f"rule {rule} is met by no signal: {'; '.join(dict.fromkeys(lines))}"


def document_of_signal(account: SignalAccount) -> JsonObject:
    """Return what became of a signal, for programs."""
    return {
        "signal": account.signal.model_dump(mode="json"),
        "playbook": account.playbook.hash if account.playbook else None,
        "rules": [_looked_words(one) for one in account.looked],
        "rules_of_other_kinds": account.others,
        "entries": [_event_words(one) for one in account.events],
        "verdict": account.verdict,
    }


def document_of_incident(account: IncidentAccount) -> JsonObject:
    """Return the story of an incident, for programs."""
    return {
        "incident": account.incident.model_dump(mode="json"),
        "opening": document_of_signal(account.opening) if account.opening is not None else None,
        "entries": [_event_words(one) for one in account.events],
    }


def _rules_lines(account: SignalAccount) -> Iterator[str]:
    signal, playbook = account.signal, account.playbook
    yield f"signal {signal.id}: {signal.kind} of {signal.workload.key}, {signal.at.isoformat()}"
    yield f"playbook in force: {f'{playbook.words.metadata.name} {playbook.hash}' if playbook else 'none'}"
    for looked in account.looked:
        yield from _looked_lines(looked)
    if account.others:
        yield f"{account.others} rules look at other kinds of signals"


def _looked_lines(looked: Looked) -> Iterator[str]:
    part = "" if looked.part == TROUBLE else f", {looked.part}"
    lacking = "" if looked.about else "; it lacks a fact that the rule groups by"
    yield f"rule {looked.rule}{part}: {'met' if looked.met else 'not met'}{lacking}"
    for asked in looked.asked:
        yield from _asked_lines(asked, indent="  ")


def _asked_lines(asked: Asked, *, indent: str) -> Iterator[str]:
    if asked.wanted == "true":
        yield f"{indent}{asked.what}: {asked.found}"
    else:
        yield f"{indent}{asked.what} is {asked.wanted}: {'yes' if asked.met else f'no, {asked.found}'}"
    for part in asked.parts:
        yield from _asked_lines(part, indent=f"{indent}  ")


def _event_lines(events: Iterable[Event]) -> Iterator[str]:
    for event in events:
        place = f"{event.partition}:{event.offset} {event.at.isoformat(timespec='milliseconds')}"
        yield f"inbox {place} {event.entry.TYPE} {event.entry.id}"
        yield from (f"  {_decision_line(decision)}" for decision in event.decisions)
        for one in event.steps:
            yield f"  asked by step {one.step}:"
            yield from _asked_lines(one.asked, indent="    ")
        yield from (f"  counted: {_counted_line(one)}" for one in event.counted)


def _decision_line(decision: Decision) -> str:
    rule = f"{decision.rule}: " if decision.rule else ""
    detail = f" ({decision.detail})" if decision.detail else ""
    guard = f": {GUARDS[decision.reason]}" if decision.reason in GUARDS else ""
    return f"{rule}{decision.reason.value}{detail}{guard}"


def _counted_line(one: Counted) -> str:
    until = f" until {one.until.isoformat()}" if one.until is not None else ""
    return f"{one.what} {one.signal} {one.at.isoformat()}{until}".replace("  ", " ")


def _looked_words(looked: Looked) -> JsonObject:
    return {
        "rule": looked.rule,
        "part": looked.part,
        "met": looked.met,
        "about": looked.about,
        "asked": [_asked_words(asked) for asked in looked.asked],
    }


def _asked_words(asked: Asked) -> JsonValue:
    parts: list[JsonValue] = [_asked_words(part) for part in asked.parts]
    return {"what": asked.what, "wanted": asked.wanted, "found": asked.found, "met": asked.met, "parts": parts}


def _event_words(event: Event) -> JsonObject:
    return {
        "partition": event.partition,
        "offset": event.offset,
        "at": event.at.isoformat(),
        "type": event.entry.TYPE,
        "id": event.entry.id,
        "counted": [_counted_words(one) for one in event.counted],
        "decisions": [_decision_words(decision) for decision in event.decisions],
        "steps": [{"step": one.step, "asked": _asked_words(one.asked)} for one in event.steps],
    }


def _decision_words(decision: Decision) -> JsonValue:
    return {**decision.model_dump(mode="json"), "guard": GUARDS.get(decision.reason)}


def _counted_words(one: Counted) -> JsonObject:
    return {
        "what": one.what,
        "signal": one.signal,
        "at": one.at.isoformat(),
        "until": one.until.isoformat() if one.until is not None else None,
    }
