"""scale: some replicas more or less, within bounds, where nobody else counts them."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from shared.contracts.actions.base import ActionBase, Course, Done, Order, RefusedError
from shared.contracts.actions.disruption import READS_BUDGETS, check_budgets_of_scaling
from shared.contracts.actions.emptydirs import check_no_data_goes
from shared.contracts.actions.ownership import REPLICAS, in_words
from shared.contracts.actions.preconditions import (
    check_no_autoscaler,
    check_not_undone,
    check_unowned,
    path_to,
    read_unprotected,
)
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.objects import number, section
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Patch, PatchType
from shared.contracts.rights import Right, rights_on
from shared.contracts.signals import Signal

MOST_REPLICAS = 1_000
_MOST_AT_ONCE = 100


class Scale(ActionBase):
    """Add some replicas, or take some away, within bounds; never more than twice as many, or less than half, at once.

    No budget of disruptions that holds the workload's pods is broken by taking some away.

    Where `from_replicas` is named there must still be so many: it is how what was added is taken back.
    """

    HEALS: ClassVar[str] = "a workload that has too few pods for its load, for as long as nobody counts them for it"
    KINDS: ClassVar[frozenset[str]] = frozenset({"Deployment", "StatefulSet"})
    RIGHTS: ClassVar[frozenset[Right]] = rights_on(
        ["deployments", "statefulsets"], verbs=["get", "patch"], group="apps"
    ) | {Right("autoscaling", "horizontalpodautoscalers", "list"), *READS_BUDGETS}

    kind: Literal["scale"] = "scale"
    by: int = Field(ge=-_MOST_AT_ONCE, le=_MOST_AT_ONCE)
    least: int = Field(ge=1, le=MOST_REPLICAS)
    most: int = Field(ge=1, le=MOST_REPLICAS)
    from_replicas: int | None = Field(default=None, exclude_if=lambda replicas: replicas is None)

    def course(self, order: Order) -> Course:
        """Set the number of replicas from the one that was read, unless an autoscaler counts them."""
        path = path_to(order.workload, kinds=self.KINDS)
        workload = yield from read_unprotected(path, order)
        before = number(section(workload, "spec"), "replicas", default=1)
        after = self._wanted(before)
        lost = check_no_data_goes(workload, order) if after < before else ()
        check_not_undone(workload, REPLICAS, present=str(before))
        check_unowned(workload, REPLICAS)
        yield from check_no_autoscaler(order)
        if after < before:
            yield from check_budgets_of_scaling(workload, order, to=after)
        marks = order.marks_with(in_words(REPLICAS), before=str(before), after=str(after))
        metadata = order.metadata_for(workload, marks)
        yield Patch(path, {"metadata": metadata, "spec": {"replicas": after}}, PatchType.MERGE)
        back = Scale(by=before - after, least=before, most=before, from_replicas=after)
        return Done((f"replicas: {before} → {after}", *lost), inverse=back)

    def in_words(self) -> str:
        """Say how many, and within what."""
        if self.from_replicas is not None:
            return f"scale from {self.from_replicas} back to {self.from_replicas + self.by} replicas"
        return f"scale by {self.by:+d} replicas, within {self.least} and {self.most}"

    def _wanted(self, before: int) -> int:
        if before <= 0:
            raise RefusedError(Refusal.SWITCHED_OFF)
        if self.from_replicas not in {None, before}:
            raise RefusedError(Refusal.CHANGED_MEANWHILE)
        least, most = max(self.least, -(-before // 2)), min(self.most, before * 2)
        after = min(before + self.by, most) if self.by > 0 else max(before + self.by, least)
        if (after - before) * self.by <= 0:  # a bound never turns it round
            raise RefusedError(Refusal.BOUND_REACHED)
        return after


class ScaleRung(ActionRungBase):
    """Add replicas, or take some away where `by` is below 0, between `min` and `max`.

    If the cure is not proven, the number is set back, unless `revert` is false.
    """

    action: Literal["scale"]
    """Add replicas, or take some away; refused where an autoscaler or a repository counts them."""
    by: int = Field(ge=-_MOST_AT_ONCE, le=_MOST_AT_ONCE)
    """How many more, or, below 0, how many less; never more than twice as many as there are, nor less than half."""
    least: int = Field(alias="min", ge=1, le=MOST_REPLICAS)
    """Below this it never goes."""
    most: int = Field(alias="max", ge=1, le=MOST_REPLICAS)
    """Beyond this it never goes."""
    revert: bool = True
    """Whether the number is set back where the cure is not proven."""

    def aimed(self, signal: Signal) -> Scale:  # noqa: ARG002 - any signal names the workload
        """Scale the workload from whatever it has when it is read."""
        return Scale(by=self.by, least=self.least, most=self.most)

    def in_words(self) -> str:
        """Say how many, and within what."""
        return f"scale by {self.by:+d} replicas, within {self.least} and {self.most}"

    @property
    def is_undone(self) -> bool:
        """Tell what the playbook says."""
        return self.revert

    def if_unproven(self) -> str:
        """Say whether the number is set back."""
        return "the number of replicas is set back" if self.revert else "the number of replicas stays"

    def senseless(self) -> Iterator[tuple[str, str]]:
        """Yield a step of no length, and bounds between which there is nothing."""
        if self.by == 0:
            yield "by", "expected a number other than 0"
        if self.most < self.least:
            yield "max", f"expected at least `min`, which is {self.least}"
