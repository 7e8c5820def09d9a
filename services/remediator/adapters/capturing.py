"""Evidence: what can be known of a target before it is touched, bounded; what cannot be captured is a note."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from services.remediator.adapters.cluster import Cluster
from services.remediator.core.evidence import (
    BETWEEN,
    LOG_BYTES,
    TAIL_LINES,
    Name,
    bounded,
    containers_of,
    controller_name,
    events_about,
    log_of,
    name_of,
    names_between,
    pods_of,
    trimmed,
)
from shared.contracts.actions import RestartPod
from shared.contracts.commands import Command
from shared.contracts.evidence import ContainerLog, EventLine, Evidence
from shared.contracts.model import JsonObject
from shared.contracts.objects import reference
from shared.contracts.workloads import CLUSTER_SCOPE, ObjectRef
from shared.infra.kube import KubeError
from shared.kernel.errors import UnavailableError
from shared.kernel.ids import derive

_LISTS = {
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
}
T = TypeVar("T")


class Capture:
    """Capture evidence for one command after another."""

    def __init__(self, client: Cluster) -> None:
        self._client = client

    async def evidence(self, command: Command, *, now: datetime) -> Evidence:
        """Return what is known of a command's target; failing to capture is noted, and never stops the command."""
        notes: list[str] = []
        nobody: frozenset[Name] = frozenset()
        between = await _noted(lambda: self._between(command), nobody, what="owners", notes=notes)
        pods = await _noted(lambda: self._pods(command, between), [], what="pods", notes=notes)
        logs = [log for pod in pods for log in await self._logs(pod, notes)]
        events = await _noted(lambda: self._events(command, pods, between), [], what="events", notes=notes)
        kept = bounded(logs, events, [trimmed(pod) for pod in pods])
        workload = command.workload
        return Evidence(
            id=derive("evidence", command.id),
            at=now,
            workload=workload,
            incident=command.incident,
            command=command.id,
            target=ObjectRef(kind=workload.kind, namespace=workload.namespace, name=workload.name),
            logs=kept.logs,
            events=kept.events,
            objects=kept.objects,
            notes=(*notes, *kept.notes),
        )

    async def _between(self, command: Command) -> frozenset[Name]:
        path = _LISTS.get(BETWEEN.get(command.workload.kind, ""))
        found = (await self._client.list(path.format(command.workload.namespace))).items if path else []
        return names_between(command.workload, found)

    async def _pods(self, command: Command, between: frozenset[Name]) -> list[JsonObject]:
        if command.workload.namespace == CLUSTER_SCOPE:
            return []  # a node's pods are other workloads' business, and in other namespaces
        base = f"/api/v1/namespaces/{command.workload.namespace}/pods"
        if isinstance(command.action, RestartPod):
            return [await self._client.get(f"{base}/{command.action.pod}")]
        return pods_of(command.workload, (await self._client.list(base)).items, between)

    async def _logs(self, pod: JsonObject, notes: list[str]) -> list[ContainerLog]:
        logs: list[ContainerLog] = []
        for container in containers_of(pod):
            for previous in (True, False):
                if previous and not container.has_restarted:
                    continue
                name = container.name
                label = f"log of {name_of(pod)}/{name}{' (previous)' if previous else ''}"
                told = await _noted(lambda n=name, p=previous: self._log(pod, n, p), None, what=label, notes=notes)
                if told is not None:
                    logs.append(log_of(pod, name, told, previous=previous))
        return logs

    async def _log(self, pod: JsonObject, container: str, previous: bool) -> str | None:  # noqa: FBT001
        target = reference(pod, "Pod")
        return await self._client.logs(
            f"/api/v1/namespaces/{target.namespace}/pods/{target.name}/log",
            container=container,
            previous=str(previous).lower(),
            tailLines=str(TAIL_LINES),
            limitBytes=str(LOG_BYTES),
        )

    async def _events(self, command: Command, pods: list[JsonObject], between: frozenset[Name]) -> list[EventLine]:
        workload = command.workload
        if workload.namespace == CLUSTER_SCOPE:
            return []
        owners = {owner for pod in pods if (owner := controller_name(pod)) is not None}
        names = {(workload.kind, workload.name), *between, *owners, *(("Pod", name_of(pod)) for pod in pods)}
        listing = await self._client.list(f"/api/v1/namespaces/{workload.namespace}/events")
        return events_about(frozenset(names), listing.items)


async def _noted(
    ask: Callable[[], Awaitable[T]],
    otherwise: T,
    *,
    what: str,
    notes: list[str],
) -> T:
    try:
        return await ask()
    except (KubeError, UnavailableError) as failed:
        notes.append(f"{what}: {failed}")
        return otherwise
