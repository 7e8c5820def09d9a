"""restart-pod: evict one pod, so that its controller makes a new one."""

from typing import ClassVar, Literal

from shared.contracts.actions.aims import pod_of
from shared.contracts.actions.base import ActionBase, Course, Done, Inquiry, Order, RefusedError, find, read
from shared.contracts.actions.emptydirs import check_no_data_goes
from shared.contracts.actions.evictions import eviction_of
from shared.contracts.actions.preconditions import check_standing
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.objects import section, uid_of
from shared.contracts.paths import collection_of
from shared.contracts.reasons import Reason
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Patch, PatchType
from shared.contracts.rights import Right, rights_on
from shared.contracts.signals import Signal
from shared.contracts.words import SignalKind
from shared.contracts.workloads import WorkloadRef


class RestartPod(ActionBase):
    """Evict one pod, so that its controller replaces it; budgets are respected by the eviction API."""

    HEALS: ClassVar[str] = "one pod whose state is broken: a deadlock, a leak, a lost connection, a bad node"
    KINDS: ClassVar[frozenset[str]] = frozenset(
        {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"}
    )
    RIGHTS: ClassVar[frozenset[Right]] = rights_on(["pods"], verbs=["list", "get", "patch"]) | {
        Right("", "pods/eviction", "create")
    }
    PARTIAL: ClassVar[bool] = True
    TOLD_BY_ABSENCE: ClassVar[bool] = True

    kind: Literal["restart-pod"] = "restart-pod"
    pod: str
    uid: str

    def course(self, order: Order) -> Course:
        """Mark the pod, so that the audit log tells by whom it is evicted, and evict it under its uid."""
        namespace = order.workload.namespace
        path = f"{collection_of('Pod', namespace)}/{self.pod}"
        pod = yield from read(path)
        if uid_of(pod) != self.uid:
            raise RefusedError(Refusal.TARGET_REPLACED)
        lost = check_no_data_goes((yield from check_standing(pod, order)), order)
        if not order.dry_run:
            yield Patch(path, {"metadata": order.metadata_for(pod)}, PatchType.MERGE)
        yield eviction_of(self.pod, namespace, uid=self.uid)
        return Done((f"pod {self.pod}: evicted, its controller replaces it", *lost))

    def happened(self, order: Order) -> Inquiry:
        """Tell whether the pod of that uid is gone, or about to go: its mark alone was written before."""
        pod = yield from find(self.target(order.workload))
        return pod is None or uid_of(pod) != self.uid or bool(section(pod, "metadata").get("deletionTimestamp"))

    def target(self, workload: WorkloadRef) -> WorkloadRef:
        """Return the pod."""
        return WorkloadRef(kind="Pod", namespace=workload.namespace, name=self.pod)

    def in_words(self) -> str:
        """Name the pod."""
        return f"restart pod {self.pod}"


class RestartPodRung(ActionRungBase):
    """Evict the pod that the finding is about."""

    TELLERS: ClassVar[tuple[SignalKind, ...]] = ("container", "pod", "event")

    action: Literal["restart-pod"]
    """Evict the pod that the finding is about; budgets hold, its uid is checked."""

    def aimed(self, signal: Signal) -> RestartPod | Reason:
        """Take the pod that the signal is about."""
        pod = pod_of(signal)
        return RestartPod(pod=pod.name, uid=pod.uid) if pod is not None else Reason.TARGET_UNSUITABLE

    def in_words(self) -> str:
        """Say that it is the pod that was found."""
        return "restart the pod that was found"
