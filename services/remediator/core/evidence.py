"""What of a cluster's objects becomes evidence, and how much of it: from raw objects, whatever they hold."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic_core import to_json

from shared.contracts.evidence import ContainerLog, EventLine
from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.objects import controller_of, flag, number, section, sections, text
from shared.contracts.workloads import WorkloadRef

TAIL_LINES = 100
LOG_BYTES = 32_768
_MAX_PODS = 3
_MAX_OWNERS = 2
_MAX_EVENTS = 50
_MESSAGE_CHARS = 1_000
_MOST_BYTES = 700_000
"""All of an evidence as JSON, with room below the one mebibyte that a broker takes by default."""
_STATUSES = ("initContainerStatuses", "containerStatuses")
_DROPPED = frozenset({"managedFields", "env", "envFrom", "annotations", "volumes"})
BETWEEN: Mapping[str, str] = {"Deployment": "ReplicaSet", "CronJob": "Job"}
"""What stands between a workload and its pods, by the workload's kind; pods of other kinds are its own."""
Name = tuple[str, str]
"""Kind and name of an object in the workload's namespace."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod, and whether it had a life before the present one."""

    name: str
    has_restarted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """The pieces of evidence that fit into one message; `notes` say what was left out."""

    logs: tuple[ContainerLog, ...]
    events: tuple[EventLine, ...]
    objects: tuple[JsonObject, ...]
    notes: tuple[str, ...]


def names_between(workload: WorkloadRef, between: Iterable[JsonObject]) -> frozenset[Name]:
    """Return the objects that stand between a workload and its pods: those that it controls itself."""
    kind, itself = BETWEEN.get(workload.kind, ""), (workload.kind, workload.name)
    return frozenset((kind, name_of(one)) for one in between if controller_name(one) == itself)


def selector_of(workload: JsonObject) -> str:
    """Return the label selector of a workload's pods, and of what stands in between, as a list is asked by it.

    Empty where it selects by nothing that can be asked for. The words are those of `metav1.LabelSelector`.
    """
    selector = section(workload, "spec", "selector")
    exact = [f"{name}={value}" for name, value in section(selector, "matchLabels").items()]
    return ",".join([*exact, *map(_requirement, sections(selector, "matchExpressions"))])


def pods_of(workload: WorkloadRef, pods: Iterable[JsonObject], between: frozenset[Name]) -> list[JsonObject]:
    """Return a workload's own pods; at most three, and what is broken first."""
    return sorted(all_pods_of(workload, pods, between), key=_is_ready)[:_MAX_PODS]


def all_pods_of(workload: WorkloadRef, pods: Iterable[JsonObject], between: frozenset[Name]) -> list[JsonObject]:
    """Return a workload's own pods, by who controls them."""
    owners = {(workload.kind, workload.name), *between}
    return [pod for pod in pods if controller_name(pod) in owners or ("Pod", name_of(pod)) in owners]


def events_about(names: frozenset[Name], events: Iterable[JsonObject]) -> list[EventLine]:
    """Return what happened to some objects, in the order of its last occurrence; the newest, if it is much."""
    about = [event for event in events if _about(event) in names]
    return [_event_line(event) for event in sorted(about, key=_last_seen)[-_MAX_EVENTS:]]


def containers_of(pod: JsonObject) -> Iterator[Container]:
    """Return a pod's containers, those that begin it first."""
    for statuses in _STATUSES:
        for status in sections(pod, "status", statuses):
            if text(status, "name"):
                yield Container(text(status, "name"), has_restarted=number(status, "restartCount") > 0)


def log_of(pod: JsonObject, container: str, told: str, *, previous: bool) -> ContainerLog:
    """Return the end of a container's log."""
    lines = tuple(told[-LOG_BYTES:].splitlines())
    is_cut = len(lines) >= TAIL_LINES or len(told.encode()) >= LOG_BYTES
    return ContainerLog(
        pod=name_of(pod), container=container, previous=previous, lines=lines[-TAIL_LINES:], truncated=is_cut
    )


def trimmed(source: JsonObject) -> JsonObject:
    """Return an object without what is large or secret: managed fields, environment values, applied configuration."""
    return {name: _without(value) for name, value in source.items() if name not in _DROPPED}


def state_of(kind: str, source: JsonObject) -> JsonObject:
    """Return an object's state under its kind, which a list does not tell of its items."""
    return {"kind": kind, **trimmed(source)}


def node_state(node: JsonObject) -> JsonObject:
    """Return what of a node bears on its pods: its conditions, its taints, and whether it takes new ones."""
    spec = {name: value for name, value in section(node, "spec").items() if name in {"taints", "unschedulable"}}
    conditions: JsonObject = {"conditions": list[JsonValue](sections(node, "status", "conditions"))}
    return {"kind": "Node", "metadata": {"name": name_of(node)}, "spec": spec, "status": conditions}


def nodes_of(pods: Iterable[JsonObject]) -> list[str]:
    """Return the names of the nodes that pods run on, each once."""
    return list(dict.fromkeys(filter(None, (text(section(pod, "spec"), "nodeName") for pod in pods))))


def owners_between(
    workload: WorkloadRef, between: Iterable[JsonObject], *, pods: Iterable[JsonObject]
) -> list[JsonObject]:
    """Return what stands between a workload and its pods, at most two: what owns one of the pods, then the newest."""
    itself, owning = (workload.kind, workload.name), {controller_name(pod) for pod in pods}
    kind = BETWEEN.get(workload.kind, "")
    ours = [one for one in between if controller_name(one) == itself]
    newest = sorted(ours, key=lambda one: text(section(one, "metadata"), "creationTimestamp"), reverse=True)
    return sorted(newest, key=lambda one: (kind, name_of(one)) not in owning)[:_MAX_OWNERS]


def bounded(logs: Sequence[ContainerLog], events: Sequence[EventLine], objects: Sequence[JsonObject]) -> Bounded:
    """Return what fits into one message: events, then logs, then objects, each in its order."""
    kept_events, room = _fitting(events, _MOST_BYTES)
    kept_logs, room = _fitting(logs, room)
    kept_objects, _ = _fitting(objects, room)
    pairs = (("events", events, kept_events), ("logs", logs, kept_logs), ("objects", objects, kept_objects))
    notes = [
        f"{what}: {len(found) - len(kept)} of {len(found)} left out, too large for one message"
        for what, found, kept in pairs
        if len(kept) < len(found)
    ]
    return Bounded(logs=tuple(kept_logs), events=tuple(kept_events), objects=tuple(kept_objects), notes=tuple(notes))


def name_of(source: JsonObject) -> str:
    """Return an object's name."""
    return text(section(source, "metadata"), "name")


def controller_name(source: JsonObject) -> Name | None:
    """Return who controls an object; None if nobody does."""
    owner = controller_of(source)
    return (text(owner, "kind"), text(owner, "name")) if owner is not None else None


def _fitting(parts: Sequence[T], room: int) -> tuple[list[T], int]:
    kept: list[T] = []
    for part in parts:
        size = len(to_json(part))
        if size <= room:
            kept.append(part)
            room -= size
    return kept, room


def _requirement(expression: JsonObject) -> str:
    name, told = text(expression, "key"), expression.get("values")
    values = ",".join(map(str, told if isinstance(told, list) else []))
    match text(expression, "operator"):
        case "In":
            return f"{name} in ({values})"
        case "NotIn":
            return f"{name} notin ({values})"
        case "DoesNotExist":
            return f"!{name}"
        case _:
            return name


def _is_ready(pod: JsonObject) -> bool:
    statuses = list(sections(pod, "status", "containerStatuses"))
    return bool(statuses) and all(flag(one, "ready") for one in statuses)


def _about(event: JsonObject) -> Name:
    about = section(event, "involvedObject")
    return text(about, "kind"), text(about, "name")


def _last_seen(event: JsonObject) -> str:
    """Return when an event occurred last, as RFC 3339 in UTC, which sorts by itself."""
    moments = (
        text(section(event, "series"), "lastObservedTime"),
        text(event, "lastTimestamp"),
        text(event, "eventTime"),
        text(section(event, "metadata"), "creationTimestamp"),
    )
    return next(filter(None, moments), "")


def _event_line(event: JsonObject) -> EventLine:
    return EventLine(
        object=_about(event)[1],
        type=text(event, "type"),
        reason=text(event, "reason"),
        message=text(event, "message")[:_MESSAGE_CHARS],
        count=max(1, number(event, "count"), number(section(event, "series"), "count")),
    )


def _without(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return trimmed(value)
    return [_without(inner) for inner in value] if isinstance(value, list) else value
