"""scale-hpa: another bound for the autoscaler of a workload."""

from collections.abc import Generator, Iterator
from typing import ClassVar, Literal

from pydantic import Field

from shared.contracts.actions.base import ActionBase, Course, Done, Inquiry, Order, RefusedError, read_all
from shared.contracts.actions.former import Direction, Former, former_of, noting
from shared.contracts.actions.marks import is_marked
from shared.contracts.actions.ownership import in_words
from shared.contracts.actions.preconditions import (
    check_not_undone,
    check_unowned,
    path_to,
    read_unprotected,
    refuse_protected,
)
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.model import JsonObject
from shared.contracts.objects import labels_of, number, section, sections, text
from shared.contracts.paths import collection_of
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Answer, ListAll, Patch, PatchType
from shared.contracts.rights import Right, rights_on
from shared.contracts.signals import Signal
from shared.contracts.workloads import WorkloadRef

_KIND = "HorizontalPodAutoscaler"
_KEDA_LABEL = "scaledobject.keda.sh/name"
_MOST = 10_000
Bound = Literal["maxReplicas", "minReplicas"]


class ScaleHpa(ActionBase):
    """Raise one bound of the HorizontalPodAutoscaler that scales the workload, up to a limit."""

    HEALS: ClassVar[str] = "a workload that needs more pods than its autoscaler may give it, or fewer than are safe"
    KINDS: ClassVar[frozenset[str]] = frozenset({"Deployment", "StatefulSet"})
    RIGHTS: ClassVar[frozenset[Right]] = rights_on(["deployments", "statefulsets"], verbs=["get"], group="apps") | (
        rights_on(["horizontalpodautoscalers"], verbs=["list", "patch"], group="autoscaling")
    )
    QUIET: ClassVar[bool] = True

    kind: Literal["scale-hpa"] = "scale-hpa"
    bound: Bound = "maxReplicas"
    by: int = Field(ge=1, le=_MOST)
    at_most: int = Field(ge=1, le=_MOST)
    direction: Direction = "forth"

    def course(self, order: Order) -> Course:
        """Find the one autoscaler of the workload, and raise the bound from what it is, where nobody else makes it."""
        path = path_to(order.workload, kinds=self.KINDS)
        yield from read_unprotected(path, order)
        found = yield from _autoscalers_of(order.workload)
        autoscaler = _the_only(found)
        refuse_protected(autoscaler, order)
        _check_unmade(autoscaler)
        before, field = _bound(autoscaler, self.bound), ("spec", self.bound)
        if self.direction == "forth":
            check_not_undone(autoscaler, field, present=str(before))
        check_unowned(autoscaler, field)
        after = self._raised(autoscaler) if self.direction == "forth" else self._former(autoscaler, order)
        name = text(section(autoscaler, "metadata"), "name")
        body: JsonObject = {"metadata": self._metadata(autoscaler, order, after), "spec": {self.bound: after}}
        yield Patch(f"{collection_of(_KIND, order.workload.namespace)}/{name}", body, PatchType.MERGE)
        return Done((f"autoscaler {name}: {self.bound}: {before} → {after}",))

    def happened(self, order: Order) -> Inquiry:
        """Tell by the mark on the workload's autoscaler."""
        found = yield from _autoscalers_of(order.workload)
        return any(is_marked(one, order.command) for one in found)

    def inverse(self) -> "ScaleHpa | None":
        """Set back the bound that it found, as the object says; not where somebody gave it another since."""
        return self.model_copy(update={"direction": "back"}) if self.direction == "forth" else None

    def in_words(self) -> str:
        """Name the bound, and how far it may go."""
        if self.direction == "back":
            return f"set {self.bound} of the autoscaler back"
        return f"raise {self.bound} of the autoscaler by {self.by}, up to {self.at_most}"

    def _raised(self, autoscaler: JsonObject) -> int:
        before = _bound(autoscaler, self.bound)
        most = self.at_most if self.bound == "maxReplicas" else min(self.at_most, _bound(autoscaler, "maxReplicas"))
        if before >= most:
            raise RefusedError(Refusal.CAP_REACHED)
        return min(before + self.by, most)

    def _former(self, autoscaler: JsonObject, order: Order) -> int:
        former = former_of(autoscaler, order)
        if self.bound not in former.found:
            raise RefusedError(Refusal.NO_EARLIER_STATE)
        if _bound(autoscaler, self.bound) != number(former.made, self.bound):
            raise RefusedError(Refusal.CHANGED_MEANWHILE)
        return number(former.found, self.bound)

    def _metadata(self, autoscaler: JsonObject, order: Order, after: int) -> JsonObject:
        before = _bound(autoscaler, self.bound)
        marks = order.marks_with(in_words(("spec", self.bound)), before=str(before), after=str(after))
        former = Former({self.bound: before}, {self.bound: after})
        return noting(order.metadata_for(autoscaler, marks), former, order, direction=self.direction)


class ScaleHpaRung(ActionRungBase):
    """Raise a bound of the workload's HorizontalPodAutoscaler by some replicas, never beyond `at_most`.

    If the cure is not proven, the bound is set back, unless `revert` is false.
    """

    action: Literal["scale-hpa"]
    """Raise a bound of the workload's autoscaler; refused where another controller makes it (KEDA)."""
    bound: Bound = "maxReplicas"
    """Which bound; minReplicas is never raised above maxReplicas."""
    by: int = Field(default=1, ge=1, le=_MOST)
    """By how many replicas."""
    at_most: int = Field(ge=1, le=_MOST)
    """The most that the bound is ever raised to."""
    revert: bool = True
    """Whether the bound is set back where the cure is not proven."""

    def aimed(self, signal: Signal) -> ScaleHpa:
        """Take the autoscaler of the workload that the signal is about."""
        del signal  # it is found by the workload
        return ScaleHpa(bound=self.bound, by=self.by, at_most=self.at_most)

    def in_words(self) -> str:
        """Say by how much, and up to where."""
        return f"raise {self.bound} of the autoscaler by {self.by}, up to {self.at_most}"

    @property
    def is_undone(self) -> bool:
        """Tell what the playbook says."""
        return self.revert

    def if_unproven(self) -> str:
        """Say whether the bound is set back."""
        return "the bound is set back" if self.revert else "the bound stays"

    def senseless(self) -> Iterator[tuple[str, str]]:
        """Yield a bound that no autoscaler is below."""
        if self.at_most == 1:
            yield "at_most", "every autoscaler has one replica at least; expected more"


def _autoscalers_of(workload: WorkloadRef) -> Generator[ListAll, Answer, list[JsonObject]]:
    known = yield from read_all(collection_of(_KIND, workload.namespace))
    return [one for one in known if _scales(section(one, "spec", "scaleTargetRef"), workload)]


def _scales(target: JsonObject, workload: WorkloadRef) -> bool:
    is_of_apps = text(target, "apiVersion").partition("/")[0] in {"apps", ""}
    return is_of_apps and (text(target, "kind"), text(target, "name")) == (workload.kind, workload.name)


def _the_only(found: list[JsonObject]) -> JsonObject:
    if len(found) != 1:
        raise RefusedError(Refusal.NO_AUTOSCALER)
    return found[0]


def _check_unmade(autoscaler: JsonObject) -> None:
    """Hold it against who else makes it, and would make it anew.

    Raises:
        RefusedError: another controller does.
    """
    made = next((text(one, "kind") for one in sections(autoscaler, "metadata", "ownerReferences")), "")
    if made or _KEDA_LABEL in labels_of(autoscaler):
        raise RefusedError(Refusal.OWNED_BY_OTHER, f"the autoscaler is made by {made or 'KEDA'}")


def _bound(autoscaler: JsonObject, bound: Bound) -> int:
    """Return a bound of an autoscaler; one is the least where it says nothing."""
    return number(section(autoscaler, "spec"), bound, default=1)
