"""set-cpu: another CPU limit and request for one container of a workload's template."""

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from shared.contracts.actions.base import ActionBase, Course, Done, Order, RefusedError
from shared.contracts.actions.disruption import READS_BUDGETS, check_budgets_of_rollout
from shared.contracts.actions.emptydirs import check_no_data_goes
from shared.contracts.actions.former import Direction, Former, former_of, noting
from shared.contracts.actions.ownership import cpu_of, in_words
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
from shared.contracts.signals import AlertSignal, ContainerSignal, SampleSignal, Signal
from shared.contracts.words import Cores, SignalKind
from shared.kernel.quantities import format_millis, parse_millis

_BOUNDS = ("limits", "requests")


class SetCpu(ActionBase):
    """Multiply the CPU limit and request of one container of the template, each up to a cap."""

    HEALS: ClassVar[str] = "a container that is throttled at its CPU limit, or gets too small a share of a busy node"
    KINDS: ClassVar[frozenset[str]] = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
    RIGHTS: ClassVar[frozenset[Right]] = (
        rights_on(WORKLOADS, verbs=["get", "patch"], group="apps") | READS_BUDGETS | READS_SIZERS
    )

    kind: Literal["set-cpu"] = "set-cpu"
    container: str
    factor: float = Field(gt=1.0, le=8.0)
    cap_millis: int = Field(gt=0)
    direction: Direction = "forth"

    def course(self, order: Order) -> Course:
        """Multiply what the live template gives; both bounds alike, so that the pods keep their class of service."""
        path = path_to(order.workload, kinds=self.KINDS)
        workload = yield from read_unprotected(path, order)
        held = _held(container_named(workload, self.container))
        lost = check_no_data_goes(workload, order)
        if self.direction == "back":
            wanted = self._former(held, workload, order)
        else:
            wanted = self._raised(held)
            self._check_not_undone(workload, held)
        self._check_unowned(workload, held)
        yield from check_unsized(workload, order, container=self.container, resource="cpu")
        yield from check_budgets_of_rollout(workload, order)
        metadata = order.metadata_for(workload, self._marks(held, wanted, order))
        noted = noting(metadata, self._kept(held, wanted), order, direction=self.direction)
        body: JsonObject = {"metadata": noted, "spec": template_with(self.container, "cpu", wanted)}
        yield Patch(path, body, PatchType.STRATEGIC)
        return Done((*self._lines(held, wanted), *lost))

    def inverse(self) -> "SetCpu | None":
        """Set back what it found, as the object says; not where the template was given other bounds since."""
        return self.model_copy(update={"direction": "back"}) if self.direction == "forth" else None

    def in_words(self) -> str:
        """Name the container and the cap."""
        if self.direction == "back":
            return f"set the CPU of container {self.container} back"
        cap = format_millis(self.cap_millis)
        return f"multiply the CPU of container {self.container} by {self.factor:g}, up to {cap}"

    def _raised(self, held: Mapping[str, str]) -> Mapping[str, str]:
        if not held:
            raise RefusedError(Refusal.NO_LIMIT)
        wanted = {bound: self._multiplied(millis) for bound, millis in _millis(held).items()}
        if wanted == _millis(held):
            raise RefusedError(Refusal.CAP_REACHED)
        return {bound: format_millis(millis) for bound, millis in wanted.items()}

    def _check_not_undone(self, workload: JsonObject, held: Mapping[str, str]) -> None:
        for bound, quantity in held.items():
            check_not_undone(workload, cpu_of(self.container, bound), present=_canonical(quantity))

    def _check_unowned(self, workload: JsonObject, held: Mapping[str, str]) -> None:
        for bound in held:
            check_unowned(workload, cpu_of(self.container, bound))

    def _multiplied(self, millis: int) -> int:
        return max(millis, min(math.ceil(millis * self.factor), self.cap_millis))

    def _marks(self, held: Mapping[str, str], wanted: Mapping[str, str], order: Order) -> JsonObject:
        bound = next(iter(wanted))
        before, after = _canonical(held[bound]), _canonical(wanted[bound])
        return order.marks_with(in_words(cpu_of(self.container, bound)), before=before, after=after)

    def _kept(self, held: Mapping[str, str], wanted: Mapping[str, str]) -> Former:
        return Former({**held, "container": self.container}, {**wanted, "container": self.container})

    def _former(self, held: Mapping[str, str], workload: JsonObject, order: Order) -> Mapping[str, str]:
        former = former_of(workload, order)
        if former.found.get("container") != self.container:
            raise RefusedError(Refusal.NO_EARLIER_STATE)
        if _millis(held) != _millis(_quantities(former.made)):
            raise RefusedError(Refusal.CHANGED_MEANWHILE)
        return _quantities(former.found)

    def _lines(self, held: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
        for bound, quantity in wanted.items():
            if held[bound] != quantity:
                yield f"container {self.container}: {bound}.cpu: {held[bound]} → {quantity}"


class SetCpuRung(ActionRungBase):
    """Multiply the CPU limit and request of the container that the finding is about, never beyond `cap`.

    If the cure is not proven, both are set back, unless `revert` is false.
    """

    TELLERS: ClassVar[tuple[SignalKind, ...]] = ("container", "sample", "alert")

    action: Literal["set-cpu"]
    """Multiply the container's CPU limit and request; of a sample or an alert the label `container` names it."""
    factor: float = Field(default=2.0, gt=1.0, le=8.0)
    """By how much both are multiplied."""
    cap: Cores
    """The largest limit or request that is ever set."""
    revert: bool = True
    """Whether both are set back where the cure is not proven."""

    def aimed(self, signal: Signal) -> SetCpu | Reason:
        """Take the container that the signal names."""
        container = _container_of(signal)
        if not container:
            return Reason.TARGET_UNSUITABLE
        return SetCpu(container=container, factor=self.factor, cap_millis=self.cap)

    def in_words(self) -> str:
        """Say by how much, and up to where."""
        return f"multiply the container's CPU by {self.factor:g}, up to {format_millis(self.cap)}"

    @property
    def is_undone(self) -> bool:
        """Tell what the playbook says."""
        return self.revert

    def if_unproven(self) -> str:
        """Say whether it is set back."""
        return "limit and request are set back" if self.revert else "limit and request stay"

    def senseless(self) -> Iterator[tuple[str, str]]:
        """Yield a cap that nothing is below."""
        if self.cap <= 0:
            yield "cap", "every limit is beyond this cap; expected a larger one"


def _container_of(signal: Signal) -> str:
    match signal:
        case ContainerSignal():
            return signal.container
        case SampleSignal() | AlertSignal():
            return signal.labels.get("container", "")
        case _:
            return ""


def _held(container: JsonObject) -> Mapping[str, str]:
    """Return the bounds that a container has, as they are written."""
    written = {bound: told(container, bound, "cpu") for bound in _BOUNDS}
    return {bound: quantity for bound, quantity in written.items() if quantity}


def _quantities(kept: JsonObject) -> Mapping[str, str]:
    return {bound: str(kept[bound]) for bound in _BOUNDS if bound in kept}


def _canonical(quantity: str) -> str:
    """Return a quantity as it is always written, however somebody wrote it."""
    return format_millis(_parsed(quantity))


def _millis(bounds: Mapping[str, str]) -> Mapping[str, int]:
    """Return bounds that can be compared."""
    return {bound: _parsed(quantity) for bound, quantity in bounds.items()}


def _parsed(quantity: str) -> int:
    """Return a quantity in thousandths of a core.

    Raises:
        RefusedError: it is none, so somebody else wrote it.
    """
    try:
        return parse_millis(quantity)
    except ValueError as unreadable:
        raise RefusedError(Refusal.CHANGED_MEANWHILE) from unreadable
