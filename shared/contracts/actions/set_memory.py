"""set-memory: another memory limit for one container of a workload's template."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from shared.contracts.actions.base import ActionBase, Course, Done, Order, RefusedError
from shared.contracts.actions.disruption import READS_BUDGETS, check_budgets_of_rollout
from shared.contracts.actions.emptydirs import check_no_data_goes
from shared.contracts.actions.ownership import in_words, memory_of
from shared.contracts.actions.preconditions import (
    READS_SIZERS,
    check_not_undone,
    check_unowned,
    check_unsized,
    path_to,
    read_unprotected,
)
from shared.contracts.actions.resources import container_named, template_with, told
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.model import JsonObject
from shared.contracts.reasons import Reason
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Patch, PatchType
from shared.contracts.rights import WORKLOADS, Right, rights_on
from shared.contracts.signals import ContainerSignal, Signal
from shared.contracts.words import SignalKind, Size
from shared.kernel.quantities import format_bytes, parse_bytes

_MEBIBYTE = 1 << 20


class SetMemory(ActionBase):
    """Set the memory limit (and request, where it would exceed the limit) of one container of the template."""

    HEALS: ClassVar[str] = "a container that needs more memory than its limit gives it, and is killed for it"
    KINDS: ClassVar[frozenset[str]] = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
    RIGHTS: ClassVar[frozenset[Right]] = (
        rights_on(WORKLOADS, verbs=["get", "patch"], group="apps") | READS_BUDGETS | READS_SIZERS
    )

    kind: Literal["set-memory"] = "set-memory"
    container: str
    from_bytes: int
    to_bytes: int

    def course(self, order: Order) -> Course:
        """Set the limit where it is still the one that was seen; the request follows where it would be above it."""
        path = path_to(order.workload, kinds=self.KINDS)
        workload = yield from read_unprotected(path, order)
        resources, lines = self._resources(workload)
        lost = check_no_data_goes(workload, order)
        yield from check_unsized(workload, order, container=self.container, resource="memory")
        yield from check_budgets_of_rollout(workload, order)
        metadata = order.metadata_for(workload, self._marks(order))
        spec = template_with(self.container, "memory", resources)
        yield Patch(path, {"metadata": metadata, "spec": spec}, PatchType.STRATEGIC)
        return Done((*lines, *lost))

    def inverse(self) -> "SetMemory":
        """Set the limit back."""
        return self.model_copy(update={"from_bytes": self.to_bytes, "to_bytes": self.from_bytes})

    def told_after(self, signal: Signal) -> Signal:
        """Tell the container with the new limit, where it was told with the old one."""
        if not isinstance(signal, ContainerSignal) or self.container != signal.container:
            return signal
        is_it = signal.memory_limit_bytes == self.from_bytes
        return signal.model_copy(update={"memory_limit_bytes": self.to_bytes}) if is_it else signal

    def in_words(self) -> str:
        """Name the container and both limits."""
        before, after = format_bytes(self.from_bytes), format_bytes(self.to_bytes)
        return f"set the memory limit of container {self.container} from {before} to {after}"

    def _resources(self, workload: JsonObject) -> tuple[Mapping[str, str], tuple[str, ...]]:
        container = container_named(workload, self.container)
        limit, request = (_memory(container, bound) for bound in ("limits", "requests"))
        check_not_undone(workload, memory_of(self.container, "limits"), present=format_bytes(limit))
        if limit != self.from_bytes:
            raise RefusedError(Refusal.CHANGED_MEANWHILE)
        check_unowned(workload, memory_of(self.container, "limits"))
        wanted = format_bytes(self.to_bytes)
        if request <= self.to_bytes:
            return {"limits": wanted}, (self._line("limits", limit),)
        check_unowned(workload, memory_of(self.container, "requests"))
        return {"limits": wanted, "requests": wanted}, (self._line("limits", limit), self._line("requests", request))

    def _marks(self, order: Order) -> JsonObject:
        before, after = format_bytes(self.from_bytes), format_bytes(self.to_bytes)
        return order.marks_with(in_words(memory_of(self.container, "limits")), before=before, after=after)

    def _line(self, bound: str, before: int) -> str:
        change = f"{format_bytes(before)} → {format_bytes(self.to_bytes)}"
        return f"container {self.container}: {bound}.memory: {change}"


class SetMemoryRung(ActionRungBase):
    """Multiply the memory limit of the container that the finding is about, never beyond `cap`.

    If the cure is not proven, the limit is set back, unless `revert` is false.
    """

    TELLERS: ClassVar[tuple[SignalKind, ...]] = ("container",)

    action: Literal["set-memory"]
    """Multiply the container's memory limit; refused when it is no longer what was seen."""
    factor: float = Field(default=2.0, gt=1.0, le=8.0)
    """By how much the limit is multiplied."""
    cap: Size
    """The largest limit that is ever set."""
    revert: bool = True
    """Whether the limit is set back where the cure is not proven."""

    def aimed(self, signal: Signal) -> SetMemory | Reason:
        """Take the container that the signal is about, where it has a limit that may be larger."""
        if not isinstance(signal, ContainerSignal) or signal.memory_limit_bytes <= 0:
            return Reason.TARGET_UNSUITABLE
        limit = signal.memory_limit_bytes
        if limit >= self.cap:
            return Reason.CAP_REACHED
        whole = -(-int(limit * self.factor) // _MEBIBYTE) * _MEBIBYTE  # people read mebibytes
        return SetMemory(container=signal.container, from_bytes=limit, to_bytes=min(whole, self.cap))

    def in_words(self) -> str:
        """Say by how much, and up to where."""
        return f"multiply the container's memory limit by {self.factor:g}, up to {format_bytes(self.cap)}"

    @property
    def is_undone(self) -> bool:
        """Tell what the playbook says."""
        return self.revert

    def if_unproven(self) -> str:
        """Say whether the limit is set back."""
        return "the limit is set back" if self.revert else "the limit stays"

    def senseless(self) -> Iterator[tuple[str, str]]:
        """Yield a cap that no limit is below."""
        if self.cap <= 0:
            yield "cap", "every limit is beyond this cap; expected a larger one"


def _memory(container: JsonObject, bound: str) -> int:
    try:
        return parse_bytes(told(container, bound, "memory"))
    except ValueError:
        return 0
