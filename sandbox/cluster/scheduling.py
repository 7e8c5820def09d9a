"""The scheduler: a pod goes to the fitting node with the fewest pods; where none fits, the pod says why."""

from collections import Counter

from sandbox.cluster.documents import (
    Document,
    ReadOnly,
    copy_of,
    ensured,
    is_leaving,
    labels_of,
    name_of,
    namespace_of,
    rows,
    section,
    text,
    texts,
    truth,
)
from sandbox.cluster.plane import Plane, condition
from sandbox.cluster.pods import is_active
from sandbox.cluster.resources import NODES, PODS
from shared.kernel.quantities import parse_quantity

_SOURCE = "default-scheduler"
_KEEPS_AWAY = frozenset({"NoSchedule", "NoExecute"})


def schedule(plane: Plane, pod: Document) -> None:
    """Bind a pod to a node, or say why it stays without one."""
    if text(pod, "spec", "nodeName") or is_leaving(pod):
        return
    placed = [one for one in plane.select(PODS) if text(one, "spec", "nodeName")]
    nodes = {name_of(node): obstacle(pod, node, placed) for node in plane.select(NODES)}
    fitting = [name for name, against in nodes.items() if not against]
    if not fitting:
        _leave(plane, pod, against=Counter(nodes.values()))
        return
    load = Counter(text(one, "spec", "nodeName") for one in placed)
    chosen = min(fitting, key=lambda name: (load[name], name))
    bound = copy_of(pod)
    ensured(bound, "spec")["nodeName"] = chosen
    plane.api.store.put(PODS, bound)
    message = f"Successfully assigned {namespace_of(pod)}/{name_of(pod)} to {chosen}"
    plane.note(pod, "Scheduled", message, source=_SOURCE)


def obstacle(pod: ReadOnly, node: ReadOnly, placed: list[Document]) -> str:
    """Return what keeps a pod from a node, as the scheduler words it; empty if nothing does."""
    if truth(node, "spec", "unschedulable"):
        return "node(s) were unschedulable"
    if not _is_ready(node):
        return "node(s) had untolerated taint(s)"
    labels = labels_of(node)
    if any(labels.get(name) != value for name, value in texts(pod, "spec", "nodeSelector").items()):
        return "node(s) didn't match Pod's node affinity/selector"
    if not all(_is_tolerated(taint, pod) for taint in rows(node, "spec", "taints")):
        return "node(s) had untolerated taint(s)"
    return _shortage(pod, node, placed)


def _leave(plane: Plane, pod: Document, *, against: Counter[str]) -> None:
    told = ", ".join(f"{count} {what}" for what, count in sorted(against.items()))
    message = f"0/{against.total()} nodes are available: {told}."
    waits = condition("PodScheduled", holds=False, reason="Unschedulable", message=message, now=plane.clock.now())
    known = [text(one, "message") for one in rows(pod, "status", "conditions") if text(one, "type") == "PodScheduled"]
    if known != [message]:
        plane.set_status(PODS, pod, {**section(pod, "status"), "conditions": [waits]})
        plane.note(pod, "FailedScheduling", message, warning=True, source=_SOURCE)


def _is_ready(node: ReadOnly) -> bool:
    conditions = rows(node, "status", "conditions")
    return any(text(one, "type") == "Ready" and text(one, "status") == "True" for one in conditions)


def _is_tolerated(taint: ReadOnly, pod: ReadOnly) -> bool:
    if text(taint, "effect") not in _KEEPS_AWAY:
        return True
    return any(_tolerates(one, taint) for one in rows(pod, "spec", "tolerations"))


def _tolerates(toleration: ReadOnly, taint: ReadOnly) -> bool:
    if text(toleration, "effect") not in {"", text(taint, "effect")}:
        return False
    key, operator = text(toleration, "key"), text(toleration, "operator", default="Equal")
    if operator == "Exists":
        return key in {"", text(taint, "key")}
    return key == text(taint, "key") and text(toleration, "value") == text(taint, "value")


def _shortage(pod: ReadOnly, node: ReadOnly, placed: list[Document]) -> str:
    here = [one for one in placed if text(one, "spec", "nodeName") == name_of(node) and is_active(one)]
    room = texts(node, "status", "allocatable")
    for resource in ("cpu", "memory"):
        wanted, taken = _requested(pod, resource), sum(_requested(one, resource) for one in here)
        if wanted and resource in room and taken + wanted > parse_quantity(room[resource]):
            return f"Insufficient {resource}"
    return ""


def _requested(pod: ReadOnly, resource: str) -> float:
    requests = (texts(one, "resources", "requests") for one in rows(pod, "spec", "containers"))
    return sum(float(parse_quantity(one.get(resource, "0"))) for one in requests)
