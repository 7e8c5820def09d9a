"""A case tried: its inputs through the very `match` and `absorb` that run live.

Time is what the case says. A wake-up comes at the moment that was asked for; what is given at that moment comes first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.decider.core.absorbing import absorb
from services.decider.core.cases import Cases, CaseWords, GivenWords
from services.decider.core.casting import signal_of, workload_of
from services.decider.core.judging import Made, Verdict, judged, seconds
from services.decider.core.ladder import rung_of
from services.decider.core.matching import RuleIndex, index_rules, match
from services.decider.core.playbook import Playbook
from services.decider.core.state import PartitionState, WorkloadState
from services.decider.core.waking import Waking
from shared.contracts.commands import Command
from shared.contracts.inbox import (
    LONGEST_SILENCE,
    Approval,
    Broadcast,
    InboxEntry,
    Matchers,
    Outcome,
    Pause,
    Result,
    Resume,
    Silence,
    SilenceEnded,
)
from shared.contracts.incidents import Decision, Reason
from shared.contracts.signals import Signal
from shared.contracts.workloads import WorkloadRef
from shared.kernel.ids import derive

START = datetime(2026, 1, 1, tzinfo=UTC)
_AFTERWARDS = timedelta(hours=1)
"""How long a case goes on after its last input where it does not say until when."""
_TAKEN = frozenset({Reason.ESCALATED, Reason.WAITING, Reason.NOTIFIED, Reason.SHADOWED})
"""The reasons of decisions that take a rung without a command."""
_PREVIEWED = frozenset({Outcome.DRY_RUN, Outcome.REFUSED, Outcome.FAILED, Outcome.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Trial:
    """A case as it went; `taken` is what came into its inbox, and when."""

    case: CaseWords
    taken: Sequence[tuple[InboxEntry, datetime]]
    made: Sequence[Made]
    verdicts: Sequence[Verdict]
    signals: Sequence[Signal]

    @property
    def passed(self) -> bool:
        """Tell whether every expectation was met."""
        return all(verdict.met for verdict in self.verdicts)


@dataclass(slots=True)
class _Course:
    """One partition in which a case takes its course."""

    index: RuleIndex
    partition: PartitionState
    workloads: dict[str, WorkloadState] = field(default_factory=dict[str, WorkloadState])
    taken: list[tuple[InboxEntry, datetime]] = field(default_factory=list[tuple[InboxEntry, datetime]])
    made: list[Made] = field(default_factory=list[Made])
    commands: dict[str, Command] = field(default_factory=dict[str, Command])
    waking: Waking = field(default_factory=Waking)
    signals: list[Signal] = field(default_factory=list[Signal])

    def take(self, entry: InboxEntry, now: datetime) -> None:
        self.taken.append((entry, now))
        offset = self.partition.offset + 1
        before = self.workloads.get(entry.key, WorkloadState())
        absorbed = absorb(self.partition, before, entry, offset=offset, now=now)
        self.partition = absorbed.partition
        if absorbed.workload is not None:
            self.workloads[entry.key] = absorbed.workload
            self.waking.ask(entry.key, absorbed.workload.wake_at)
        commands = {output.id: output for output in absorbed.outputs if isinstance(output, Command)}
        self.commands |= commands
        for output in absorbed.outputs:
            if isinstance(output, Decision):
                self.made.append(Made(output, self._action_of(output), output.at - START))

    def let_pass(self, until: datetime, *, inclusive: bool) -> None:
        """Wake workloads at the moments that they asked for."""
        while (wake_up := self.waking.take_due(until, inclusive=inclusive)) is not None:
            self.take(wake_up, wake_up.at)

    def _action_of(self, decision: Decision) -> str:
        if decision.reason in _TAKEN:
            return self._rung_of(decision)
        command = self.commands.get(decision.command or "")
        return command.action.kind if command is not None else ""

    def _rung_of(self, decision: Decision) -> str:
        rule = self.partition.playbook.rules.get(decision.rule) if self.partition.playbook else None
        rung = rung_of(rule, decision.step) if rule is not None and decision.step is not None else None
        return rung.action if rung is not None else ""


def try_cases(cases: Cases, playbook: Playbook) -> list[Trial]:
    """Return how each case went, in the order of the file."""
    index = index_rules(playbook)
    return [_tried(cases, place, index=index, playbook=playbook) for place in range(len(cases.words.cases))]


def _tried(cases: Cases, place: int, *, index: RuleIndex, playbook: Playbook) -> Trial:
    case = cases.words.cases[place]
    course = _Course(index, PartitionState(playbook=playbook))
    impossible = [
        Verdict(case=case.name, mark=cases.place_of(place, "given", number), expected=what, actual=why, met=False)
        for number, given in enumerate(case.given)
        for what, why in _give(course, case, given, number=number)
    ]
    latest = case.given[-1].at
    course.let_pass(START + (case.until if case.until is not None else latest + _AFTERWARDS), inclusive=True)
    verdicts = [*impossible, *judged(cases, place, course.made)]
    return Trial(case, course.taken, course.made, verdicts, course.signals)


def _give(course: _Course, case: CaseWords, given: GivenWords, *, number: int) -> Iterator[tuple[str, str]]:
    """Hand an input over; yield what was to be and why it cannot, where nothing is there that it could be about."""
    now = START + given.at
    course.let_pass(now, inclusive=False)
    workload = workload_of(given.workload or case.workload, kind=given.signal or "")
    name = given.id or str(number)
    if given.signal is not None:
        seen = START + (given.seen if given.seen is not None else given.at)
        signal = signal_of(given.facts, kind=given.signal, workload=workload, seen=seen, name=name)
        course.signals.append(signal)
        for entry in match(course.index, signal):
            course.take(entry, now)
    elif given.control is not None:
        for control in list(_controls(course, given, name=name)):
            course.take(control, now)
    else:
        yield from _answer(course, given, workload=workload, name=name)


def _controls(course: _Course, given: GivenWords, *, name: str) -> Iterator[Broadcast]:
    now = START + given.at
    match given.control:
        case "pause":
            yield Pause(id=derive("pause", name), at=now, by="case")
        case "resume":
            yield Resume(id=derive("resume", name), at=now, by="case")
        case "silence":
            yield _silence(given, name=name, now=now)
        case _:
            for held in course.partition.silences:
                yield SilenceEnded(id=derive("silence-ended", held.id), at=now, silence=held.id, by="case")


def _silence(given: GivenWords, *, name: str, now: datetime) -> Silence:
    said = given.matchers.model_dump(exclude_unset=True) if given.matchers is not None else {}
    return Silence(
        id=derive("silence", name),
        at=now,
        by="case",
        cause=f"given {name}",
        matchers=Matchers.model_validate(said),
        expires_at=now + (given.lasts or LONGEST_SILENCE),
    )


def _answer(course: _Course, given: GivenWords, *, workload: WorkloadRef, name: str) -> Iterator[tuple[str, str]]:
    incident = course.workloads.get(workload.key, WorkloadState()).incident
    now = START + given.at
    if incident is None:
        yield f"an incident of {workload.key} at {seconds(given.at)}", "there is none"
    elif given.approval is not None:
        approved = given.approval == "granted"
        course.take(
            Approval(
                id=derive("approval", name),
                at=now,
                workload=workload,
                incident=incident.id,
                step=incident.step,
                approved=approved,
                by=given.by or "case",
            ),
            now,
        )
    elif (command := course.commands.get(incident.awaited_command or "")) is None:
        yield f"a command of {workload.key} without a result at {seconds(given.at)}", f"it is {incident.phase.value}"
    elif command.dry_run and given.result not in _PREVIEWED:
        yield f"a command that can be {given.result}", "it is a preview: its results are dry-run, refused or failed"
    else:
        course.take(_result(given, command, now=now), now)


def _result(given: GivenWords, command: Command, *, now: datetime) -> Result:
    outcome = given.result or Outcome.UNKNOWN
    return Result(
        id=derive("result", command.id),
        at=now,
        workload=command.workload,
        command=command.id,
        incident=command.incident,
        action=command.action,
        outcome=outcome,
        reason=given.because or outcome.value,
    )
