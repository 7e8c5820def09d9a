"""Kubernetes objects to signals. `at` is when the object says it came about, else when it was observed.

A container's moment is the start or end of its present state, an event's its last occurrence; what carries no time of
its own (a Deployment's counts, a node's cordon) has the time of observation.
"""

from collections.abc import Iterator
from datetime import datetime

from shared.contracts.model import JsonObject
from shared.contracts.objects import (
    OUR_COMPONENT,
    condition,
    flag,
    labels_of,
    moment,
    number,
    reference,
    section,
    sections,
    size_bytes,
    text,
)
from shared.contracts.signals import (
    ContainerSignal,
    ContainerState,
    EventSignal,
    NodeSignal,
    PodSignal,
    Signal,
    WorkloadSignal,
)
from shared.contracts.workloads import CLUSTER_SCOPE, ObjectRef, WorkloadRef
from shared.kernel.ids import derive
from shared.kernel.quantities import parse_whole

_MESSAGE_CHARS = 1_000
_STATUSES, _SPECS = ("initContainerStatuses", "containerStatuses"), ("initContainers", "containers")
"""Ephemeral containers are a person's, for debugging: how they end is no fault of the workload."""
_TEMPLATE_HASH = "pod-template-hash"
_REVISION = "deployment.kubernetes.io/revision"


def pod_signals(
    pod: JsonObject, workload: WorkloadRef, *, cluster: str, now: datetime, deleted: bool = False
) -> Iterator[Signal]:
    """Return what a pod says: one signal of the whole, one of each container that begins it or runs in it."""
    target, status = reference(pod, "Pod"), section(pod, "status")
    terminating = bool(text(section(pod, "metadata"), "deletionTimestamp"))
    yield PodSignal(
        id=_id(cluster, target, "deleted" if deleted else ""),
        at=now,
        cluster=cluster,
        workload=workload,
        object=target,
        phase=text(status, "phase") or "Unknown",
        reason=text(status, "reason"),
        message=text(status, "message")[:_MESSAGE_CHARS],
        scheduled=_holds(pod, "PodScheduled"),
        ready=_holds(pod, "Ready"),
        terminating=terminating,
        deleted=deleted,
        node=text(section(pod, "spec"), "nodeName"),
        labels=labels_of(pod),
    )
    if terminating or deleted:
        return  # how a container ends that is being removed is no fault
    for statuses in _STATUSES:
        for container in sections(pod, "status", statuses):
            yield _container(pod, container, workload, cluster=cluster, now=now)


def workload_signal(
    source: JsonObject, workload: WorkloadRef, *, cluster: str, now: datetime, deleted: bool = False
) -> WorkloadSignal:
    """Return how a Deployment, StatefulSet or DaemonSet is: healthy when all that is wanted is there, new and ready."""
    target, status = reference(source, workload.kind), section(source, "status")
    metadata = section(source, "metadata")
    desired, ready, updated, available, total = _counts(source, workload.kind)
    is_current = number(status, "observedGeneration") >= number(metadata, "generation")
    progressing = condition(source, "Progressing")
    return WorkloadSignal(
        id=_id(cluster, target, "deleted" if deleted else ""),
        at=now,
        cluster=cluster,
        workload=workload,
        object=target,
        healthy=is_current and not deleted and desired == ready == updated == available == total,
        desired=desired,
        ready=ready,
        updated=updated,
        available=available,
        unavailable=max(0, desired - available),
        revision=_revision(metadata),
        reason=text(progressing, "reason"),
        message=text(progressing, "message")[:_MESSAGE_CHARS],
        paused=flag(section(source, "spec"), "paused"),
        deleted=deleted,
        labels=labels_of(source),
    )


def node_signal(
    node: JsonObject, workload: WorkloadRef, *, cluster: str, now: datetime, deleted: bool = False
) -> NodeSignal:
    """Return how a node is."""
    target, ready = reference(node, "Node"), condition(node, "Ready")
    memory, disk, pid = (_holds(node, kind) for kind in ("MemoryPressure", "DiskPressure", "PIDPressure"))
    is_ready = text(ready, "status") == "True" and not deleted
    changed = moment(ready, "lastTransitionTime")
    return NodeSignal(
        id=_id(cluster, target, "deleted" if deleted else ""),
        at=changed if changed is not None and not deleted else now,
        cluster=cluster,
        workload=workload,
        object=target,
        healthy=is_ready and not (memory or disk or pid),
        ready=is_ready,
        reason=text(ready, "reason"),
        message=text(ready, "message")[:_MESSAGE_CHARS],
        unschedulable=flag(section(node, "spec"), "unschedulable"),
        memory_pressure=memory,
        disk_pressure=disk,
        pid_pressure=pid,
        deleted=deleted,
        labels=labels_of(node),
    )


def event_signal(event: JsonObject, workload: WorkloadRef, *, cluster: str, now: datetime) -> EventSignal:
    """Return a Kubernetes event; each further count of it is a signal of its own."""
    about, series = section(event, "involvedObject"), section(event, "series")
    count = max(1, number(event, "count"), number(series, "count"))
    return EventSignal(
        id=derive("signal", cluster, "event", text(section(event, "metadata"), "uid"), count),
        at=event_moment(event) or now,
        cluster=cluster,
        workload=workload,
        object=ObjectRef(
            kind=text(about, "kind"),
            namespace=text(about, "namespace") or CLUSTER_SCOPE,
            name=text(about, "name"),
            uid=text(about, "uid"),
        ),
        reason=text(event, "reason"),
        event_type=text(event, "type"),
        message=text(event, "message")[:_MESSAGE_CHARS],
        count=count,
        component=text(section(event, "source"), "component") or text(event, "reportingComponent"),
    )


def is_ours(event: JsonObject) -> bool:
    """Tell whether an event is one that the remediator wrote about its own command."""
    return OUR_COMPONENT in {text(section(event, "source"), "component"), text(event, "reportingComponent")}


def event_moment(event: JsonObject) -> datetime | None:
    """Return when an event occurred last, by whichever of its fields tells it."""
    series = section(event, "series")
    moments = (
        moment(series, "lastObservedTime"),
        moment(event, "lastTimestamp"),
        moment(event, "eventTime"),
        moment(section(event, "metadata"), "creationTimestamp"),
    )
    return next((found for found in moments if found is not None), None)


def _holds(source: JsonObject, kind: str) -> bool:
    return text(condition(source, kind), "status") == "True"


def _container(
    pod: JsonObject, status: JsonObject, workload: WorkloadRef, *, cluster: str, now: datetime
) -> ContainerSignal:
    target, name = reference(pod, "Pod"), text(status, "name")
    state = _state_of(status)
    details = section(status, "state", state.value)
    last = section(status, "lastState", "terminated")
    return ContainerSignal(
        id=_id(cluster, target, name),
        at=_since(details) or _since(last) or now,
        cluster=cluster,
        workload=workload,
        object=target,
        container=name,
        image=text(status, "image"),
        state=state,
        reason=text(details, "reason"),
        message=text(details, "message")[:_MESSAGE_CHARS],
        exit_code=number(details, "exitCode"),
        ready=flag(status, "ready"),
        restarts=number(status, "restartCount"),
        last_reason=text(last, "reason"),
        last_exit_code=number(last, "exitCode"),
        memory_limit_bytes=_memory_limit(pod, name),
        node=text(section(pod, "spec"), "nodeName"),
        template_hash=text(section(pod, "metadata", "labels"), _TEMPLATE_HASH),
        labels=labels_of(pod),
    )


def _state_of(status: JsonObject) -> ContainerState:
    state = section(status, "state")
    return next((known for known in ContainerState if known.value in state), ContainerState.WAITING)


def _since(details: JsonObject) -> datetime | None:
    return moment(details, "finishedAt") or moment(details, "startedAt")


def _memory_limit(pod: JsonObject, name: str) -> int:
    specs = (container for part in _SPECS for container in sections(pod, "spec", part))
    found = next((container for container in specs if text(container, "name") == name), None)
    return size_bytes(section(found, "resources", "limits"), "memory") if found is not None else 0


def _counts(source: JsonObject, kind: str) -> tuple[int, int, int, int, int]:
    """Return desired, ready, updated, available and all replicas."""
    status = section(source, "status")
    if kind == "DaemonSet":
        desired = number(status, "desiredNumberScheduled")
        total = number(status, "currentNumberScheduled")
        names = ("numberReady", "updatedNumberScheduled", "numberAvailable")
    else:
        desired = number(section(source, "spec"), "replicas", 1)
        total = number(status, "replicas")
        names = ("readyReplicas", "updatedReplicas", "availableReplicas")
    ready, updated, available = (number(status, name) for name in names)
    return desired, ready, updated, available, total


def _revision(metadata: JsonObject) -> int:
    return parse_whole(text(section(metadata, "annotations"), _REVISION)) or 0


def _id(cluster: str, target: ObjectRef, part: str = "") -> str:
    return derive("signal", cluster, target.kind, target.uid, target.resource_version, part)
