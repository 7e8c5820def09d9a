"""pause-rollout and resume-rollout: hold a Deployment's rollout, and let it go on; inverse of each other."""

from typing import ClassVar, Literal

from shared.contracts.actions.base import ActionBase, Course, Order
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.actions.switching import switch
from shared.contracts.rights import Right, rights_on
from shared.contracts.signals import Signal

_KINDS = frozenset({"Deployment"})
_RIGHTS = rights_on(["deployments"], verbs=["get", "patch"], group="apps")


class PauseRollout(ActionBase):
    """Hold the rollout of a Deployment where it stands; the pods that it has stay."""

    HEALS: ClassVar[str] = "nothing by itself: it keeps a rollout that does harm from going on, for a person to look"
    KINDS: ClassVar[frozenset[str]] = _KINDS
    RIGHTS: ClassVar[frozenset[Right]] = _RIGHTS

    kind: Literal["pause-rollout"] = "pause-rollout"

    def course(self, order: Order) -> Course:
        """Set `paused`, where it is not."""
        return switch(order, "paused", to=True, kinds=self.KINDS)

    def inverse(self) -> "ResumeRollout":
        """Let the rollout go on."""
        return ResumeRollout()

    def in_words(self) -> str:
        """Say what is held."""
        return "pause the rollout"


class ResumeRollout(ActionBase):
    """Let the rollout of a Deployment go on that was paused."""

    HEALS: ClassVar[str] = "a Deployment that was left paused, so that no new template of it comes up"
    KINDS: ClassVar[frozenset[str]] = _KINDS
    RIGHTS: ClassVar[frozenset[Right]] = _RIGHTS

    kind: Literal["resume-rollout"] = "resume-rollout"

    def course(self, order: Order) -> Course:
        """Take `paused` back, where it is set."""
        return switch(order, "paused", to=False, kinds=self.KINDS)

    def inverse(self) -> PauseRollout:
        """Pause the rollout again."""
        return PauseRollout()

    def in_words(self) -> str:
        """Say what goes on."""
        return "resume the rollout"


class PauseRolloutRung(ActionRungBase):
    """Hold a Deployment's rollout where it stands, until a person has looked."""

    action: Literal["pause-rollout"]
    """Pause the rollout of a Deployment; its pods stay."""
    revert: bool = False
    """Whether the rollout goes on where the cure is not proven."""

    def aimed(self, signal: Signal) -> PauseRollout:  # noqa: ARG002 - any signal names the workload
        """Pause the rollout of the workload."""
        return PauseRollout()

    def in_words(self) -> str:
        """Say what is held."""
        return "pause the rollout"

    @property
    def is_undone(self) -> bool:
        """Tell what the playbook says."""
        return self.revert

    def if_unproven(self) -> str:
        """Say whether the rollout goes on."""
        return "the rollout goes on" if self.revert else "the rollout stays paused"


class ResumeRolloutRung(ActionRungBase):
    """Let a Deployment's rollout go on that was left paused."""

    action: Literal["resume-rollout"]
    """Resume the rollout of a Deployment that is paused."""
    revert: bool = False
    """Whether the rollout is paused again where the cure is not proven."""

    def aimed(self, signal: Signal) -> ResumeRollout:  # noqa: ARG002 - any signal names the workload
        """Resume the rollout of the workload."""
        return ResumeRollout()

    def in_words(self) -> str:
        """Say what goes on."""
        return "resume the rollout"

    @property
    def is_undone(self) -> bool:
        """Tell what the playbook says."""
        return self.revert

    def if_unproven(self) -> str:
        """Say whether it is paused again."""
        return "the rollout is paused again" if self.revert else "the rollout goes on"
