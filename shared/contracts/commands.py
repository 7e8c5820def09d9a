"""Commands: one action to carry out on one workload."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from shared.contracts.actions import Action
from shared.contracts.incidents import Severity
from shared.contracts.model import Message, Moment
from shared.contracts.workloads import WorkloadRef

MANUAL = "manual"
"""What stands for a rule where a person acts; no rule is called so."""


class Command(Message):
    """An order of the decider; its id derives from incident, step, attempt and whether it is a dry run or a revert.

    `reverts` is the command that it undoes, `approved_by` the person who allowed it, if one was asked. What carries one
    of the `protected_labels` (a key with one of these values) when it is read to be changed must be left alone; what
    was ordered before there were any has none. So must what lies in one of the `protected_namespaces`, which a command
    carries about what lies in none itself: it may reach into all. `severity` is the incident's: of many that wait the
    most severe is carried out first.
    """

    TYPE: ClassVar[str] = "command"

    workload: WorkloadRef
    incident: str
    rule: str
    playbook: str
    step: int
    attempt: int
    action: Action
    dry_run: bool
    reverts: str = ""
    protected_labels: Mapping[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    protected_namespaces: tuple[str, ...] = Field(default=(), exclude_if=lambda named: not named)
    expires_at: Moment
    requested_by: str
    approved_by: str = ""
    severity: Severity | None = None

    @property
    def eases(self) -> bool:
        """Tell whether it undoes what was done before: no brake may hold it up, and it goes first."""
        return bool(self.reverts) or self.action.EASES

    @property
    def is_approved(self) -> bool:
        """Tell whether a person wants it: by an approval, or because it was asked for by hand."""
        return bool(self.approved_by) or self.rule == MANUAL

    @property
    def key(self) -> str:
        """Return the key of the workload."""
        return self.workload.key
