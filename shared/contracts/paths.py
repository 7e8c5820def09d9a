"""Where an API server keeps the objects that are read, to be told of or to be changed."""

from collections.abc import Mapping

from shared.contracts.workloads import WorkloadRef

COLLECTIONS: Mapping[str, str] = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "CronJob": "/apis/batch/v1/namespaces/{}/cronjobs",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Node": "/api/v1/nodes",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "Service": "/api/v1/namespaces/{}/services",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
}
"""By kind: of what commands are about, of what lies between that and its pods, and of what else is changed for it.

A node's names no namespace.
"""

BUDGETS = "/apis/policy/v1/namespaces/{}/poddisruptionbudgets"
QUOTAS = "/api/v1/namespaces/{}/resourcequotas"
RANGES = "/api/v1/namespaces/{}/limitranges"
HORIZONTAL_AUTOSCALERS = COLLECTIONS["HorizontalPodAutoscaler"]
NODES = COLLECTIONS["Node"]
EVERY_POD = "/api/v1/pods"
VERTICAL_AUTOSCALERS = "/apis/autoscaling.k8s.io/v1/namespaces/{}/verticalpodautoscalers"
"""Of the autoscaler that is installed apart; where it is not there is no such path."""


def collection_of(kind: str, namespace: str) -> str:
    """Return the path of all objects of a known kind in a namespace.

    Raises:
        KeyError: the kind is none of these.
    """
    return COLLECTIONS[kind].format(namespace)


def path_of(ref: WorkloadRef) -> str | None:
    """Return the path of an object; None of a kind that cannot be read."""
    return f"{collection_of(ref.kind, ref.namespace)}/{ref.name}" if ref.kind in COLLECTIONS else None
