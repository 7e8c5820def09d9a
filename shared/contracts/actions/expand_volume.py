"""expand-volume: more room on the volume of one claim; a volume cannot shrink, so nothing undoes it."""

import re
from collections.abc import Generator, Iterator
from typing import ClassVar, Literal

from pydantic import Field

from shared.contracts.actions.base import ActionBase, Course, Done, Order, RefusedError, read
from shared.contracts.actions.preconditions import check_unowned, path_to, read_unprotected
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.model import JsonObject
from shared.contracts.objects import flag, section, sections, size_bytes, text
from shared.contracts.paths import collection_of
from shared.contracts.reasons import Reason
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Answer, Get, Patch, PatchType
from shared.contracts.rights import WORKLOADS, Right, rights_on
from shared.contracts.signals import AlertSignal, SampleSignal, Signal
from shared.contracts.words import SignalKind, Size
from shared.contracts.workloads import WorkloadRef
from shared.kernel.quantities import format_bytes

_KIND = "PersistentVolumeClaim"
_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
_LABEL = "persistentvolumeclaim"
_STORAGE = ("spec", "resources", "requests", "storage")
_MEBIBYTE = 1 << 20


class ExpandVolume(ActionBase):
    """Multiply what a PersistentVolumeClaim of the workload asks for, up to a cap; its volume grows to that."""

    HEALS: ClassVar[str] = "a volume that is nearly full, where its storage can grow while it is used"
    KINDS: ClassVar[frozenset[str]] = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Pod"})
    RIGHTS: ClassVar[frozenset[Right]] = (
        rights_on(WORKLOADS, verbs=["get"], group="apps")
        | rights_on(["pods"], verbs=["get"])
        | rights_on(["persistentvolumeclaims"], verbs=["get", "patch"])
        | rights_on(["storageclasses"], verbs=["get"], group="storage.k8s.io")
    )
    PARTIAL: ClassVar[bool] = True
    QUIET: ClassVar[bool] = True

    kind: Literal["expand-volume"] = "expand-volume"
    claim: str
    factor: float = Field(gt=1.0, le=4.0)
    cap_bytes: int = Field(gt=0)

    def course(self, order: Order) -> Course:
        """Ask for more where the claim is the workload's, bound and at rest, and its StorageClass lets volumes grow."""
        path = path_to(order.workload, kinds=self.KINDS)
        workload = yield from read_unprotected(path, order)
        if not _is_claim_of(order.workload, workload, self.claim):
            raise RefusedError(Refusal.NOT_OF_WORKLOAD)
        at = f"{collection_of(_KIND, order.workload.namespace)}/{self.claim}"
        claim = yield from read_unprotected(at, order)
        _check_rest(claim)
        yield from _check_class(claim)
        check_unowned(claim, _STORAGE)
        before = _asked_of(claim)
        after = self._more_than(before)
        asked: JsonObject = {"resources": {"requests": {"storage": format_bytes(after)}}}
        yield Patch(at, {"metadata": order.metadata_for(claim), "spec": asked}, PatchType.MERGE)
        return Done((f"claim {self.claim}: storage: {format_bytes(before)} → {format_bytes(after)}",))

    def target(self, workload: WorkloadRef) -> WorkloadRef:
        """Return the claim."""
        return WorkloadRef(kind=_KIND, namespace=workload.namespace, name=self.claim)

    def in_words(self) -> str:
        """Name the claim and the cap."""
        return f"multiply the storage of claim {self.claim} by {self.factor:g}, up to {format_bytes(self.cap_bytes)}"

    def _more_than(self, before: int) -> int:
        if before >= self.cap_bytes:
            raise RefusedError(Refusal.CAP_REACHED)
        whole = -(-int(before * self.factor) // _MEBIBYTE) * _MEBIBYTE
        return min(whole, self.cap_bytes)


class ExpandVolumeRung(ActionRungBase):
    """Multiply what the claim that the finding names asks for, never beyond `cap`.

    It is never undone: volumes only grow.
    """

    TELLERS: ClassVar[tuple[SignalKind, ...]] = ("sample", "alert")

    action: Literal["expand-volume"]
    """Grow the volume of the claim that the label `persistentvolumeclaim` names."""
    factor: float = Field(default=1.5, gt=1.0, le=4.0)
    """By how much the size is multiplied."""
    cap: Size
    """The largest size that is ever asked for."""

    def aimed(self, signal: Signal) -> ExpandVolume | Reason:
        """Take the claim that the signal's label names."""
        claim = signal.labels.get(_LABEL, "") if isinstance(signal, SampleSignal | AlertSignal) else ""
        if not claim or "/" in claim:
            return Reason.TARGET_UNSUITABLE
        return ExpandVolume(claim=claim, factor=self.factor, cap_bytes=self.cap)

    def in_words(self) -> str:
        """Say by how much, and up to where."""
        return f"multiply the volume's size by {self.factor:g}, up to {format_bytes(self.cap)}"

    def if_unproven(self) -> str:
        """Say that nothing undoes it."""
        return "the volume stays as large as it is: volumes cannot shrink"

    def senseless(self) -> Iterator[tuple[str, str]]:
        """Yield a cap that no volume is below."""
        if self.cap <= 0:
            yield "cap", "every volume is larger than this cap; expected a larger one"


def _is_claim_of(ref: WorkloadRef, workload: JsonObject, claim: str) -> bool:
    """Tell whether a workload's pods use a claim: by name, or as one of those that a StatefulSet makes for each pod."""
    spec = section(workload, "spec") if ref.kind == "Pod" else section(workload, "spec", "template", "spec")
    named = {text(section(one, "persistentVolumeClaim"), "claimName") for one in sections(spec, "volumes")}
    made = [text(section(one, "metadata"), "name") for one in sections(workload, "spec", "volumeClaimTemplates")]
    return claim in named or any(re.fullmatch(rf"{re.escape(one)}-{re.escape(ref.name)}-\d+", claim) for one in made)


def _check_rest(claim: JsonObject) -> None:
    if text(section(claim, "status"), "phase") != "Bound" or "deletionTimestamp" in section(claim, "metadata"):
        raise RefusedError(Refusal.CLAIM_NOT_BOUND)
    has_less = size_bytes(section(claim, "status", "capacity"), "storage") < _asked_of(claim)
    if has_less or section(claim, "status", "allocatedResourceStatuses"):
        raise RefusedError(Refusal.RESIZE_UNDER_WAY)


def _check_class(claim: JsonObject) -> Generator[Get, Answer, None]:
    """Ask for the claim's StorageClass.

    Raises:
        RefusedError: volumes of it cannot grow, or there is none.
    """
    name = text(section(claim, "spec"), "storageClassName")
    if not name:
        raise RefusedError(Refusal.VOLUME_CANNOT_GROW)
    try:
        found = yield from read(f"{_CLASSES}/{name}")
    except RefusedError as refused:
        gone = refused.refusal is Refusal.TARGET_GONE
        raise RefusedError(Refusal.VOLUME_CANNOT_GROW) if gone else refused from refused
    if not flag(found, "allowVolumeExpansion"):
        raise RefusedError(Refusal.VOLUME_CANNOT_GROW)


def _asked_of(claim: JsonObject) -> int:
    return size_bytes(section(claim, "spec", "resources", "requests"), "storage")
