"""A case tried: its inputs through the very `match` and `absorb` that run live, and what it expects held against them.

Time is what the case says. A wake-up comes at the moment that was asked for; what is given at that moment comes first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.decider.core.absorbing import absorb
from services.decider.core.cases import Cases, CaseWords, ExpectWords, GivenWords
from services.decider.core.casting import signal_of, workload_of
from services.decider.core.faults import Mark
from services.decider.core.matching import RuleIndex, index_rules, match
from services.decider.core.playbook import Playbook
from services.decider.core.state import PartitionState, WorkloadState
from services.decider.core.steps import WAKE_EVERY
from shared.contracts.commands import Command
from shared.contracts.inbox import Approval, InboxEntry, Outcome, Pause, Result, Resume, WakeUp
from shared.contracts.incidents import Decision, Reason
from shared.contracts.workloads import WorkloadRef
from shared.kernel.ids import derive

START = datetime(2026, 1, 1, tzinfo=UTC)
_AFTERWARDS = timedelta(hours=1)
"""How long a case goes on after its last input where it does not say until when."""
_PREVIEWED = frozenset({Outcome.DRY_RUN, Outcome.REFUSED, Outcome.FAILED, Outcome.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Made:
    """A decision as it was made in a case; `action` is what it ordered, if it did."""

    decision: Decision
    action: str

    @property
    def since(self) -> timedelta:
        """Return how long after the case's beginning it was made."""
        return self.decision.at - START


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One expectation of a case, where it stands, and whether it was met; `actual` says what was there instead."""

    case: str
    mark: Mark
    expected: str
    actual: str
    met: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """A case as it went."""

    case: CaseWords
    made: Sequence[Made]
    verdicts: Sequence[Verdict]

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
    made: list[Made] = field(default_factory=list[Made])
    commands: dict[str, Command] = field(default_factory=dict[str, Command])
    woken: dict[str, datetime] = field(default_factory=dict[str, datetime])

    def take(self, entry: InboxEntry, now: datetime) -> None:
        offset = self.partition.offset + 1
        before = self.workloads.get(entry.key, WorkloadState())
        absorbed = absorb(self.partition, before, entry, offset=offset, now=now)
        self.partition = absorbed.partition
        if absorbed.workload is not None:
            self.workloads[entry.key] = absorbed.workload
        commands = {output.id: output for output in absorbed.outputs if isinstance(output, Command)}
        self.commands |= commands
        for output in absorbed.outputs:
            if isinstance(output, Decision):
                self.made.append(Made(output, self._action_of(output)))

    def let_pass(self, until: datetime, *, inclusive: bool) -> None:
        """Wake workloads at the moments that they asked for."""
        while (due := self._next_due()) is not None and (due[0] < until or (inclusive and due[0] == until)):
            moment, key, asked = due
            wake_up = WakeUp(
                id=derive("wakeup", key, asked.isoformat()), at=moment, workload=WorkloadRef.parse(key), due=asked
            )
            self.woken[key] = moment
            self.take(wake_up, moment)

    def _next_due(self) -> tuple[datetime, str, datetime] | None:
        asking = ((key, state.wake_at) for key, state in self.workloads.items())
        return min(((self._moment_of(key, at), key, at) for key, at in asking if at is not None), default=None)

    def _moment_of(self, key: str, asked: datetime) -> datetime:
        """Return when a wake-up comes: when it was asked for, or at the next look after one that changed nothing."""
        woken = self.woken.get(key)
        return asked if woken is None or asked > woken else woken + WAKE_EVERY

    def _action_of(self, decision: Decision) -> str:
        if decision.reason is Reason.ESCALATED:
            return "escalate"
        command = self.commands.get(decision.command or "")
        return command.action.kind if command is not None else ""


def try_cases(cases: Cases, playbook: Playbook) -> list[Trial]:
    """Return how each case went, in the order of the file."""
    index = index_rules(playbook)
    return [_tried(cases, place, index=index, playbook=playbook) for place in range(len(cases.words.cases))]


def words_of(expected: ExpectWords) -> str:
    """Return an expectation as a person writes it."""
    said = expected.model_dump(mode="json", exclude_unset=True)
    return " ".join(f"{name}={value}" for name, value in said.items() if value is not None)


def told(made: Made) -> str:
    """Return a decision in the words in which it can be expected."""
    decision = made.decision
    step = f" step={decision.step} attempt={decision.attempt}" if decision.step is not None else ""
    action = f" action={made.action}" if made.action else ""
    return f"reason={decision.reason.value} rule={decision.rule}{step}{action} at={_seconds(made.since)}"


def _seconds(length: timedelta) -> str:
    return f"{length.total_seconds():g}s"


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
    verdicts = [*impossible, *_in_order(cases, place, course.made), *_nowhere(cases, place, course.made)]
    return Trial(case, course.made, verdicts)


def _give(course: _Course, case: CaseWords, given: GivenWords, *, number: int) -> Iterator[tuple[str, str]]:
    """Hand an input over; yield what was to be and why it cannot, where nothing is there that it could be about."""
    now = START + given.at
    course.let_pass(now, inclusive=False)
    workload = workload_of(given.workload or case.workload, kind=given.signal or "")
    name = given.id or str(number)
    if given.signal is not None:
        seen = START + (given.seen if given.seen is not None else given.at)
        signal = signal_of(given.facts, kind=given.signal, workload=workload, seen=seen, name=name)
        for entry in match(course.index, signal):
            course.take(entry, now)
    elif given.control is not None:
        course.take(_control(given, name=name, now=now), now)
    else:
        yield from _answer(course, given, workload=workload, name=name)


def _control(given: GivenWords, *, name: str, now: datetime) -> Pause | Resume:
    if given.control == "pause":
        return Pause(id=derive("pause", name), at=now, by="case")
    return Resume(id=derive("resume", name), at=now, by="case")


def _answer(course: _Course, given: GivenWords, *, workload: WorkloadRef, name: str) -> Iterator[tuple[str, str]]:
    incident = course.workloads.get(workload.key, WorkloadState()).incident
    now = START + given.at
    if incident is None:
        yield f"an incident of {workload.key} at {_seconds(given.at)}", "there is none"
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
                by="case",
            ),
            now,
        )
    elif (command := course.commands.get(incident.awaited_command or "")) is None:
        yield f"a command of {workload.key} without a result at {_seconds(given.at)}", f"it is {incident.phase.value}"
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


def _in_order(cases: Cases, place: int, made: Sequence[Made]) -> Iterator[Verdict]:
    """Hold each expectation against the decisions that come after the one that met the expectation before."""
    case, begin = cases.words.cases[place], 0
    for number, expected in enumerate(case.expect):
        found = next((at for at in range(begin, len(made)) if _meets(made[at], expected)), None)
        rest = "; ".join(told(one) for one in made[begin:]) or "no further decision"
        yield Verdict(
            case=case.name,
            mark=cases.place_of(place, "expect", number),
            expected=words_of(expected),
            actual=rest if found is None else told(made[found]),
            met=found is not None,
        )
        begin = begin if found is None else found + 1


def _nowhere(cases: Cases, place: int, made: Sequence[Made]) -> Iterator[Verdict]:
    case = cases.words.cases[place]
    for number, unwanted in enumerate(case.expect_none):
        found = next((told(one) for one in made if _meets(one, unwanted)), None)
        yield Verdict(
            case=case.name,
            mark=cases.place_of(place, "expect_none", number),
            expected=f"none of {words_of(unwanted)}",
            actual=found or "none",
            met=found is None,
        )


def _meets(made: Made, expected: ExpectWords) -> bool:
    decision = made.decision
    wanted: list[tuple[object, object]] = [
        (expected.reason, decision.reason),
        (expected.rule, decision.rule),
        (expected.step, decision.step),
        (expected.attempt, decision.attempt),
        (expected.action, made.action),
        (expected.workload, decision.workload.key),
        (expected.at, made.since),
    ]
    says = expected.detail is None or expected.detail in decision.detail
    return says and all(want is None or want == found for want, found in wanted)
