"""Incidents and decisions: what is wrong with a workload, and what was chosen about it, by named reasons."""

from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from shared.contracts.actions import Action
from shared.contracts.approvals import Terms
from shared.contracts.inbox import EvidenceRef, Outcome
from shared.contracts.model import Message, Moment, Value
from shared.contracts.modes import Mode
from shared.contracts.reasons import Reason
from shared.contracts.workloads import WorkloadRef
from shared.kernel.ids import derive


class Severity(StrEnum):
    """How urgent an incident is to a person."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def urgency(self) -> int:
        """Return 0 for `info`, growing with severity."""
        return (Severity.INFO, Severity.WARNING, Severity.CRITICAL).index(self)


class Phase(StrEnum):
    """Where an incident stands.

    previewing → awaiting-approval → acting → verifying → healed, with `waiting` for what may be tried again later, and
    `reverting` where a cure is not proven and is undone;
    `escalated` and `closed` (nothing left to do, not known to be healed) end it as well.
    """

    PREVIEWING = "previewing"
    AWAITING_APPROVAL = "awaiting-approval"
    ACTING = "acting"
    VERIFYING = "verifying"
    REVERTING = "reverting"
    WAITING = "waiting"
    HEALED = "healed"
    ESCALATED = "escalated"
    CLOSED = "closed"

    @property
    def is_final(self) -> bool:
        """Tell whether nothing can change the incident any more."""
        return self in {Phase.HEALED, Phase.ESCALATED, Phase.CLOSED}


class Note(Value):
    """What the ladder told people on its way."""

    at: Moment
    step: int
    message: str


class StepRecord(Value):
    """One rung of the ladder as it was taken.

    `inverse` undoes its action where that is wanted if the cure is not proven; `reverts` is the command that this
    record's own action undoes. `approved_by` is the person who allowed it, where one was asked. `braked` counts how
    often the brake, or a stop, had put it off before this order of it.
    """

    step: int
    attempt: int
    action: Action
    inverse: Action | None = None
    reverts: str = ""
    command: str
    dry_run: bool
    approved_by: str = ""
    ordered_at: Moment
    braked: int = 0
    outcome: Outcome | None = None
    reason: str = ""
    message: str = ""
    changes: tuple[str, ...] = ()
    finished_at: Moment | None = None
    evidence: EvidenceRef | None = None
    retry_after: timedelta | None = None


class Incident(Message):
    """The state of one incident; published whole at each change, compacted by its id.

    `owner`, `runbook` and `labels` are what its rule said of it when it was opened. `suppressed_by` is what has to end
    before its next step. `approval` says who may approve the step that it waits, or last waited, with.
    """

    TYPE: ClassVar[str] = "incident"

    workload: WorkloadRef
    rule: str
    playbook: str
    severity: Severity
    mode: Mode
    summary: str
    owner: str = ""
    runbook: str = ""
    labels: dict[str, str] = Field(default_factory=dict[str, str])
    phase: Phase
    reason: Reason
    step: int = 0
    attempt: int = 1
    findings: int = 1
    other_rules: tuple[str, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    notes: tuple[Note, ...] = ()
    signal_at: Moment
    opened_at: Moment
    closed_at: Moment | None = None
    deadline: Moment | None = None
    healthy_since: Moment | None = None
    awaited_command: str | None = None
    suppressed_by: str = ""
    approval: Terms | None = None

    @property
    def key(self) -> str:
        """Return the incident's id."""
        return self.id

    @property
    def version(self) -> str:
        """Return a name of the state that a person answers to: another once anything is different that was shown."""
        shown = self.steps[-1].model_dump_json() if self.steps else ""
        return derive("state", self.id, self.phase.value, self.step, self.attempt, shown)


class Decision(Message):
    """What the decider chose about one input, also when it chose to do nothing; `suppressed_by` is what kept it.

    That is a silence by its id, or a maintenance window by its name.
    """

    TYPE: ClassVar[str] = "decision"

    workload: WorkloadRef
    cause: str
    reason: Reason
    rule: str = ""
    playbook: str = ""
    incident: str | None = None
    step: int | None = None
    attempt: int | None = None
    command: str | None = None
    detail: str = ""
    suppressed_by: str = ""

    @property
    def key(self) -> str:
        """Return the key of the workload."""
        return self.workload.key
