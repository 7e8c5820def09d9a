"""restart-rollout: replace all pods of a workload one after the other, as its own update strategy says."""

from typing import ClassVar, Literal

from shared.contracts.actions.base import ActionBase, Course, Done, Order, RefusedError
from shared.contracts.actions.disruption import READS_BUDGETS, check_budgets_of_rollout
from shared.contracts.actions.emptydirs import check_no_data_goes
from shared.contracts.actions.preconditions import check_unmade, path_to, read_unprotected
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.model import JsonObject
from shared.contracts.objects import flag, section, text
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Patch, PatchType
from shared.contracts.rights import WORKLOADS, Right, rights_on
from shared.contracts.signals import Signal

_RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


class RestartRollout(ActionBase):
    """Replace all pods of a workload by new ones of the same template, at the pace of its own update strategy."""

    HEALS: ClassVar[str] = "a workload whose pods are all broken alike: a stale configuration, lost connections"
    KINDS: ClassVar[frozenset[str]] = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
    RIGHTS: ClassVar[frozenset[Right]] = rights_on(WORKLOADS, verbs=["get", "patch"], group="apps") | READS_BUDGETS

    kind: Literal["restart-rollout"] = "restart-rollout"

    def course(self, order: Order) -> Course:
        """Write into the template when it was ordered, as kubectl does: of a new template come new pods."""
        path = path_to(order.workload, kinds=self.KINDS)
        workload = yield from read_unprotected(path, order)
        if _rolls_out_nothing(workload):
            raise RefusedError(Refusal.NOTHING_ROLLS_OUT)
        check_unmade(workload)
        lost = check_no_data_goes(workload, order)
        yield from check_budgets_of_rollout(workload, order)
        told: JsonObject = {"metadata": {"annotations": {_RESTARTED_AT: f"{order.at:%Y-%m-%dT%H:%M:%SZ}"}}}
        body: JsonObject = {"metadata": order.metadata_for(workload), "spec": {"template": told}}
        yield Patch(path, body, PatchType.STRATEGIC)
        return Done((f"{order.workload.kind} {order.workload.name}: its controller replaces all pods", *lost))

    def in_words(self) -> str:
        """Say what is replaced."""
        return "restart all pods, one after the other"


class RestartRolloutRung(ActionRungBase):
    """Replace all pods of the workload one after the other, as `kubectl rollout restart` does."""

    action: Literal["restart-rollout"]
    """Replace all pods of the workload, at the pace of its update strategy."""

    def aimed(self, signal: Signal) -> RestartRollout:  # noqa: ARG002 - any signal names the workload
        """Restart the workload."""
        return RestartRollout()

    def in_words(self) -> str:
        """Say what is replaced."""
        return "restart all pods of the workload, one after the other"


def _rolls_out_nothing(workload: JsonObject) -> bool:
    spec = section(workload, "spec")
    return flag(spec, "paused") or text(section(spec, "updateStrategy"), "type") == "OnDelete"
