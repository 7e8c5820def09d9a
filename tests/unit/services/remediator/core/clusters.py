"""Builders of what a prediction is made from: pods, nodes, workloads, budgets, quotas and ranges as they are read."""

from typing import Any

QUANTITY = {"cpu": "m", "memory": "Mi"}


def pod(
    name: str, *, owner: str = "web-v2", kind: str = "ReplicaSet", ready: bool = True, node: str = "", **asks: int
) -> Any:
    """Return a pod of an owner, on a node, that asks for resources (cpu in thousandths, memory in mebibytes)."""
    owners = [{"kind": kind, "name": owner, "controller": True}]
    return {
        "metadata": {"name": name, "namespace": "bank", "labels": {"app": "web"}, "ownerReferences": owners},
        "spec": {"nodeName": node, **spec(**asks)},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def spec(*, limits: Any = None, **asks: int) -> Any:
    """Return the specification of a pod with one container."""
    requests = {name: f"{amount}{QUANTITY[name]}" for name, amount in asks.items()}
    return {"containers": [{"name": "server", "resources": {"requests": requests, "limits": limits or {}}}]}


def workload(*, replicas: int = 3, strategy: Any = None, image: str = "v2", **asks: int) -> Any:
    """Return a Deployment, a StatefulSet or a DaemonSet: what of them is read is the same."""
    inner = spec(**asks)
    inner["containers"][0]["image"] = image
    template = {"metadata": {"labels": {"app": "web"}}, "spec": inner}
    update: Any = {"strategy": strategy or {}, "updateStrategy": strategy or {}}
    return {
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "template": template, **update},
        "status": {"desiredNumberScheduled": replicas},
    }


def node(
    name: str = "a", *, pods: int = 110, taints: Any = (), labels: Any = None, unschedulable: bool = False, **can: int
) -> Any:
    """Return a node that can give resources (cpu in thousandths, memory in mebibytes)."""
    amounts = {name: f"{amount}{QUANTITY[name]}" for name, amount in can.items()}
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"taints": list(taints), "unschedulable": unschedulable},
        "status": {"allocatable": {**amounts, "pods": str(pods)}},
    }


def budget(*, healthy: int = 3, wanted: int = 2, selector: Any = None) -> Any:
    """Return a PodDisruptionBudget of the workload's pods."""
    chosen = {"matchLabels": {"app": "web"}} if selector is None else selector
    status = {"currentHealthy": healthy, "desiredHealthy": wanted, "disruptionsAllowed": healthy - wanted}
    return {"metadata": {"name": "web-pdb"}, "spec": {"selector": chosen}, "status": status}


def quota(*, hard: Any, used: Any, **specified: Any) -> Any:
    """Return a ResourceQuota."""
    return {"metadata": {"name": "compute"}, "spec": specified, "status": {"hard": hard, "used": used}}


def limits(kind: str = "Container", **parts: Any) -> Any:
    """Return a LimitRange."""
    return {"metadata": {"name": "sizes"}, "spec": {"limits": [{"type": kind, **parts}]}}
