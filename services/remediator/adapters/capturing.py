"""Evidence: what can be known of a target before it is touched, bounded in size and time; what is missing is a note."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from services.remediator.adapters.cluster import Cluster
from services.remediator.core.cleaning import Cleaning
from services.remediator.core.evidence import (
    BETWEEN,
    LOG_BYTES,
    TAIL_LINES,
    bounded,
    containers_of,
    controller_name,
    events_about,
    log_of,
    name_of,
    names_between,
    node_state,
    nodes_of,
    owners_between,
    pods_of,
    selector_of,
    state_of,
)
from shared.contracts.commands import Command
from shared.contracts.evidence import ContainerLog, EventLine, Evidence
from shared.contracts.model import JsonObject
from shared.contracts.objects import reference
from shared.contracts.paths import collection_of, path_of
from shared.contracts.workloads import CLUSTER_SCOPE, ObjectRef
from shared.infra.kube import KubeError
from shared.kernel.durations import format_duration
from shared.kernel.errors import UnavailableError
from shared.kernel.ids import derive

CAPTURED_WITHIN = timedelta(seconds=10)
"""Of the minute that a command lives; a cure is not to wait for what explains it."""
FEW_EVENTS = 500
"""In a namespace: as many as an API server tells in one answer."""
EVENTS_KEPT_FOR = timedelta(seconds=10)
T = TypeVar("T")


@dataclass(slots=True)
class _Found:
    """What was captured so far, and what is being asked for."""

    between: list[JsonObject] = field(default_factory=list[JsonObject])
    pods: list[JsonObject] = field(default_factory=list[JsonObject])
    logs: list[ContainerLog] = field(default_factory=list[ContainerLog])
    events: list[EventLine] = field(default_factory=list[EventLine])
    workload: list[JsonObject] = field(default_factory=list[JsonObject])
    nodes: list[JsonObject] = field(default_factory=list[JsonObject])
    notes: list[str] = field(default_factory=list[str])
    asking: str = ""

    async def ask(self, what: str, question: Callable[[], Awaitable[T]], *, otherwise: T) -> T:
        """Return an answer; where there is none, note why."""
        self.asking = what
        try:
            return await question()
        except (KubeError, UnavailableError) as failed:
            self.notes.append(f"{what}: {failed}")
            return otherwise


class Capture:
    """Capture evidence for one command after another, each within a bounded time."""

    def __init__(self, client: Cluster, *, within: timedelta = CAPTURED_WITHIN) -> None:
        self._client = client
        self._within = within
        self._told = _Events(client)

    async def evidence(self, command: Command, *, now: datetime) -> Evidence:
        """Return what is known of a command's target; failing to capture is noted, and never stops the command.

        What a restart destroys is captured first. Where the time is over before all is, that is noted, too.
        """
        found = _Found()
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                await self._gather(command, found, now)
        except TimeoutError:
            limit = format_duration(self._within)
            found.notes.append(f"{found.asking}: not captured within {limit}, nor what was to be captured after it")
        return _evidence(command, found, now=now)

    async def _gather(self, command: Command, found: _Found, now: datetime) -> None:
        found.workload = await found.ask("workload", lambda: self._workload(command), otherwise=[])
        found.between = await found.ask("owners", lambda: self._between(command, found), otherwise=[])
        found.pods = await found.ask("pods", lambda: self._pods(command, found), otherwise=[])
        for pod in found.pods:
            await self._logs(pod, found)
        found.events = await found.ask("events", lambda: self._events(command, found, now), otherwise=[])
        for name in _node_names(command, found.pods):
            path = f"/api/v1/nodes/{name}"
            found.nodes += await found.ask(f"node {name}", lambda p=path: self._one(p), otherwise=[])

    async def _one(self, path: str) -> list[JsonObject]:
        return [await self._client.get(path)]

    async def _workload(self, command: Command) -> list[JsonObject]:
        path = path_of(command.workload)
        is_known_otherwise = command.workload.kind == "Node"
        return await self._one(path) if path and not is_known_otherwise else []

    async def _between(self, command: Command, found: _Found) -> list[JsonObject]:
        kind = BETWEEN.get(command.workload.kind)
        if kind is None:
            return []
        return await self._selected(collection_of(kind, command.workload.namespace), found)

    async def _selected(self, path: str, found: _Found) -> list[JsonObject]:
        """Return what the workload selects by its labels; all that is there where it selects by none."""
        selector = next(map(selector_of, found.workload), "")
        query = {"labelSelector": selector} if selector else {}
        return (await self._client.list(path, **query)).items

    async def _pods(self, command: Command, found: _Found) -> list[JsonObject]:
        if command.workload.namespace == CLUSTER_SCOPE:
            return []  # a node's pods are other workloads' business, and in other namespaces
        if command.workload.kind == "Pod":
            return found.workload
        base = collection_of("Pod", command.workload.namespace)
        target = command.action.target(command.workload)
        if target.kind == "Pod":
            return await self._one(f"{base}/{target.name}")
        names = names_between(command.workload, found.between)
        return pods_of(command.workload, await self._selected(base, found), names)

    async def _logs(self, pod: JsonObject, found: _Found) -> None:
        for container in containers_of(pod):
            for previous in (True, False):
                if previous and not container.has_restarted:
                    continue
                name = container.name
                label = f"log of {name_of(pod)}/{name}{' (previous)' if previous else ''}"
                told = await found.ask(label, lambda n=name, p=previous: self._log(pod, n, p), otherwise=None)
                if told is not None:
                    found.logs.append(log_of(pod, name, told, previous=previous))

    async def _log(self, pod: JsonObject, container: str, previous: bool) -> str | None:  # noqa: FBT001
        target = reference(pod, "Pod")
        return await self._client.logs(
            f"/api/v1/namespaces/{target.namespace}/pods/{target.name}/log",
            container=container,
            previous=str(previous).lower(),
            tailLines=str(TAIL_LINES),
            limitBytes=str(LOG_BYTES),
        )

    async def _events(self, command: Command, found: _Found, now: datetime) -> list[EventLine]:
        workload = command.workload
        if workload.namespace == CLUSTER_SCOPE:
            return []
        between = names_between(workload, found.between)
        owners = {owner for pod in found.pods if (owner := controller_name(pod)) is not None}
        names = {(workload.kind, workload.name), *between, *owners, *(("Pod", name_of(pod)) for pod in found.pods)}
        told = await self._told.of(workload.namespace, now=now)
        if told.at < now:
            age = format_duration(now - told.at)
            found.notes.append(f"events: as they were {age} before, for the namespace has {len(told.events)} of them")
        return events_about(frozenset(names), told.events)


class _Events:
    """The events of a namespace; where they are many they are kept for a while, of the one that was asked for last.

    In a storm each command would read thousands, and few of them are its own. To ask for those alone is no way out:
    an API server has no index of events (of 4,000, all take 0.25 to 0.33 s, those of six objects 0.37 to 0.44 s).
    """

    def __init__(self, client: Cluster) -> None:
        self._client = client
        self._kept: _Told | None = None

    async def of(self, namespace: str, *, now: datetime) -> "_Told":
        """Return a namespace's events, and as of when.

        Raises:
            KubeError: the API server refuses to tell them.
            UnavailableError: it does not answer.
        """
        kept = self._kept
        if kept is not None and kept.namespace == namespace and kept.at <= now < kept.at + EVENTS_KEPT_FOR:
            return kept
        listing = await self._client.list(f"/api/v1/namespaces/{namespace}/events")
        told = _Told(namespace, now, listing.items)
        self._kept = told if len(told.events) > FEW_EVENTS else None
        return told


@dataclass(frozen=True, slots=True)
class _Told:
    namespace: str
    at: datetime
    events: list[JsonObject]


def _node_names(command: Command, pods: list[JsonObject]) -> list[str]:
    return [command.workload.name] if command.workload.kind == "Node" else nodes_of(pods)


def _evidence(command: Command, found: _Found, *, now: datetime) -> Evidence:
    workload, cleaning = command.workload, Cleaning()
    kept = bounded(
        [cleaning.log(one) for one in found.logs],
        [cleaning.event(one) for one in found.events],
        [cleaning.object(one) for one in _states(command, found)],
    )
    notes = tuple(map(cleaning.text, found.notes))
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
        redactions=cleaning.count,
    )


def _states(command: Command, found: _Found) -> list[JsonObject]:
    workload = command.workload
    between = owners_between(workload, found.between, pods=found.pods)
    workloads = [] if workload.kind == "Pod" else found.workload
    return [
        *(state_of("Pod", pod) for pod in found.pods),
        *(state_of(workload.kind, one) for one in workloads),
        *(state_of(BETWEEN[workload.kind], one) for one in between),
        *(node_state(one) for one in found.nodes),
    ]
