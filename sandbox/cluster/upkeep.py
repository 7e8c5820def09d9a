"""The smaller controllers: disruption budgets, the scheduler, namespaces that end."""

from sandbox.cluster.documents import (
    Document,
    Json,
    ReadOnly,
    at,
    copy_of,
    ensured,
    is_leaving,
    labels_of,
    name_of,
    namespace_of,
    rows,
    text,
    texts,
    truth,
    whole,
)
from sandbox.cluster.plane import Plane, condition
from sandbox.cluster.pods import is_active, is_ready
from sandbox.cluster.resources import BUDGETS, NAMESPACES, NODES, PODS
from sandbox.cluster.selectors import selector_of, selects

_KUBE_SYSTEM = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})


def reconcile_budget(plane: Plane, budget: Document) -> None:
    """Count what a PodDisruptionBudget covers, and how much of it may go."""
    selector = selector_of(budget, "spec", "selector")
    pods = [one for one in plane.select(PODS, namespace_of(budget)) if selector and selects(selector, one)]
    active = [pod for pod in pods if is_active(pod)]
    healthy, desired = sum(map(is_ready, active)), _desired(budget, len(active))
    status: Document = {
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": len(active),
        "disruptionsAllowed": max(0, healthy - desired),
        "observedGeneration": whole(budget, "metadata", "generation"),
    }
    plane.set_status(BUDGETS, budget, status)


def schedule(plane: Plane, pod: Document) -> None:
    """Bind a pod to the fitting node with the fewest pods; say so where there is none."""
    if text(pod, "spec", "nodeName") or is_leaving(pod):
        return
    nodes = [node for node in plane.select(NODES) if _fits(pod, node)]
    if not nodes:
        message = f"0/{len(plane.select(NODES))} nodes are available"
        unscheduled = condition(
            "PodScheduled", holds=False, reason="Unschedulable", message=message, now=plane.clock.now()
        )
        if not rows(pod, "status", "conditions"):
            plane.set_status(PODS, pod, {"phase": "Pending", "conditions": [unscheduled]})
            plane.note(pod, "FailedScheduling", message, warning=True, source="default-scheduler")
        return
    load = [text(one, "spec", "nodeName") for one in plane.select(PODS)]
    chosen = min(nodes, key=lambda node: (load.count(name_of(node)), name_of(node)))
    bound = copy_of(pod)
    ensured(bound, "spec")["nodeName"] = name_of(chosen)
    plane.api.store.put(PODS, bound)
    message = f"Successfully assigned {namespace_of(pod)}/{name_of(pod)} to {name_of(chosen)}"
    plane.note(pod, "Scheduled", message, source="default-scheduler")


def empty_namespace(plane: Plane, namespace: Document) -> None:
    """Delete what a namespace holds that is going, and then the namespace."""
    if not is_leaving(namespace) or name_of(namespace) in _KUBE_SYSTEM:
        return
    for resource, document in plane.api.store.everything():
        if namespace_of(document) == name_of(namespace) and not is_leaving(document):
            plane.delete(resource, document)
    if plane.find(NAMESPACES, "", name=name_of(namespace)) is not None:
        plane.api.finish_namespace(name_of(namespace))


def _desired(budget: ReadOnly, expected: int) -> int:
    least = at(budget, "spec", "minAvailable")
    if least is not None:
        return _share(least, expected)
    return max(0, expected - _share(at(budget, "spec", "maxUnavailable"), expected))


def _share(told: Json, expected: int) -> int:
    if isinstance(told, int):
        return told
    return -(-expected * int(str(told or "0%").removesuffix("%")) // 100)


def _fits(pod: ReadOnly, node: ReadOnly) -> bool:
    if truth(node, "spec", "unschedulable"):
        return False
    conditions = rows(node, "status", "conditions")
    if not any(text(one, "type") == "Ready" and text(one, "status") == "True" for one in conditions):
        return False
    labels = labels_of(node)
    return all(labels.get(name) == value for name, value in texts(pod, "spec", "nodeSelector").items())
