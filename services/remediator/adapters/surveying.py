"""Looks where a command would act, and how much there is of what it would take a part of."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from services.remediator.adapters.cluster import Cluster
from services.remediator.core.brake import Census, Place
from services.remediator.core.standing import is_node_ready, node_of, workloads_of
from shared.contracts.commands import Command
from shared.contracts.model import JsonObject
from shared.contracts.paths import collection_of
from shared.contracts.workloads import CLUSTER_SCOPE
from shared.infra.kube import KubeError

_COUNTED_FOR = timedelta(seconds=30)
_NODES = "/api/v1/nodes"
T = TypeVar("T")


class Survey:
    """Ask the API server; counts are kept for half a minute, what a command touches is read each time.

    Where the server refuses to tell, nothing is known of it, and the strictest share holds.
    """

    def __init__(self, client: Cluster) -> None:
        self._client = client
        self._counts: dict[str, tuple[datetime, int]] = {}

    async def census(self, command: Command, *, now: datetime) -> Census:
        """Return where a command would act.

        Raises:
            UnavailableError: the API server does not answer.
        """
        namespace = command.workload.namespace
        pods = f"/api/v1/namespaces/{namespace}/pods"
        return Census(
            place=Place(command.workload, await self._node(command)),
            workloads=await self._count(pods, workloads_of, now) if namespace != CLUSTER_SCOPE else 0,
            nodes=await self._count(_NODES, len, now),
        )

    async def is_ready(self, node: str) -> bool:
        """Tell whether a node says that it is; one that is gone, or cannot be read, does not.

        Raises:
            UnavailableError: the API server does not answer.
        """
        found = await self._told(lambda: self._client.get(f"{_NODES}/{node}"))
        return found is not None and is_node_ready(found)

    async def _node(self, command: Command) -> str:
        """Return the node that a command is about, or whose pod it touches; empty where it is of no single one."""
        target = command.action.target(command.workload)
        if target.kind == "Node":
            return target.name
        if target.kind != "Pod":
            return ""
        path = f"{collection_of('Pod', target.namespace)}/{target.name}"
        pod = await self._told(lambda: self._client.get(path))
        return node_of(pod) if pod is not None else ""

    async def _count(self, path: str, counted: Callable[[list[JsonObject]], int], now: datetime) -> int:
        at, count = self._counts.get(path, (None, 0))
        if at is not None and at <= now < at + _COUNTED_FOR:
            return count
        listing = await self._told(lambda: self._client.list(path))
        count = counted(listing.items) if listing is not None else 0
        self._counts[path] = (now, count)
        return count

    async def _told(self, question: Callable[[], Awaitable[T]]) -> T | None:
        try:
            return await question()
        except KubeError:
            return None
