"""cordon: let a node take no new pods; those that it has stay."""

from typing import ClassVar, Literal

from pydantic import Field

from shared.contracts.actions.base import ActionBase, Course, Done, Order, RefusedError
from shared.contracts.actions.nodes import CHANGE_NODES, NODE, check_others, cordon_of, is_cordoned
from shared.contracts.actions.preconditions import path_to, read_unprotected
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.actions.uncordon import Uncordon
from shared.contracts.refusals import Refusal
from shared.contracts.rights import Right, rights_on
from shared.contracts.signals import NodeSignal, Signal


class Cordon(ActionBase):
    """Let a node take no new pods; those that it has stay."""

    HEALS: ClassVar[str] = "a node on which pods come to harm: its disk fails, its memory runs out, its network is cut"
    KINDS: ClassVar[frozenset[str]] = NODE
    RIGHTS: ClassVar[frozenset[Right]] = CHANGE_NODES | rights_on(["nodes"], verbs=["list"])

    kind: Literal["cordon"] = "cordon"
    least_schedulable: int = Field(default=100, ge=0, le=100)

    def course(self, order: Order) -> Course:
        """Cordon the node where nobody has, and where enough others take pods, under a mark that tells it is ours."""
        path = path_to(order.workload, kinds=self.KINDS)
        node = yield from read_unprotected(path, order)
        if is_cordoned(node):
            raise RefusedError(Refusal.CHANGED_MEANWHILE, "it is cordoned already")
        yield from check_others(order, least_percent=self.least_schedulable)
        yield cordon_of(path, node, order)
        return Done((f"node {order.workload.name}: cordoned, it takes no new pods",))

    def inverse(self) -> Uncordon:
        """Uncordon it."""
        return Uncordon()

    def told_after(self, signal: Signal) -> Signal:
        """Return a node's signal as that of one that is cordoned."""
        return signal.model_copy(update={"unschedulable": True}) if isinstance(signal, NodeSignal) else signal

    def in_words(self) -> str:
        """Say what it takes no more."""
        return "cordon the node"


class CordonRung(ActionRungBase):
    """Let the node take no new pods; refused where too few others do.

    If the cure is not proven, the node is uncordoned, unless `revert` is false.
    """

    action: Literal["cordon"]
    """Let the node take no new pods; those that it has stay."""
    least_schedulable: int = Field(default=100, ge=0, le=100)
    """How many of the other nodes must be ready and take pods, in percent."""
    revert: bool = True
    """Whether the node is uncordoned where the cure is not proven."""

    def aimed(self, signal: Signal) -> Cordon:  # noqa: ARG002 - the node is the workload itself
        """Take the node that the incident is about."""
        return Cordon(least_schedulable=self.least_schedulable)

    def in_words(self) -> str:
        """Say what it takes no more."""
        return "cordon the node"

    @property
    def is_undone(self) -> bool:
        """Tell what the playbook says."""
        return self.revert

    def if_unproven(self) -> str:
        """Say whether the node takes pods again."""
        return "the node is uncordoned" if self.revert else "the node stays cordoned"
