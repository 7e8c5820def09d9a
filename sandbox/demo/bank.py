"""Deploys the bank and waits until its workloads are well."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import cast

from sandbox.manifests import collection_of, create_missing, documents
from sandbox.stack.errors import StackError
from shared.contracts.model import JsonObject
from shared.infra.kube import KubeClient

NAMESPACE = "bank"
MANIFEST = Path(__file__).resolve().parents[2] / "deploy" / "bank" / "bank.yaml"
_WELL_WITHIN = timedelta(seconds=90)
_LOOK_S = 0.2
_WORKLOADS = ("Deployment", "StatefulSet")


def deployment_path(name: str) -> str:
    """Return the path of one of the bank's Deployments."""
    return f"{collection_of('Deployment', NAMESPACE)}/{name}"


async def deploy(client: KubeClient, manifest: Path = MANIFEST) -> int:
    """Create what the manifest holds and is not there yet; return how many workloads it has."""
    created = await create_missing(client, documents(manifest))
    return sum(one["kind"] in _WORKLOADS for one in created)


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
    for kind in _WORKLOADS:
        listing = await client.list(collection_of(kind, NAMESPACE))
        found += [_name(one) for one in listing.items if not _is_well(one)]
    return found


def _is_well(workload: JsonObject) -> bool:
    spec, status = (cast("JsonObject", workload.get(part) or {}) for part in ("spec", "status"))
    return status.get("readyReplicas", 0) == spec.get("replicas", 1)


def _name(workload: JsonObject) -> str:
    return str(cast("JsonObject", workload["metadata"]).get("name"))
