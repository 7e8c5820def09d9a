"""Evidence: what can be known of a target before it is touched, bounded; what cannot be captured is a note."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar, cast

from shared.contracts.actions import RestartPod
from shared.contracts.commands import Command
from shared.contracts.evidence import ContainerLog, EventLine, Evidence
from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.workloads import ObjectRef
from shared.infra.kube import KubeClient, KubeError
from shared.kernel.errors import UnavailableError
from shared.kernel.ids import derive

_TAIL_LINES = 100
_LOG_BYTES = 32_768
_MAX_PODS = 3
_MAX_EVENTS = 50
T = TypeVar("T")


class Capture:
    """Capture evidence for one command after another."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def evidence(self, command: Command, *, now: datetime) -> Evidence:
        """Return what is known of a command's target; failing to capture is noted, and never stops the command."""
        notes: list[str] = []
        pods = await _noted(lambda: self._pods(command), [], what="pods", notes=notes)
        logs = [log for pod in pods for log in await self._logs(pod, notes)]
        events = await _noted(lambda: self._events(command, pods), [], what="events", notes=notes)
        return Evidence(
            id=derive("evidence", command.id),
            at=now,
            workload=command.workload,
            incident=command.incident,
            command=command.id,
            target=ObjectRef(
                kind=command.workload.kind, namespace=command.workload.namespace, name=command.workload.name
            ),
            logs=tuple(logs),
            events=tuple(events),
            objects=tuple(_trimmed(pod) for pod in pods),
            notes=tuple(notes),
        )

    async def _pods(self, command: Command) -> list[JsonObject]:
        base = f"/api/v1/namespaces/{command.workload.namespace}/pods"
        if isinstance(command.action, RestartPod):
            return [await self._client.get(f"{base}/{command.action.pod}")]
        pods = (await self._client.list(base)).items
        ours = [pod for pod in pods if _name(pod).startswith(f"{command.workload.name}-")]
        return sorted(ours, key=_is_ready)[:_MAX_PODS]  # what is broken first

    async def _logs(self, pod: JsonObject, notes: list[str]) -> list[ContainerLog]:
        logs: list[ContainerLog] = []
        for container in _statuses(pod):
            for previous in (True, False):
                if previous and not container.get("restartCount"):
                    continue
                name = str(container.get("name"))
                label = f"log of {_name(pod)}/{name}{' (previous)' if previous else ''}"
                text = await _noted(lambda n=name, p=previous: self._log(pod, n, p), None, what=label, notes=notes)
                if text is not None:
                    logs.append(_log(pod, name, text, previous=previous))
        return logs

    async def _log(self, pod: JsonObject, container: str, previous: bool) -> str | None:  # noqa: FBT001
        metadata = cast("JsonObject", pod["metadata"])
        path = f"/api/v1/namespaces/{metadata.get('namespace')}/pods/{_name(pod)}/log"
        return await self._client.logs(
            path,
            container=container,
            previous=str(previous).lower(),
            tailLines=str(_TAIL_LINES),
            limitBytes=str(_LOG_BYTES),
        )

    async def _events(self, command: Command, pods: list[JsonObject]) -> list[EventLine]:
        names = {command.workload.name, *map(_name, pods)}
        listing = await self._client.list(f"/api/v1/namespaces/{command.workload.namespace}/events")
        about = [event for event in listing.items if _about(event) in names]
        return [_event_line(event) for event in about[-_MAX_EVENTS:]]


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


def _log(pod: JsonObject, container: str, text: str, *, previous: bool) -> ContainerLog:
    lines = tuple(text.splitlines())
    return ContainerLog(
        pod=_name(pod),
        container=container,
        previous=previous,
        lines=lines,
        truncated=len(lines) >= _TAIL_LINES or len(text) >= _LOG_BYTES,
    )


def _event_line(event: JsonObject) -> EventLine:
    count = event.get("count")
    return EventLine(
        object=_about(event),
        type=str(event.get("type") or ""),
        reason=str(event.get("reason") or ""),
        message=str(event.get("message") or ""),
        count=count if isinstance(count, int) else 1,
    )


def _about(event: JsonObject) -> str:
    about = event.get("involvedObject")
    return str(about.get("name")) if isinstance(about, dict) else ""


def _name(source: JsonObject) -> str:
    metadata = source.get("metadata")
    return str(metadata.get("name")) if isinstance(metadata, dict) else ""


def _statuses(pod: JsonObject) -> list[JsonObject]:
    status = pod.get("status")
    found = status.get("containerStatuses") if isinstance(status, dict) else None
    return [one for one in (found if isinstance(found, list) else []) if isinstance(one, dict)]


def _is_ready(pod: JsonObject) -> bool:
    statuses = _statuses(pod)
    return bool(statuses) and all(one.get("ready") is True for one in statuses)


def _trimmed(source: JsonObject) -> JsonObject:
    """Return an object without what is large or secret: managed fields, environment values, applied configuration."""
    return cast("JsonObject", _without(source))


_DROPPED = frozenset({"managedFields", "env", "envFrom", "annotations", "volumes"})


def _without(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _without(inner) for name, inner in value.items() if name not in _DROPPED}
    return [_without(inner) for inner in value] if isinstance(value, list) else value
