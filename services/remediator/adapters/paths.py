"""Where the API server keeps the objects that are read to be told of."""

from collections.abc import Mapping

from shared.contracts.workloads import WorkloadRef

PATHS: Mapping[str, str] = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments/{}",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets/{}",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets/{}",
    "Job": "/apis/batch/v1/namespaces/{}/jobs/{}",
    "CronJob": "/apis/batch/v1/namespaces/{}/cronjobs/{}",
    "Pod": "/api/v1/namespaces/{}/pods/{}",
}
"""Of the kinds that commands are about."""


def path_of(workload: WorkloadRef) -> str | None:
    """Return the path of a workload's own object; None of a kind that cannot be read, or that has no namespace."""
    path = PATHS.get(workload.kind)
    return path.format(workload.namespace, workload.name) if path else None
