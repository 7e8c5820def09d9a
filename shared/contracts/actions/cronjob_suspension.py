"""suspend-cronjob and resume-cronjob: let a CronJob start nothing more, and let it start again; each the inverse."""

from typing import ClassVar, Literal

from shared.contracts.actions.base import ActionBase, Course, Order
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.actions.switching import switch
from shared.contracts.rights import Right, rights_on
from shared.contracts.signals import Signal

_KINDS = frozenset({"CronJob"})
_RIGHTS = rights_on(["cronjobs"], verbs=["get", "patch"], group="batch")


class SuspendCronJob(ActionBase):
    """Let a CronJob start no further Jobs; those that run go on."""

    HEALS: ClassVar[str] = "what a CronJob disturbs each time it runs, until a person has looked"
    KINDS: ClassVar[frozenset[str]] = _KINDS
    RIGHTS: ClassVar[frozenset[Right]] = _RIGHTS

    kind: Literal["suspend-cronjob"] = "suspend-cronjob"

    def course(self, order: Order) -> Course:
        """Set `suspend`, where it is not."""
        return switch(order, "suspend", to=True, kinds=self.KINDS)

    def inverse(self) -> "ResumeCronJob":
        """Let it start Jobs again."""
        return ResumeCronJob()

    def in_words(self) -> str:
        """Say what is held."""
        return "suspend the CronJob"


class ResumeCronJob(ActionBase):
    """Let a CronJob start Jobs again that was suspended."""

    HEALS: ClassVar[str] = "a CronJob that was left suspended, so that its work is not done"
    KINDS: ClassVar[frozenset[str]] = _KINDS
    RIGHTS: ClassVar[frozenset[Right]] = _RIGHTS

    kind: Literal["resume-cronjob"] = "resume-cronjob"

    def course(self, order: Order) -> Course:
        """Take `suspend` back, where it is set."""
        return switch(order, "suspend", to=False, kinds=self.KINDS)

    def inverse(self) -> SuspendCronJob:
        """Suspend it again."""
        return SuspendCronJob()

    def in_words(self) -> str:
        """Say what goes on."""
        return "resume the CronJob"


class SuspendCronJobRung(ActionRungBase):
    """Let a CronJob start nothing more, until a person has looked."""

    action: Literal["suspend-cronjob"]
    """Suspend a CronJob; the Jobs that run go on."""
    revert: bool = False
    """Whether it starts Jobs again where the cure is not proven."""

    def aimed(self, signal: Signal) -> SuspendCronJob:  # noqa: ARG002 - any signal names the workload
        """Suspend the workload."""
        return SuspendCronJob()

    def in_words(self) -> str:
        """Say what is held."""
        return "suspend the CronJob"

    @property
    def is_undone(self) -> bool:
        """Tell what the playbook says."""
        return self.revert

    def if_unproven(self) -> str:
        """Say whether it starts Jobs again."""
        return "the CronJob is resumed" if self.revert else "the CronJob stays suspended"


class ResumeCronJobRung(ActionRungBase):
    """Let a CronJob start Jobs again that was left suspended."""

    action: Literal["resume-cronjob"]
    """Resume a CronJob that is suspended."""
    revert: bool = False
    """Whether it is suspended again where the cure is not proven."""

    def aimed(self, signal: Signal) -> ResumeCronJob:  # noqa: ARG002 - any signal names the workload
        """Resume the workload."""
        return ResumeCronJob()

    def in_words(self) -> str:
        """Say what goes on."""
        return "resume the CronJob"

    @property
    def is_undone(self) -> bool:
        """Tell what the playbook says."""
        return self.revert

    def if_unproven(self) -> str:
        """Say whether it is suspended again."""
        return "the CronJob is suspended again" if self.revert else "the CronJob goes on"
