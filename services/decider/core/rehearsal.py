"""What another playbook would have done: a partition's log decided twice side by side, as it was and as it would be.

What did not happen is not made up. A result or a person's answer counts where the same incident came to the same
action; another one is not there. A workload that asks for the same moment as it did live is woken when it was live, at
another moment by itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.decider.core.absorbing import absorb
from services.decider.core.placing import Slot
from services.decider.core.playbook import Playbook
from services.decider.core.state import PartitionState, WorkloadState
from services.decider.core.waking import Waking
from shared.contracts.actions import Action
from shared.contracts.commands import Command
from shared.contracts.inbox import Approval, Finding, InboxEntry, Observation, Result, WakeUp
from shared.contracts.incidents import Decision, Phase
from shared.kernel.errors import PoisonError

IncidentKey = tuple[str, str, str]
"""What an incident is known by under any playbook: its workload, its rule, and what opened it."""
_Order = tuple[IncidentKey, int, int, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A decision by what it means under any playbook; `cause` is the input, `action` what it ordered, if it did."""

    decision: Decision
    cause: str
    incident: IncidentKey | None
    action: Action | None
    offset: int | None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Both courses of one partition."""

    before: Sequence[Chosen]
    after: Sequence[Chosen]


def rehearse(slots: Iterable[Slot], *, until: datetime, begin: tuple[Playbook, Playbook] | None = None) -> Rehearsal:
    """Return what was decided in a partition, and what would have been decided, until a moment.

    `begin` is what is in force on either side from the beginning on, where the log itself has lost that.
    """
    both = _Both()
    if begin is not None:
        live, supposed = (_Course(PartitionState(playbook=playbook)) for playbook in begin)
        both = _Both(live, supposed)
    for slot in slots:
        both.let_pass(slot.moment, inclusive=False)
        both.take(slot)
    both.let_pass(until, inclusive=True)
    return Rehearsal(both.live.chosen, both.supposed.chosen)


@dataclass(slots=True)
class _Course:
    """One course of a partition: its states, and what it chose."""

    _partition: PartitionState = field(default_factory=PartitionState)
    chosen: list[Chosen] = field(default_factory=list[Chosen])
    commands: dict[str, Command] = field(default_factory=dict[str, Command])
    incidents: dict[str, IncidentKey] = field(default_factory=dict[str, IncidentKey])
    names: dict[IncidentKey, str] = field(default_factory=dict[IncidentKey, str])
    orders: dict[_Order, Command] = field(default_factory=dict[_Order, Command])
    _workloads: dict[str, WorkloadState] = field(default_factory=dict[str, WorkloadState])
    _next: int = 0

    def state(self, key: str) -> WorkloadState:
        return self._workloads.get(key, WorkloadState())

    def take(self, entry: InboxEntry, *, now: datetime, offset: int | None) -> None:
        """Decide an entry; its offset is told where the log has it."""
        place = self._next if offset is None else offset
        self._next = place + 1
        try:
            absorbed = absorb(self._partition, self.state(entry.key), entry, offset=place, now=now)
        except PoisonError:
            return
        self._partition = absorbed.partition
        if absorbed.workload is not None:
            self._workloads[entry.key] = absorbed.workload
        ordered = {output.id: output for output in absorbed.outputs if isinstance(output, Command)}
        self.commands |= ordered
        for output in absorbed.outputs:
            if isinstance(output, Decision):
                self._note(output, ordered.get(output.command or ""), cause=cause_of(entry), offset=offset)

    def _note(self, decision: Decision, command: Command | None, *, cause: str, offset: int | None) -> None:
        incident = self._incident_of(decision)
        if command is not None and incident is not None:
            self.orders[_order_of(command, incident)] = command
        action = command.action if command is not None else None
        self.chosen.append(Chosen(decision=decision, cause=cause, incident=incident, action=action, offset=offset))

    def _incident_of(self, decision: Decision) -> IncidentKey | None:
        """Return what a decision's incident is known by; at the first about it, the workload knows what opened it."""
        if decision.incident is None:
            return None
        if decision.incident not in self.incidents:
            key = decision.workload.key
            known = key, decision.rule, _opening_of(self.state(key))
            self.incidents[decision.incident] = known
            self.names[known] = decision.incident
        return self.incidents[decision.incident]


@dataclass(slots=True)
class _Both:
    """The two courses side by side."""

    live: _Course = field(default_factory=_Course)
    supposed: _Course = field(default_factory=_Course)
    _waking: Waking = field(default_factory=Waking)

    def let_pass(self, until: datetime, *, inclusive: bool) -> None:
        """Wake workloads of the supposed course, where they do not ask for the same moment as they did live."""
        while (wake_up := self._waking.take_due(until, inclusive=inclusive)) is not None:
            self.supposed.take(wake_up, now=wake_up.at, offset=None)
            self._ask(wake_up.key)

    def take(self, slot: Slot) -> None:
        """Decide what lies at a place, on both sides."""
        entry = self._supposed(slot.supposed)
        logged = slot.logged.entry if slot.logged is not None else None
        if slot.logged is not None:
            self.live.take(slot.logged.entry, now=slot.moment, offset=slot.logged.offset)
        if entry is not None:
            self.supposed.take(entry, now=slot.moment, offset=None)
        for one in (entry, logged):
            if one is not None:
                self._ask(one.key)

    def _ask(self, key: str) -> None:
        moment = self.supposed.state(key).wake_at
        self._waking.ask(key, None if moment == self.live.state(key).wake_at else moment)

    def _supposed(self, entry: InboxEntry | None) -> InboxEntry | None:
        """Return what would have come at a place of the log; None for what answers to something that never was."""
        match entry:
            case WakeUp():
                asked = self.live.state(entry.key).wake_at
                return entry if asked == self.supposed.state(entry.key).wake_at else None
            case Result():
                return self._result(entry)
            case Approval():
                return self._approval(entry)
            case _:
                return entry

    def _result(self, result: Result) -> Result | None:
        command = self.live.commands.get(result.command)
        if command is None:
            return result  # of nobody: it is as little awaited here as there
        mine = self.supposed.orders.get(_order_of(command, self.live.incidents[command.incident]))
        if mine is None or mine.action != command.action:
            return None
        return result.model_copy(update={"command": mine.id, "incident": mine.incident})

    def _approval(self, approval: Approval) -> Approval | None:
        incident = self.live.incidents.get(approval.incident)
        if incident is None:
            return approval
        mine = self.supposed.names.get(incident)
        if mine is None:
            return None
        answered = approval.model_copy(update={"incident": mine, "version": ""})  # what was shown is compared below
        if _proposed(self.supposed, answered) != _proposed(self.live, approval):
            return None  # a person said yes to something else
        return answered


def _order_of(command: Command, incident: IncidentKey) -> _Order:
    """Return what a command is known by under any playbook."""
    return incident, command.step, command.attempt, command.dry_run


def cause_of(entry: InboxEntry) -> str:
    """Return what an entry is known by under any playbook; a finding's own id names the playbook."""
    match entry:
        case Finding():
            return f"{entry.rule} on {entry.signal.id}"
        case Observation():
            return f"{entry.rule}/{entry.part} on {entry.signal.id}"
        case _:
            return entry.id


def _opening_of(state: WorkloadState) -> str:
    """Return what the incident that has just begun was opened by, also where only time was lacking."""
    opening = state.manual or state.finding
    return cause_of(opening) if opening is not None else ""


def _proposed(course: _Course, approval: Approval) -> Action | None:
    """Return what a person was shown of the incident that an approval is about; None where nothing is asked."""
    incident = course.state(approval.key).open_incident
    if incident is None or incident.id != approval.incident or incident.phase is not Phase.AWAITING_APPROVAL:
        return None
    if approval.version not in {"", incident.version}:
        return None
    return incident.steps[-1].action
