"""Objects that the tests of rights ask for: none of them runs, so that each stays as it was laid out."""

from collections.abc import Mapping
from typing import Any

BANK = "bank"
"""The namespace that is healed, as the shipped RoleBinding says."""
QUIET = "bank-quiet"
"""A namespace that is protected by its label."""
PROTECTED = {"sre-agent.dev/protected": "true"}
TOKEN = "sre-agent.dev/token"
IMAGE = "localhost/busybox:1"
KINDS = ("Deployment", "StatefulSet", "DaemonSet")


def laid_out() -> list[Any]:
    """Return all objects: a target of each kind, and those that are protected by one label or another."""
    on_workload, on_template = workload("guarded"), workload("inside")
    on_workload["metadata"]["labels"] |= PROTECTED
    on_template["spec"]["template"]["metadata"]["labels"] |= PROTECTED
    return [
        waiting_pod("target", labels={"team": "bank"}),
        waiting_pod("guarded", labels=PROTECTED),
        *(workload("target", kind=kind) for kind in KINDS),
        on_workload,
        on_template,
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": QUIET, "labels": PROTECTED}},
        workload("target", namespace=QUIET),
    ]


def path_of(document: Any) -> str:
    """Return the path of an object."""
    version, kind, metadata = document["apiVersion"], document["kind"].lower(), document["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    scope = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    plural = f"{kind.removesuffix('y')}ies" if kind.endswith("y") else f"{kind}{'es' if kind.endswith('s') else 's'}"
    return f"{root}{scope}/{plural}/{metadata['name']}"


def container(**more: Any) -> dict[str, Any]:
    """Return a container."""
    return {"name": "server", "image": IMAGE, **more}


def workload(name: str, *, namespace: str = BANK, kind: str = "Deployment") -> dict[str, Any]:
    """Return a workload without pods, under token 7."""
    pod = {
        "containers": [container(securityContext={"allowPrivilegeEscalation": False})],
        "initContainers": [container(name="first")],
    }
    replicas = {} if kind == "DaemonSet" else {"replicas": 0}
    service = {"serviceName": name} if kind == "StatefulSet" else {}
    nowhere = {"nodeSelector": {"node": "nowhere"}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"team": "bank"},
            "annotations": {TOKEN: "7", "team": "bank"},
        },
        "spec": {
            **replicas,
            **service,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {**pod, **nowhere}},
        },
    }


def waiting_pod(name: str, *, namespace: str = BANK, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return a pod that no scheduler takes up: it stays as it is."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels or {})},
        "spec": {"schedulerName": "nobody", "containers": [container()]},
    }


def register(says: str = "1") -> dict[str, Any]:
    """Return the register, with the highest token of all leaders."""
    metadata = {"name": "sre-agent-remediator", "namespace": "sre-agent", "annotations": {TOKEN: says}}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}


def eviction(name: str, uid: str, *, namespace: str = BANK, under: str = "8") -> dict[str, Any]:
    """Return an eviction as the remediator asks for it."""
    return {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace, "annotations": {TOKEN: under}},
        "deleteOptions": {"preconditions": {"uid": uid}},
    }


def running(name: str, *, namespace: str = BANK, kind: str = "Deployment") -> dict[str, Any]:
    """Return a workload whose one pod runs on the real node, within 64Mi; a Job's waits, or a job would be done."""
    document = workload(name, namespace=namespace, kind=kind if kind in KINDS else "Deployment")
    document["metadata"] = {"name": name, "namespace": namespace}
    spec = document["spec"]
    spec["template"]["spec"] = {
        "containers": [container(resources={"limits": {"memory": "64Mi"}})],
        "nodeSelector": {"node": "real"},
        "terminationGracePeriodSeconds": 1,
    }
    if "replicas" in spec:
        spec["replicas"] = 1
    if kind == "Job":
        spec["template"]["spec"] |= {"restartPolicy": "OnFailure", "schedulerName": "nobody"}
        return document | {"apiVersion": "batch/v1", "kind": kind, "spec": {"template": spec["template"]}}
    return document
