"""Workloads of the campaign: one server that a real node can run, wrapped as Kubernetes wants it."""

from typing import Any

from sandbox.kubernetes.node import NODE_LABEL, NODE_LABEL_VALUE

CONTAINER = "server"
MEMORY = "128Mi"


def workload(name: str, *, kind: str = "Deployment", config_map: str = "") -> dict[str, Any]:
    """Return a workload with one replica of the server, well as it is."""
    labels = {"app": name}
    specific = {"serviceName": name} if kind == "StatefulSet" else {}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
                },
                "spec": _pod(config_map),
            },
            **specific,
        },
    }


def _pod(config_map: str) -> dict[str, Any]:
    cues = {"items": [{"path": "annotations", "fieldRef": {"fieldPath": "metadata.annotations"}}]}
    return {
        "nodeSelector": {NODE_LABEL: NODE_LABEL_VALUE},
        "terminationGracePeriodSeconds": 1,
        "volumes": [{"name": "podinfo", "downwardAPI": cues}],
        "containers": [
            {
                "name": CONTAINER,
                "image": "bank/contacts:v1",
                "volumeMounts": [{"name": "podinfo", "mountPath": "/etc/podinfo"}],
                "resources": {"limits": {"memory": MEMORY}, "requests": {"cpu": "1m", "memory": "16Mi"}},
                "startupProbe": {**_probe("ready"), "failureThreshold": 60},  # slow on a busy machine, not unready
                "readinessProbe": _probe("ready"),
                "livenessProbe": {**_probe("healthy"), "failureThreshold": 2},
                **({"envFrom": [{"configMapRef": {"name": config_map}}]} if config_map else {}),
            }
        ],
    }


def _probe(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": f"/{path}", "port": 8080}, "periodSeconds": 1, "timeoutSeconds": 10}
