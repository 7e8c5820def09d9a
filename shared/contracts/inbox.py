"""The inbox: everything that can change an incident, one ordered log per partition.

Findings, observations and results concern one workload; a playbook, and a pause of everything, is written once into
every partition under one id, so that the log itself says what was in force at which offset.
"""

from enum import StrEnum
from typing import ClassVar

from shared.contracts.actions import Action
from shared.contracts.model import Message, Moment, Value
from shared.contracts.signals import NodeSignal, Signal, WorkloadSignal
from shared.contracts.workloads import WorkloadRef

EVERYBODY = "*"
"""The key of what concerns all workloads of a partition."""


class _Entry(Message):
    workload: WorkloadRef

    @property
    def key(self) -> str:
        """Return the key of the workload concerned."""
        return self.workload.key


class Finding(_Entry):
    """A rule's condition held on a signal.

    `workload` is what the rule groups by: the signal's own, or a node, a namespace or a group of them. `group` are the
    further facts by which it is counted apart.
    """

    TYPE: ClassVar[str] = "finding"

    rule: str
    playbook: str
    signal: Signal
    group: str = ""


class Observation(_Entry):
    """What a signal says about a rule beside its trouble: that it is over, that its partner came, that a cure shows.

    `part` names which part of the rule was asked, `holds` what the answer was.
    """

    TYPE: ClassVar[str] = "observation"

    rule: str
    playbook: str
    part: str
    holds: bool
    signal: Signal
    group: str = ""


class WakeUp(_Entry):
    """The moment that `decide` asked to be woken at has come."""

    TYPE: ClassVar[str] = "wakeup"

    due: Moment


class Outcome(StrEnum):
    """What became of a command."""

    APPLIED = "applied"
    DRY_RUN = "dry-run"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"


class EvidenceRef(Value):
    """Where a piece of evidence lies on its topic."""

    id: str
    partition: int
    offset: int


class Result(_Entry):
    """What became of a command, with the named reason; `changes` are the lines of a diff, before → after."""

    TYPE: ClassVar[str] = "result"

    command: str
    incident: str
    action: Action
    outcome: Outcome
    reason: str
    message: str = ""
    changes: tuple[str, ...] = ()
    token: int = 0
    evidence: EvidenceRef | None = None


class Approval(_Entry):
    """A person allows or rejects the step that an incident waits with."""

    TYPE: ClassVar[str] = "control.approval"

    incident: str
    step: int
    approved: bool
    by: str
    note: str = ""


class ManualAction(_Entry):
    """A person asks for an action on a workload; it takes the same way, and the same limits, as the playbook's."""

    TYPE: ClassVar[str] = "control.action"

    action: Action
    dry_run: bool
    by: str
    note: str = ""


class _Broadcast(Message):
    @property
    def key(self) -> str:
        """Return the key of what concerns everybody; a broadcast is sent to each partition by number."""
        return EVERYBODY


class Pause(_Broadcast):
    """Order nothing more until resumed; `cause` is shown wherever something did not happen because of it."""

    TYPE: ClassVar[str] = "control.pause"

    by: str
    cause: str = ""


class Resume(_Broadcast):
    """End a pause."""

    TYPE: ClassVar[str] = "control.resume"

    by: str


class PlaybookActivated(_Broadcast):
    """From here on this playbook is in force; `text` is all of it, so that a replay needs no other file."""

    TYPE: ClassVar[str] = "playbook.activated"

    hash: str
    text: str


WorkloadEntry = Finding | Observation | WorkloadSignal | NodeSignal | Result | Approval | ManualAction | WakeUp
Broadcast = Pause | Resume | PlaybookActivated
InboxEntry = WorkloadEntry | Broadcast
