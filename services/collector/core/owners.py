"""Who owns what: from a pod through its ReplicaSet or Job to the workload on top."""

from dataclasses import dataclass, field

from services.collector.core.objects import reference, section, sections, text
from shared.contracts.model import JsonObject
from shared.contracts.workloads import CLUSTER_SCOPE, WorkloadRef

_BETWEEN = frozenset({"ReplicaSet", "Job", "Pod"})
"""Kinds that may have an owner of their own."""


@dataclass(slots=True)
class Owners:
    """The owner of each object between pods and workloads, as far as it was seen."""

    _above: dict[WorkloadRef, WorkloadRef | None] = field(default_factory=dict[WorkloadRef, "WorkloadRef | None"])

    def learn(self, source: JsonObject, kind: str) -> None:
        """Remember an object's owner."""
        self._above[self_of(source, kind)] = _controller(source)

    def forget(self, source: JsonObject, kind: str) -> None:
        """Forget an object that is gone."""
        self._above.pop(self_of(source, kind), None)

    def unknown(self, source: JsonObject) -> WorkloadRef | None:
        """Return the first object on the way up whose owner is not known; None if the way is known."""
        at = _controller(source)
        while at is not None and at.kind in _BETWEEN:
            if at not in self._above:
                return at
            at = self._above[at]
        return None

    def top(self, source: JsonObject, kind: str) -> WorkloadRef:
        """Return the workload that an object belongs to; the object itself if nothing owns it."""
        return self._climb(_controller(source) or self_of(source, kind))

    def top_of(self, ref: WorkloadRef) -> WorkloadRef:
        """Return the workload that a named object belongs to, as far as it was seen."""
        return self._climb(ref)

    def _climb(self, at: WorkloadRef) -> WorkloadRef:
        for _ in range(len(_BETWEEN) + 1):  # an owner that owns itself must not hang the collector
            above = self._above.get(at)
            if above is None:
                return at
            at = above
        return at


def self_of(source: JsonObject, kind: str) -> WorkloadRef:
    """Return an object by its own name."""
    ref = reference(source, kind)
    return WorkloadRef(kind=ref.kind, namespace=ref.namespace, name=ref.name)


def _controller(source: JsonObject) -> WorkloadRef | None:
    metadata = section(source, "metadata")
    for owner in sections(metadata, "ownerReferences"):
        if owner.get("controller") is True:
            namespace = text(metadata, "namespace") or CLUSTER_SCOPE
            return WorkloadRef(kind=text(owner, "kind"), namespace=namespace, name=text(owner, "name"))
    return None
