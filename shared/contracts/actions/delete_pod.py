"""delete-pod: take one pod away that has failed, or that does not end although it was to be gone long ago."""

from datetime import timedelta
from typing import ClassVar, Literal

from shared.contracts.actions.aims import pod_of
from shared.contracts.actions.base import ActionBase, Course, Done, Inquiry, Order, RefusedError, change, find, read
from shared.contracts.actions.preconditions import check_standing
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.model import JsonObject
from shared.contracts.objects import moment, number, section, text, uid_of, version_of
from shared.contracts.paths import collection_of
from shared.contracts.reasons import Reason
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Delete, Patch, PatchType
from shared.contracts.rights import Right, rights_on
from shared.contracts.signals import PodSignal, Signal
from shared.contracts.words import SignalKind
from shared.contracts.workloads import WorkloadRef

STUCK_AFTER = timedelta(minutes=5)
"""How long a pod's grace must be over: a kubelet that restarts is back before."""
_IS_ONE_OF_A_KIND = "its successor has its name and its volume, while a container of it may still run"


class DeletePod(ActionBase):
    """Delete one pod that has failed, or (with `force`) one that is stuck: to be gone for long, and still there.

    A pod that runs is never deleted. A stuck one of a StatefulSet is left to a person. Of a failed one an emptyDir is
    no reason to ask: its kubelet cleared that when the last container ended, and its own controller replaces it, too.
    """

    HEALS: ClassVar[str] = "what a pod that has ended leaves behind: its claim to a volume, a name or a quota"
    KINDS: ClassVar[frozenset[str]] = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"})
    RIGHTS: ClassVar[frozenset[Right]] = rights_on(["pods"], verbs=["get", "patch", "delete"])
    PARTIAL: ClassVar[bool] = True
    TOLD_BY_ABSENCE: ClassVar[bool] = True
    QUIET: ClassVar[bool] = True

    kind: Literal["delete-pod"] = "delete-pod"
    pod: str
    uid: str
    force: bool = False

    def course(self, order: Order) -> Course:
        """Mark the pod, and delete it under its uid and the version that carries the mark."""
        if order.workload.kind not in self.KINDS:
            raise RefusedError(Refusal.KIND_NOT_SUPPORTED)
        path = f"{collection_of('Pod', order.workload.namespace)}/{self.pod}"
        pod = yield from read(path)
        if uid_of(pod) != self.uid:
            raise RefusedError(Refusal.TARGET_REPLACED)
        yield from check_standing(pod, order)
        grace = self._grace(pod, order)
        if not order.dry_run:
            pod = yield from change(Patch(path, {"metadata": order.metadata_for(pod)}, PatchType.MERGE))
        yield Delete(path, self.uid, version_of(pod), grace_seconds=grace)
        return Done((f"pod {self.pod}: deleted{', without waiting for its end' if grace is not None else ''}",))

    def happened(self, order: Order) -> Inquiry:
        """Tell whether the pod of that uid is gone, or about to go (a stuck one: at once)."""
        pod = yield from find(self.target(order.workload))
        if pod is None or uid_of(pod) != self.uid:
            return True
        is_going = bool(_ends(pod))
        return is_going and (not self.force or number(section(pod, "metadata"), "deletionGracePeriodSeconds", 1) == 0)

    def target(self, workload: WorkloadRef) -> WorkloadRef:
        """Return the pod."""
        return WorkloadRef(kind="Pod", namespace=workload.namespace, name=self.pod)

    def is_told_by(self, signal: Signal) -> bool:
        """Tell whether it is the end of this pod: not of one that is only to end, nor of another of its name."""
        return isinstance(signal, PodSignal) and signal.deleted and signal.object.uid == self.uid

    def in_words(self) -> str:
        """Name the pod."""
        return f"delete pod {self.pod}{', even if it does not end' if self.force else ''}"

    def _grace(self, pod: JsonObject, order: Order) -> int | None:
        """Return how long the pod may take to end, as far as that is not its own to say; refuse one that is well."""
        if not _ends(pod):
            if text(section(pod, "status"), "phase") != "Failed":
                raise RefusedError(Refusal.NOT_FAILED)
            return None
        if not self.force:
            raise RefusedError(Refusal.NOT_FAILED, "it is about to go, which only `force` hastens")
        ends = moment(section(pod, "metadata"), "deletionTimestamp")
        if ends is None or order.at - ends < STUCK_AFTER:
            raise RefusedError(Refusal.NOT_STUCK)
        if order.workload.kind == "StatefulSet":
            raise RefusedError(Refusal.KIND_NOT_SUPPORTED, _IS_ONE_OF_A_KIND)
        return 0


class DeletePodRung(ActionRungBase):
    """Delete the pod that the finding is about, if it has failed; with `force` also if it does not end."""

    TELLERS: ClassVar[tuple[SignalKind, ...]] = ("container", "pod", "event")
    ENDS_POD: ClassVar[bool] = True

    action: Literal["delete-pod"]
    """Delete the pod that the finding is about; one that runs is never deleted."""
    force: bool = False
    """Whether a pod is deleted, too, that is there five minutes after its grace was over; never of a StatefulSet."""

    def aimed(self, signal: Signal) -> DeletePod | Reason:
        """Take the pod that the signal is about."""
        pod = pod_of(signal)
        return DeletePod(pod=pod.name, uid=pod.uid, force=self.force) if pod is not None else Reason.TARGET_UNSUITABLE

    def in_words(self) -> str:
        """Say what it must have come to."""
        return f"delete the pod that was found, if it has failed{' or does not end' if self.force else ''}"


def _ends(pod: JsonObject) -> str:
    return text(section(pod, "metadata"), "deletionTimestamp")
