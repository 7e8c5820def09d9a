"""Writes the Kubernetes Event of each command on its workload, once; that it cannot be written changes nothing else."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from services.remediator.adapters.cluster import Cluster
from services.remediator.core.events import event_of, namespace_of
from shared.contracts.actions.base import StoppedError
from shared.contracts.commands import Command
from shared.contracts.inbox import Outcome, Result
from shared.contracts.model import JsonObject
from shared.contracts.paths import path_of
from shared.contracts.workloads import CLUSTER_SCOPE, WorkloadRef
from shared.infra.kube import KubeError
from shared.kernel.errors import UnavailableError
from shared.runtime.log import logger
from shared.runtime.metrics import EVENTS_LOST

_WITHIN = timedelta(seconds=3)
"""Commands behind it wait, and the result is told already."""
_NOT_FOUND, _EXISTS = 404, 409


class Events:
    """Write Events under an instance's name; none in the namespaces that are left alone, and none while a stop holds.

    `cluster` gives the cluster as what tells of a workload sees it.
    """

    def __init__(
        self, cluster: Callable[[WorkloadRef], Cluster], *, instance: str, protected_namespaces: frozenset[str]
    ) -> None:
        self._cluster = cluster
        self._instance = instance
        self._protected = protected_namespaces

    async def tell(self, command: Command, result: Result) -> None:
        """Write the Event of a result, unless nothing was to be done (a dry run), or nothing is there to tell of it."""
        if result.outcome is Outcome.DRY_RUN or command.workload.namespace in self._protected:
            return
        try:
            async with asyncio.timeout(_WITHIN.total_seconds()):
                await self._write(command, result)
        except StoppedError:
            return  # results and trail tell of it; an Event is a write
        except (KubeError, UnavailableError, TimeoutError) as failed:
            EVENTS_LOST.inc()
            logger().warning("event.not_written", command=command.id, why=str(failed) or type(failed).__name__)

    async def _write(self, command: Command, result: Result) -> None:
        about = await self._about(command.workload)
        if about is None:
            return
        event = event_of(command, result, about=about, instance=self._instance)
        path = f"/api/v1/namespaces/{namespace_of(command.workload)}/events"
        try:
            await self._cluster(command.workload).create(path, event)
        except KubeError as refused:
            if refused.status != _EXISTS:  # written before the process died that wrote it
                raise

    async def _about(self, workload: WorkloadRef) -> JsonObject | None:
        """Return the object that the Event is about; None if it is gone, or of a kind that cannot be read."""
        if workload.namespace == CLUSTER_SCOPE:
            return {} if workload.kind == "Node" else None
        path = path_of(workload)
        try:
            return await self._cluster(workload).get(path) if path else None
        except KubeError as refused:
            if refused.status == _NOT_FOUND:
                return None
            raise
