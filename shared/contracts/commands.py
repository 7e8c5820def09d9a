"""Commands: one action to carry out on one workload."""

from typing import ClassVar

from shared.contracts.actions import Action
from shared.contracts.model import Message, Moment
from shared.contracts.workloads import WorkloadRef


class Command(Message):
    """An order of the decider; its id derives from incident, step, attempt and whether it is a dry run or a revert.

    `reverts` is the command that it undoes.
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
    expires_at: Moment
    requested_by: str

    @property
    def key(self) -> str:
        """Return the key of the workload."""
        return self.workload.key
