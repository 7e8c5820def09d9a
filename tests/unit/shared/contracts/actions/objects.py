"""Builders of raw objects that actions are done to, each under the path at which it lies."""

from copy import deepcopy
from typing import Any

from shared.contracts.actions.preconditions import PROTECTED_LABEL

DEPLOYMENT = "/apis/apps/v1/namespaces/bank/deployments/web"
REPLICA_SETS = "/apis/apps/v1/namespaces/bank/replicasets"
POD = "/api/v1/namespaces/bank/pods/web-1"
CLAIM = "/api/v1/namespaces/bank/persistentvolumeclaims/books-ledger-0"
STORAGE_CLASS = "/apis/storage.k8s.io/v1/storageclasses/fast"
AUTOSCALER = "/apis/autoscaling/v2/namespaces/bank/horizontalpodautoscalers/busy"
PROTECTION = {PROTECTED_LABEL: "true"}


def deployment(*, limit: str = "128Mi", request: str = "64Mi", image: str = "v2", containers: int = 2) -> Any:
    """Return a Deployment of some containers."""
    return {
        "metadata": {"name": "web", "uid": "d", "resourceVersion": "7", "annotations": {"kept": "yes"}},
        "spec": {
            "replicas": 2,
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {
                            "name": f"c{number}",
                            "image": image,
                            "resources": {"limits": {"memory": limit, "cpu": "1"}, "requests": {"memory": request}},
                        }
                        for number in range(containers)
                    ]
                },
            },
        },
    }


def managed(source: Any, manager: str, fields: Any, **labels: str) -> Any:
    """Return an object of which a manager owns some fields."""
    metadata: Any = source["metadata"]
    nothing: Any = {}
    owned: Any = {
        "managedFields": [{"manager": "kubectl", "fieldsV1": nothing}, {"manager": manager, "fieldsV1": fields}]
    }
    return source | {"metadata": metadata | owned | {"labels": metadata.get("labels", {}) | labels}}


def made_by_operator(source: Any) -> Any:
    """Return an object that an operator made, for an object of a kind that was installed."""
    owner = {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "name": "ledger", "uid": "c", "controller": True}
    return source | {"metadata": source["metadata"] | {"ownerReferences": [owner]}}


def replica_set(revision: int, *, image: str, owner: str = "d", **metadata: str) -> Any:
    """Return a ReplicaSet of a Deployment's revision."""
    template = deployment(image=image)["spec"]["template"]
    labels = {"app": "web", "pod-template-hash": image}
    return {
        "metadata": {
            "name": f"web-{image}",
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "labels": labels,
            "ownerReferences": [{"kind": "Deployment", "name": "web", "uid": owner, "controller": True}],
            **metadata,
        },
        "spec": {"template": template | {"metadata": {"labels": labels}}},
    }


def pod(*, owner: tuple[str, str] | None = ("ReplicaSet", "web-v2"), **metadata: Any) -> Any:
    """Return a pod and who controls it."""
    owners = [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else []
    usual = {"name": "web-1", "uid": "p", "resourceVersion": "9", "ownerReferences": owners}
    return {"metadata": usual | metadata}


def with_limit(workload: Any, limit: str) -> Any:
    """Return a workload as it is once somebody gave its first container another limit."""
    changed = deepcopy(workload)
    changed["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = limit
    return changed


def written_by(manager: str, workload: Any, *, bound: str = "limits", at: str = "2026-01-01T00:00:00Z") -> Any:
    """Return a workload with a manager that wrote the memory of its first container."""
    resources: Any = {f"f:{bound}": {".": {}, "f:memory": {}}}
    containers: Any = {'k:{"name":"c0"}': {".": {}, "f:name": {}, "f:resources": resources}}
    fields: Any = {"f:spec": {"f:template": {"f:spec": {"f:containers": containers}}}}
    entry: Any = {"manager": manager, "operation": "Update", "time": at, "fieldsType": "FieldsV1", "fieldsV1": fields}
    known = workload["metadata"].get("managedFields", [])
    return {**workload, "metadata": {**workload["metadata"], "managedFields": [*known, entry]}}


def autoscaler(*, least: int | None = 2, most: int = 10, target: str = "web", **metadata: Any) -> Any:
    """Return a HorizontalPodAutoscaler of a Deployment."""
    bounds = {"maxReplicas": most} | ({"minReplicas": least} if least is not None else {})
    return {
        "metadata": {"name": "busy", "resourceVersion": "5"} | metadata,
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}, **bounds},
    }


def claim(*, asked: str = "10Gi", has: str = "10Gi", phase: str = "Bound", of: str = "fast", **status: Any) -> Any:
    """Return a PersistentVolumeClaim that a StatefulSet `ledger` made for its first pod."""
    return {
        "metadata": {"name": "books-ledger-0", "resourceVersion": "4"},
        "spec": {"storageClassName": of, "resources": {"requests": {"storage": asked}}},
        "status": {"phase": phase, "capacity": {"storage": has}} | status,
    }
