"""What the API server fills in where a writer left it out."""

from base64 import b64encode
from collections.abc import Callable

from sandbox.cluster.documents import Document, Json, at, copied, ensured, rows, section, text, texts
from sandbox.cluster.resources import (
    BUDGETS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_DEFAULTS: Document = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_POD_DEFAULTS: Document = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_CONTAINER_DEFAULTS: Document = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}


def fill_defaults(resource: Resource, document: Document) -> None:
    """Complete an object in place."""
    fill = _FILLERS.get(resource)
    if fill:
        fill(document)


def _fill(document: Document, defaults: Document) -> None:
    for key, value in defaults.items():
        document.setdefault(key, copied(value))


def _fill_pod_spec(spec: Document) -> None:
    _fill(spec, _POD_DEFAULTS)
    for container in (*rows(spec, "initContainers"), *rows(spec, "containers")):
        _fill_container(container)


def _fill_container(container: Document) -> None:
    _fill(container, _CONTAINER_DEFAULTS)
    container.setdefault("imagePullPolicy", _pull_policy(text(container, "image")))
    for port in rows(container, "ports"):
        port.setdefault("protocol", "TCP")
    for probe in _PROBES:
        _fill_probe(section(container, probe))


def _fill_probe(probe: Document) -> None:
    if not probe:
        return
    _fill(probe, _PROBE_DEFAULTS)
    if "httpGet" in probe:
        _fill(section(probe, "httpGet"), {"path": "/", "scheme": "HTTP"})


def _pull_policy(image: str) -> str:
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in {"", "latest"} and "@" not in image else "IfNotPresent"


def _fill_pod(pod: Document) -> None:
    spec = ensured(pod, "spec")
    _fill_pod_spec(spec)
    _fill(spec, {"serviceAccountName": "default", "serviceAccount": "default", "enableServiceLinks": True})
    _fill(spec, {"preemptionPolicy": "PreemptLowerPriority", "priority": 0})
    for container in (*rows(spec, "initContainers"), *rows(spec, "containers")):
        _request_what_is_limited(container)
    _tolerate_lost_nodes(spec)


def _request_what_is_limited(container: Document) -> None:
    limits = section(container, "resources", "limits")
    if limits:
        _fill(ensured(container, "resources", "requests"), limits)


def _tolerate_lost_nodes(spec: Document) -> None:
    tolerations = rows(spec, "tolerations")
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(text(one, "key") in {key, ""} for one in tolerations):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
    filled: list[Json] = [*tolerations]
    spec["tolerations"] = filled


def _fill_deployment(deployment: Document) -> None:
    spec = ensured(deployment, "spec")
    _fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600})
    strategy = ensured(spec, "strategy")
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(ensured(strategy, "rollingUpdate"), {"maxSurge": "25%", "maxUnavailable": "25%"})
    _fill_template(spec)


def _fill_template(spec: Document) -> None:
    if at(spec, "template", "spec") is not None:
        _fill_pod_spec(section(spec, "template", "spec"))


def _fill_replica_set(replica_set: Document) -> None:
    spec = ensured(replica_set, "spec")
    _fill(spec, {"replicas": 1})
    _fill_template(spec)


def _fill_stateful_set(stateful_set: Document) -> None:
    spec = ensured(stateful_set, "spec")
    _fill(spec, {"replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady"})
    _fill(ensured(spec, "updateStrategy"), {"type": "RollingUpdate"})
    if section(spec, "updateStrategy")["type"] == "RollingUpdate":
        _fill(ensured(spec, "updateStrategy", "rollingUpdate"), {"partition": 0})
    _fill_template(spec)


def _fill_daemon_set(daemon_set: Document) -> None:
    spec = ensured(daemon_set, "spec")
    _fill(spec, {"revisionHistoryLimit": 10})
    _fill(ensured(spec, "updateStrategy"), {"type": "RollingUpdate"})
    _fill_template(spec)


def _fill_job(job: Document) -> None:
    spec = ensured(job, "spec")
    _fill(spec, {"parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed"})
    _fill(spec, {"suspend": False})
    _fill_template(spec)


def _fill_cron_job(cron_job: Document) -> None:
    spec = ensured(cron_job, "spec")
    _fill(spec, {"concurrencyPolicy": "Allow", "suspend": False})
    _fill(spec, {"successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1})


def _fill_service(service: Document) -> None:
    spec = ensured(service, "spec")
    _fill(spec, {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"})
    for port in rows(spec, "ports"):
        _fill(port, {"protocol": "TCP", "targetPort": port.get("port")})


def _fill_namespace(namespace: Document) -> None:
    labels = ensured(namespace, "metadata", "labels")
    labels["kubernetes.io/metadata.name"] = text(namespace, "metadata", "name")
    _fill(ensured(namespace, "spec"), {"finalizers": ["kubernetes"]})
    _fill(ensured(namespace, "status"), {"phase": "Active"})


def _fill_secret(secret: Document) -> None:
    _fill(secret, {"type": "Opaque"})
    plain = texts(secret, "stringData")
    secret.pop("stringData", None)
    for key, value in plain.items():
        ensured(secret, "data")[key] = b64encode(value.encode()).decode()


def _fill_budget(budget: Document) -> None:
    ensured(budget, "spec")


def _fill_node(node: Document) -> None:
    ensured(node, "spec")


_FILLERS: dict[Resource, Callable[[Document], None]] = {
    PODS: _fill_pod,
    DEPLOYMENTS: _fill_deployment,
    REPLICA_SETS: _fill_replica_set,
    STATEFUL_SETS: _fill_stateful_set,
    DAEMON_SETS: _fill_daemon_set,
    JOBS: _fill_job,
    CRON_JOBS: _fill_cron_job,
    SERVICES: _fill_service,
    NAMESPACES: _fill_namespace,
    SECRETS: _fill_secret,
    BUDGETS: _fill_budget,
    NODES: _fill_node,
}
