"""uncordon: take a cordon of our own back."""

from typing import ClassVar, Literal

from shared.contracts.actions.base import ActionBase, Course, Done, Order, RefusedError
from shared.contracts.actions.nodes import CHANGE_NODES, NODE, is_cordoned, is_ours, uncordon_of
from shared.contracts.actions.preconditions import path_to, read_unprotected
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.refusals import Refusal
from shared.contracts.rights import Right
from shared.contracts.signals import NodeSignal, Signal


class Uncordon(ActionBase):
    """Let a node that we cordoned take pods again; the cordon of anybody else is left as it is."""

    HEALS: ClassVar[str] = "a lack of room after a node was cordoned for a trouble that is over; no brake holds it up"
    KINDS: ClassVar[frozenset[str]] = NODE
    RIGHTS: ClassVar[frozenset[Right]] = CHANGE_NODES
    EASES: ClassVar[bool] = True

    kind: Literal["uncordon"] = "uncordon"

    def course(self, order: Order) -> Course:
        """Take the cordon back where it carries our mark, and the mark with it."""
        path = path_to(order.workload, kinds=self.KINDS)
        node = yield from read_unprotected(path, order)
        if not is_cordoned(node):
            raise RefusedError(Refusal.CHANGED_MEANWHILE, "it is not cordoned any more")
        if not is_ours(node):
            raise RefusedError(Refusal.NOT_OURS)
        yield uncordon_of(path, node, order)
        return Done((f"node {order.workload.name}: uncordoned, it takes pods again",))

    def told_after(self, signal: Signal) -> Signal:
        """Return a node's signal as that of one that takes pods."""
        return signal.model_copy(update={"unschedulable": False}) if isinstance(signal, NodeSignal) else signal

    def in_words(self) -> str:
        """Say what it takes again."""
        return "uncordon the node"


class UncordonRung(ActionRungBase):
    """Take back a cordon that an earlier step or incident made; one of a person's is left as it is."""

    action: Literal["uncordon"]
    """Let a node that was cordoned by us take pods again."""

    def aimed(self, signal: Signal) -> Uncordon:  # noqa: ARG002 - the node is the workload itself
        """Take the node that the incident is about."""
        return Uncordon()

    def in_words(self) -> str:
        """Say whose cordon is meant."""
        return "uncordon the node, if it was cordoned by us"
