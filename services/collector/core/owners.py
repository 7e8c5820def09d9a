"""Who owns what: from a pod through its ReplicaSet or Job to the workload on top."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.contracts.model import JsonObject
from shared.contracts.objects import reference, section, sections, text
from shared.contracts.workloads import CLUSTER_SCOPE, WorkloadRef

_BETWEEN = frozenset({"ReplicaSet", "Job", "Pod"})
"""Kinds that may have an owner of their own."""
LATELY_GONE = 1_000
"""Of so many pods that went last the owner is kept: the kubelet's events about a pod come after it has gone, too."""


@dataclass(slots=True)
class Owners:
    """The owner of each object between pods and workloads, as far as it was seen.

    One that is gone is kept while something below it is there: a ReplicaSet often goes before its pods, whose end must
    be told under the same workload as their life. Pods are kept until enough others have gone after them.
    """

    _above: dict[WorkloadRef, WorkloadRef | None] = field(default_factory=dict[WorkloadRef, "WorkloadRef | None"])
    _below: Counter[WorkloadRef] = field(default_factory=Counter[WorkloadRef])
    _gone: set[WorkloadRef] = field(default_factory=set[WorkloadRef])
    _lately: dict[WorkloadRef, None] = field(default_factory=dict[WorkloadRef, None])

    def learn(self, ref: WorkloadRef, source: JsonObject) -> None:
        """Remember the owner of an object that goes by a name."""
        before, above = self._above.get(ref), _controller(source)
        self._gone.discard(ref)
        self._lately.pop(ref, None)
        self._above[ref] = above
        if above is not None:
            self._below[above] += 1
        if before is not None:
            self._leave(before)

    def forget(self, ref: WorkloadRef) -> None:
        """Forget an object that is gone, as soon as nothing below it is known any more; a pod some time later."""
        if ref.kind != "Pod":
            self._drop(ref)
            return
        self._lately[ref] = None
        if len(self._lately) > LATELY_GONE:
            oldest = next(iter(self._lately))
            del self._lately[oldest]
            self._drop(oldest)

    def unknown(self, ref: WorkloadRef) -> WorkloadRef | None:
        """Return the first object on the way up whose owner is not known; None if the way is known."""
        return next((at for at in self._way(ref) if at.kind in _BETWEEN and at not in self._above), None)

    def top_of(self, ref: WorkloadRef) -> WorkloadRef:
        """Return the workload that an object belongs to, as far as it was seen; itself if nothing owns it."""
        *_, top = self._way(ref)
        return top

    def _drop(self, ref: WorkloadRef) -> None:
        self._gone.add(ref)
        self._drop_unused(ref)

    def _leave(self, above: WorkloadRef) -> None:
        self._below[above] -= 1
        if self._below[above] <= 0:
            del self._below[above]
        self._drop_unused(above)

    def _drop_unused(self, ref: WorkloadRef) -> None:
        if ref not in self._gone or ref in self._below:
            return
        self._gone.discard(ref)
        above = self._above.pop(ref, None)
        if above is not None:
            self._leave(above)

    def _way(self, ref: WorkloadRef) -> Iterator[WorkloadRef]:
        at: WorkloadRef | None = ref
        for _ in range(len(_BETWEEN) + 2):  # an owner that owns itself must not hang the collector
            if at is None:
                return
            yield at
            at = self._above.get(at)


def self_of(source: JsonObject, kind: str) -> WorkloadRef | None:
    """Return an object by its own name; None where it has no identity, so that nothing can be said of it."""
    ref = reference(source, kind)
    return WorkloadRef.named(kind, ref.name, namespace=ref.namespace) if ref.uid else None


def about(event: JsonObject) -> WorkloadRef | None:
    """Return the object that an event is about, by its name; None where it names none."""
    named = section(event, "involvedObject")
    namespace = text(named, "namespace") or CLUSTER_SCOPE
    return WorkloadRef.named(text(named, "kind"), text(named, "name"), namespace=namespace)


def _controller(source: JsonObject) -> WorkloadRef | None:
    metadata = section(source, "metadata")
    for owner in sections(metadata, "ownerReferences"):
        if owner.get("controller") is True:
            kind, namespace = text(owner, "kind"), text(metadata, "namespace") or CLUSTER_SCOPE
            is_static = kind == "Node"  # a static pod's, which is in a namespace though its node is in none
            return WorkloadRef.named(kind, text(owner, "name"), namespace=CLUSTER_SCOPE if is_static else namespace)
    return None
