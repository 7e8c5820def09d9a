"""The ReplicaSet and StatefulSet controllers: as many pods as are wanted, each set in its own way."""

from sandbox.cluster.claims import claim
from sandbox.cluster.documents import (
    Document,
    ReadOnly,
    ensured,
    is_leaving,
    name_of,
    namespace_of,
    section,
    text,
    whole,
)
from sandbox.cluster.names import template_hash
from sandbox.cluster.plane import Plane, controlled_by
from sandbox.cluster.pods import is_active, is_ready, label_of, pod_of
from sandbox.cluster.resources import PODS, REPLICA_SETS, STATEFUL_SETS, Resource
from sandbox.cluster.writes import Target

REVISION_LABEL = "controller-revision-hash"


def reconcile_replica_set(plane: Plane, replica_set: Document) -> None:
    """Bring the number of a ReplicaSet's pods, and its status, closer to its spec."""
    if is_leaving(replica_set):
        return
    claim(plane, PODS, by=(REPLICA_SETS, replica_set))
    active = [pod for pod in plane.owned(PODS, replica_set) if is_active(pod)]
    wanted = whole(replica_set, "spec", "replicas")
    for _ in range(wanted - len(active)):
        _create(plane, REPLICA_SETS, replica_set, name="")
    for pod in sorted(active, key=_worth)[: max(0, len(active) - wanted)]:
        plane.delete(PODS, pod)
        message = f"Deleted pod: {name_of(pod)}"
        plane.note(replica_set, "SuccessfulDelete", message, source="replicaset-controller")
    left = [pod for pod in plane.owned(PODS, replica_set) if is_active(pod)]
    ready = sum(map(is_ready, left))
    status: Document = {
        "replicas": len(left),
        "fullyLabeledReplicas": len(left),
        "readyReplicas": ready,
        "availableReplicas": ready,
    }
    told: Document = {name: count for name, count in status.items() if count or name == "replicas"}
    plane.set_status(
        REPLICA_SETS, replica_set, told | {"observedGeneration": whole(replica_set, "metadata", "generation")}
    )


def reconcile_stateful_set(plane: Plane, stateful_set: Document) -> None:
    """Bring a StatefulSet's pods closer to its spec: one after the other, from the highest when they are renewed."""
    if is_leaving(stateful_set):
        return
    wanted, revision = whole(stateful_set, "spec", "replicas", default=1), _revision(stateful_set)
    pods = {_ordinal(pod): pod for pod in plane.owned(PODS, stateful_set)}
    _step(plane, stateful_set, pods, wanted=wanted)
    pods = {_ordinal(pod): pod for pod in plane.owned(PODS, stateful_set) if is_active(pod)}
    ready = sum(map(is_ready, pods.values()))
    updated = sum(label_of(pod, REVISION_LABEL) == revision for pod in pods.values())
    before = text(stateful_set, "status", "currentRevision", default=revision)
    status: Document = {
        "replicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "updatedReplicas": updated,
        "currentReplicas": sum(label_of(pod, REVISION_LABEL) == before for pod in pods.values()),
        "currentRevision": revision if updated == ready == wanted else before,
        "updateRevision": revision,
        "collisionCount": 0,
        "observedGeneration": whole(stateful_set, "metadata", "generation"),
    }
    plane.set_status(STATEFUL_SETS, stateful_set, status)


def _step(plane: Plane, stateful_set: Document, pods: dict[int, Document], *, wanted: int) -> None:
    """Do the next thing, if what was done before it has become ready."""
    parallel = text(stateful_set, "spec", "podManagementPolicy") == "Parallel"
    for ordinal in range(wanted):
        pod = pods.get(ordinal)
        if pod is None:
            _create(plane, STATEFUL_SETS, stateful_set, name=f"{name_of(stateful_set)}-{ordinal}")
        if not parallel and (pod is None or is_leaving(pod) or not is_ready(pod)):
            return _renew_broken(plane, stateful_set, pod)
    beyond = [ordinal for ordinal in pods if ordinal >= wanted]
    if beyond:
        plane.delete(PODS, pods[max(beyond)])
        return None
    return _renew(plane, stateful_set, pods)


def _renew_broken(plane: Plane, stateful_set: Document, pod: Document | None) -> None:
    """Replace a pod of an old revision that does not become ready, or a rollback could never mend it."""
    if pod is not None and not is_leaving(pod) and label_of(pod, REVISION_LABEL) != _revision(stateful_set):
        plane.delete(PODS, pod)


def _renew(plane: Plane, stateful_set: Document, pods: dict[int, Document]) -> None:
    if text(stateful_set, "spec", "updateStrategy", "type") == "OnDelete":
        return
    least = whole(stateful_set, "spec", "updateStrategy", "rollingUpdate", "partition")
    old = [
        ordinal
        for ordinal, pod in pods.items()
        if label_of(pod, REVISION_LABEL) != _revision(stateful_set) and ordinal >= least
    ]
    if old and not is_leaving(pods[max(old)]):
        plane.delete(PODS, pods[max(old)])


def _revision(stateful_set: ReadOnly) -> str:
    return f"{name_of(stateful_set)}-{template_hash(section(stateful_set, 'spec', 'template'), 0)}"


def _ordinal(pod: ReadOnly) -> int:
    tail = name_of(pod).rpartition("-")[2]
    return int(tail) if tail.isdecimal() else -1


def _create(plane: Plane, resource: Resource, owner: Document, *, name: str) -> None:
    labels = _numbered(owner, name) if name else {}
    pod = pod_of(section(owner, "spec", "template"), owner=controlled_by(resource, owner), labels=labels)
    metadata = ensured(pod, "metadata")
    if name:
        metadata["name"] = name
    else:
        metadata["generateName"] = f"{name_of(owner)}-"
    made = plane.api.create(Target(PODS, namespace_of(owner)), pod)
    source = "replicaset-controller" if resource is REPLICA_SETS else "statefulset-controller"
    plane.note(owner, "SuccessfulCreate", f"Created pod: {name_of(made)}", source=source)


def _numbered(stateful_set: ReadOnly, name: str) -> dict[str, str]:
    return {
        REVISION_LABEL: _revision(stateful_set),
        "statefulset.kubernetes.io/pod-name": name,
        "apps.kubernetes.io/pod-index": name.rpartition("-")[2],
    }


def _worth(pod: ReadOnly) -> tuple[bool, bool, str]:
    """Order pods by what is lost with them: those not placed, then those not ready, then the youngest."""
    return bool(text(pod, "spec", "nodeName")), is_ready(pod), _reversed(text(pod, "metadata", "creationTimestamp"))


def _reversed(stamp: str) -> str:
    return "".join(chr(0x10FFFF - ord(one)) for one in stamp)
