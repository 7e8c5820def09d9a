"""Prometheus' labels: which workload a sample or an alert is about."""

from collections.abc import Mapping

from shared.contracts.workloads import CLUSTER_SCOPE, WorkloadRef

_OWNERS = (
    ("deployment", "Deployment"),
    ("statefulset", "StatefulSet"),
    ("daemonset", "DaemonSet"),
    ("job_name", "Job"),
    ("pod", "Pod"),
)


def workload_of(labels: Mapping[str, str]) -> WorkloadRef | None:
    """Return the workload that labels name, as kube-state-metrics writes them; None where they name none."""
    namespace = labels.get("namespace", "")
    for label, kind in _OWNERS:
        if namespace and labels.get(label):
            return WorkloadRef.named(kind, labels[label], namespace=namespace)
    return WorkloadRef.named("Node", labels.get("node", ""), namespace=CLUSTER_SCOPE)
