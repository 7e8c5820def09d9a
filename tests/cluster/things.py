"""What else lies around a workload in the healed namespace: its autoscaler, and a volume that grows by hand."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import json
from typing import Any

from tests.cluster.accounts import MERGE, ask
from tests.cluster.bank import Bank
from tests.cluster.objects import BANK, path_of, waiting_pod
from tests.contracts.cluster.backend import until

GROWING, FIXED = "growing", "fixed"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def autoscaler(target: str, *, least: int = 1, most: int = 3, **metadata: Any) -> Any:
    """Return an autoscaler of a Deployment."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": f"of-{target}", "namespace": BANK, **metadata},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
                }
            ],
        },
    }


def storage_class(name: str) -> Any:
    """Return a StorageClass that nobody provisions for."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "example.com/by-hand",
        "allowVolumeExpansion": name == GROWING,
    }


def claim(name: str = "books", *, of: str = GROWING) -> Any:
    """Return a claim of 1Gi."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": BANK},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": of,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def volume(name: str = "books", *, of: str = GROWING) -> Any:
    """Return the volume that a claim of that name is bound to."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": of,
            "claimRef": {"namespace": BANK, "name": name},
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": "/nowhere"},
        },
    }


def service(name: str, *, declared: Any = None, **metadata: Any) -> Any:
    """Return a Service that was declared for a workload, and leads elsewhere since; it may be declared otherwise."""
    said = {"spec": declared or {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}}
    annotations = {APPLIED: json.dumps(said)} | metadata.pop("annotations", {})
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": BANK, "annotations": annotations, **metadata},
        "spec": {
            "type": "NodePort",
            "selector": {"app": "elsewhere"},
            "ports": [{"port": 80, "targetPort": 8081, "protocol": "TCP"}],
        },
    }


def bound(bank: Bank, *, of: str = GROWING) -> Any:
    """Lay a claim out with its volume, and return it when it is bound."""
    bank.lay(storage_class(of))
    bank.lay(volume(of=of))
    document = bank.lay(claim(of=of))
    until(lambda: bank.read(document).get("status", {}).get("phase") == "Bound")
    return document


def user_of(bank: Bank, name: str = "books", **metadata: Any) -> Any:
    """Lay out a pod that names a claim."""
    pod = waiting_pod("reader")
    pod["metadata"] |= metadata
    pod["spec"]["volumes"] = [{"name": "books", "persistentVolumeClaim": {"claimName": name}}]
    return bank.lay(pod)


def asked_of(bank: Bank, document: Any) -> str:
    """Return the storage that a claim asks for."""
    return bank.read(document)["spec"]["resources"]["requests"]["storage"]


def bounds_of(bank: Bank, document: Any) -> tuple[int, int]:
    """Return both bounds of an autoscaler."""
    spec = bank.read(document)["spec"]
    return spec["minReplicas"], spec["maxReplicas"]


def with_status(bank: Bank, document: Any, status: Any) -> None:
    """Set a status by hand, as a controller would."""
    path = f"{path_of(document)}/status"
    assert ask(bank.admin, "PATCH", path, body={"status": status}, kind=MERGE).status == 200
