"""Why something was decided, or nothing: what each rule made of a signal, what counted then, and what stopped it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.decider.core.clauses import fact_of
from services.decider.core.conditions import Condition, Facts
from services.decider.core.dissecting import parts_of
from services.decider.core.grouping import subject_of
from services.decider.core.playbook import Playbook
from services.decider.core.replaying import Taken
from services.decider.core.tallies import Tally, key_of, rule_of_key
from services.decider.core.watching import Tells, Watch, watches_of
from shared.contracts.inbox import Approval, Finding, InboxEntry, Observation, WakeUp
from shared.contracts.incidents import Decision, Incident, Reason
from shared.contracts.model import Moment
from shared.contracts.signals import NodeSignal, Signal, WorkloadSignal, facts_of

_AFTER_ASKING = frozenset(
    {
        Reason.STEP_NOT_MET,
        Reason.TARGET_UNSUITABLE,
        Reason.CAP_REACHED,
        Reason.SHADOWED,
        Reason.ACTION_ORDERED,
        Reason.PREVIEW_ORDERED,
        Reason.NOTIFIED,
        Reason.WAITING,
        Reason.ESCALATED,
    }
)
"""What is decided of a step once its condition was asked."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to a signal: what was wanted, what was found, and whether that is enough."""

    what: str
    wanted: str
    found: str
    met: bool
    parts: tuple["Asked", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a part of a rule made of a signal; `about` is what it would concern, empty where that is not told."""

    rule: str
    part: str
    tells: Tells
    asked: Sequence[Asked]
    met: bool
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A signal that counted at a moment, or (`until`) a time through which something held."""

    what: str
    at: Moment
    until: Moment | None = None
    signal: str = ""


@dataclass(frozen=True, slots=True)
class StepAsked:
    """The condition of a step, as it was asked of the finding that was acted on, and what it said."""

    step: int
    asked: Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of the inbox, what had been counted with it, what was decided, and what steps asked before."""

    partition: int
    offset: int
    at: Moment
    entry: InboxEntry
    counted: Sequence[Counted]
    decisions: Sequence[Decision]
    steps: Sequence[StepAsked]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalAccount:
    """A signal: the rules that looked at it, and what became of it in the inbox; `verdict` says it in one line."""

    signal: Signal
    playbook: Playbook | None
    looked: Sequence[Looked]
    others: int
    events: Sequence[Event]
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentAccount:
    """An incident: the signal that opened it (None where a person did), and each entry that concerned it."""

    incident: Incident
    opening: SignalAccount | None
    events: Sequence[Event]


def account_of_signal(signal: Signal, taken: Sequence[Taken], *, playbook: Playbook | None) -> SignalAccount:
    """Return what became of a signal; `taken` are its entries, `playbook` was in force when it was told."""
    rules = playbook.rules.values() if playbook is not None else ()
    watches = [watch for rule in rules for watch in watches_of(rule)]
    looked = [_looked(watch, signal) for watch in watches if watch.clause.kind == signal.kind]
    seeing = {one.rule for one in looked}
    events = [_event(one) for one in taken]
    return SignalAccount(
        signal=signal,
        playbook=playbook,
        looked=looked,
        others=len([rule for rule in rules if rule.name not in seeing]),
        events=events,
        verdict=_verdict(signal, looked, events, playbook=playbook),
    )


def account_of_incident(
    incident: Incident, taken: Sequence[Taken], *, opening: SignalAccount | None
) -> IncidentAccount:
    """Return an incident's story, entry by entry; `taken` are those that concerned it."""
    return IncidentAccount(incident=incident, opening=opening, events=[_event(one) for one in taken])


def signal_of(entry: InboxEntry) -> Signal | None:
    """Return the signal that an entry was made of; None where it was made of none."""
    match entry:
        case Finding() | Observation():
            return entry.signal
        case WorkloadSignal() | NodeSignal():
            return entry
        case _:
            return None


def decisions_of(taken: Taken) -> list[Decision]:
    """Return what was decided about an entry."""
    return [output for output in taken.absorbed.outputs if isinstance(output, Decision)]


def incident_in(taken: Taken, name: str) -> Incident | None:
    """Return an incident as an entry left it; None where the entry did not concern it, or another is open by then."""
    newest = taken.after.incident
    return newest if concerns(taken, name) and newest is not None and newest.id == name else None


def concerns(taken: Taken, name: str) -> bool:
    """Tell whether anything was decided at an entry about an incident, also long after its end."""
    return any(decision.incident == name for decision in decisions_of(taken))


def _looked(watch: Watch, signal: Signal) -> Looked:
    facts = Facts(signal.kind, facts_of(signal))
    subject = subject_of(watch.rule.words.by, signal, facts.values)
    return Looked(
        rule=watch.rule.name,
        part=watch.part,
        tells=watch.tells,
        asked=[*_facts_asked(watch, facts), *_condition_asked(watch, facts)],
        met=watch.clause.holds(facts),
        about=f"{subject.workload.key} {subject.group}".strip() if subject is not None else "",
    )


def _facts_asked(watch: Watch, facts: Facts) -> Iterator[Asked]:
    for name, allowed in watch.clause.where.items():
        found = fact_of(facts.values, name)
        yield Asked(name, str(allowed), "nothing" if found is None else _worded(found), found in allowed)


def _condition_asked(watch: Watch, facts: Facts) -> Iterator[Asked]:
    if watch.clause.condition is not None:
        yield _asked(watch.clause.condition, facts, kind=watch.clause.kind)


def _asked(condition: Condition, facts: Facts, *, kind: str) -> Asked:
    parts = tuple(_asked(part, facts, kind=kind) for part in parts_of(condition, kind=kind))
    answer = condition.answer(facts)
    found = answer if parts else _with_facts(answer, condition.facts, facts)
    return Asked(" ".join(condition.text.split()), "true", found, condition.holds(facts), parts)


def _with_facts(answer: str, names: Sequence[str], facts: Facts) -> str:
    told = ", ".join(f"{name} = {_worded(facts.values[name])}" for name in names)
    return f"{answer} ({told})" if told else answer


def _worded(found: object) -> str:
    return str(found).lower() if isinstance(found, bool) else repr(found) if isinstance(found, str) else str(found)


def _event(taken: Taken) -> Event:
    return Event(
        partition=taken.partition,
        offset=taken.offset,
        at=taken.moment,
        entry=taken.entry,
        counted=list(_counted(taken)),
        decisions=decisions_of(taken),
        steps=list(dict.fromkeys(_steps_asked(taken))),
    )


def _steps_asked(taken: Taken) -> Iterator[StepAsked]:
    """Yield what the steps asked that were passed or begun at an entry; what a person allowed is not asked again."""
    decisions = decisions_of(taken)
    if isinstance(taken.entry, Approval) and all(one.reason is not Reason.APPROVAL_OUTDATED for one in decisions):
        return
    for decision in decisions:
        finding = _acted_on(taken, decision) if decision.reason in _AFTER_ASKING else None
        rule = taken.world.playbook.rules.get(decision.rule) if taken.world.playbook is not None else None
        if finding is None or rule is None or decision.step is None or decision.step >= len(rule.rungs):
            continue
        condition = rule.rungs[decision.step].condition
        if condition is not None and not _is_approved(taken, decision):
            yield StepAsked(decision.step, _asked_of(finding.signal, condition, kind=rule.words.signal))


def _acted_on(taken: Taken, decision: Decision) -> Finding | None:
    """Return the finding that an incident acted on at an entry; None where two have begun since and it is not kept."""
    for state in (taken.after, taken.before):
        if state.incident is not None and state.incident.id == decision.incident:
            return state.finding
    return None


def _is_approved(taken: Taken, decision: Decision) -> bool:
    steps = taken.after.incident.steps if taken.after.incident is not None else ()
    return any(one.command == decision.command and one.approved_by for one in steps)


def _asked_of(signal: Signal, condition: Condition, *, kind: str) -> Asked:
    if signal.kind != kind:
        found = f"cannot be told: the latest finding is on a {signal.kind} signal"
        return Asked(" ".join(condition.text.split()), "true", found, met=False)
    return _asked(condition, Facts(kind, facts_of(signal)), kind=kind)


def _counted(taken: Taken) -> Iterator[Counted]:
    """Yield what the entry's rule had counted with it, or before it where the entry began the count anew."""
    for key in _keys_of(taken):
        yield from _in_tally(taken.after.tallies.get(key) or taken.before.tallies.get(key) or Tally())


def _keys_of(taken: Taken) -> list[str]:
    """Return the counts that an entry is about; of a wake-up those of the rules that decided something at it."""
    if isinstance(taken.entry, Finding | Observation):
        return [key_of(taken.entry.rule, taken.entry.group)]
    if not isinstance(taken.entry, WakeUp):
        return []
    rules = {decision.rule for decision in decisions_of(taken)}
    return sorted(key for key in taken.before.tallies if rule_of_key(key) in rules)


def _in_tally(tally: Tally) -> Iterator[Counted]:
    for hit in tally.hits:
        yield Counted(what=hit.value or "signal", at=hit.at, signal=hit.signal)
    for partner in tally.partners:
        yield Counted(what="partner", at=partner.at, signal=partner.signal)
    for held in tally.held:
        if held.since is not None:
            yield Counted(what=f"{held.object} holds", at=held.since, until=held.at)


def _verdict(signal: Signal, looked: Sequence[Looked], events: Sequence[Event], *, playbook: Playbook | None) -> str:
    decided = [decision for event in events for decision in event.decisions]
    if decided:
        last = decided[-1]
        about = f" ({last.incident})" if last.incident else ""
        return f"the last decision about it: {last.reason.value}{about}"
    if playbook is None:
        return "nothing was decided: no playbook was in force"
    if not looked:
        return f"nothing was decided: no rule of {playbook.words.metadata.name} looks at {signal.kind} signals"
    met = sorted({one.rule for one in looked if one.met})
    if not met:
        return "nothing was decided: no rule is met"
    if not any(isinstance(event.entry, Finding | Observation) for event in events):
        return f"met by {', '.join(met)}, but not in the inbox: not matched yet, or no longer kept"
    return "nothing was decided: what it says beside a rule's trouble was noted, and nothing waited for it"
