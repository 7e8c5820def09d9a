"""Kubernetes manifests on disk to objects in a cluster, created once."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import yaml

from shared.contracts.model import JsonObject
from shared.infra.kube import KubeClient, KubeError

_THERE = 409
_PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Service": "/api/v1/namespaces/{}/services",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "ValidatingAdmissionPolicy": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
}


def documents(*manifests: Path) -> Iterator[JsonObject]:
    """Yield the objects of manifests, in their order."""
    for manifest in manifests:
        yield from cast("Iterator[JsonObject]", yaml.safe_load_all(manifest.read_text()))


def collection_of(kind: str, namespace: str) -> str:
    """Return the path of a kind's list in a namespace.

    Raises:
        KeyError: no manifest of ours has such a kind yet.
    """
    return _PATHS[kind].format(namespace)


async def create_missing(client: KubeClient, objects: Iterable[JsonObject]) -> list[JsonObject]:
    """Create the objects that are not there yet; return all of them as they were given.

    Raises:
        KubeError: the server refuses one for another reason than that it is there.
        UnavailableError: the server does not answer.
    """
    created = list(objects)
    for one in created:
        metadata = cast("JsonObject", one["metadata"])
        path = collection_of(str(one["kind"]), str(metadata.get("namespace") or ""))
        try:
            await client.create(path, one)
        except KubeError as refused:
            if refused.status != _THERE:
                raise
    return created
