"""Deploys the bank and waits until its workloads are well."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import yaml

from sandbox.stack.errors import StackError
from shared.contracts.model import JsonObject
from shared.infra.kube import KubeClient, KubeError

NAMESPACE = "bank"
MANIFEST = Path(__file__).resolve().parents[2] / "deploy" / "bank" / "bank.yaml"
_WELL_WITHIN = timedelta(seconds=90)
_LOOK_S = 0.2
_THERE = 409
_PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Service": "/api/v1/namespaces/{}/services",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
}


def deployment_path(name: str) -> str:
    """Return the path of one of the bank's Deployments."""
    return f"{_PATHS['Deployment'].format(NAMESPACE)}/{name}"


async def deploy(client: KubeClient, manifest: Path = MANIFEST) -> int:
    """Create what the manifest holds and is not there yet; return how many workloads it has."""
    workloads = 0
    for document in _documents(manifest):
        kind = str(document["kind"])
        try:
            await client.create(_PATHS[kind].format(NAMESPACE), document)
        except KubeError as refused:
            if refused.status != _THERE:
                raise
        workloads += kind in {"Deployment", "StatefulSet"}
    return workloads


async def until_well(client: KubeClient) -> None:
    """Return when all workloads have all their replicas ready.

    Raises:
        StackError: they were not in time; it names them.
    """
    try:
        async with asyncio.timeout(_WELL_WITHIN.total_seconds()):
            while await _ailing(client):  # noqa: ASYNC110 - what is waited for happens in the cluster
                await asyncio.sleep(_LOOK_S)
    except TimeoutError as late:
        raise StackError(f"the bank is not well in time: {', '.join(await _ailing(client))}") from late


async def _ailing(client: KubeClient) -> list[str]:
    found: list[str] = []
    for kind in ("Deployment", "StatefulSet"):
        listing = await client.list(_PATHS[kind].format(NAMESPACE))
        found += [_name(one) for one in listing.items if not _is_well(one)]
    return found


def _is_well(workload: JsonObject) -> bool:
    spec, status = (cast("JsonObject", workload.get(part) or {}) for part in ("spec", "status"))
    return status.get("readyReplicas", 0) == spec.get("replicas", 1)


def _name(workload: JsonObject) -> str:
    return str(cast("JsonObject", workload["metadata"]).get("name"))


def _documents(manifest: Path) -> Iterator[JsonObject]:
    yield from cast("Iterator[JsonObject]", yaml.safe_load_all(manifest.read_text()))
