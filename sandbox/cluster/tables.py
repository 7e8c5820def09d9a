"""Lists as tables, in which the server prints for kubectl (meta.k8s.io/v1 Table)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sandbox.cluster.documents import (
    Document,
    Json,
    ReadOnly,
    at,
    copied,
    moment_of,
    name_of,
    rows,
    section,
    text,
    whole,
)
from sandbox.cluster.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Resource,
)

Cells = Callable[[ReadOnly], list[Json]]


class Included(StrEnum):
    """What each row carries of its object."""

    NONE = "None"
    METADATA = "Metadata"
    OBJECT = "Object"


@dataclass(frozen=True, slots=True)
class Column:
    """What heads a column, and of which type its cells are."""

    name: str
    type: str = "string"


def table_of(resource: Resource, documents: Iterable[Document], *, included: Included, now: datetime) -> Document:
    """Return a table of objects."""
    columns, cells = _COLUMNS.get(resource, ((), lambda _: []))
    heads = (Column("Name"), *columns, Column("Age")) if resource is not EVENTS else (Column("Last Seen"), *columns)
    definitions: list[Json] = [
        {"name": one.name, "type": one.type, "format": "name" if one.name == "Name" else "", "priority": 0}
        for one in heads
    ]
    rows: list[Json] = [
        {"cells": _cells(resource, one, cells(one), now=now), **_included(one, included)} for one in documents
    ]
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": definitions, "rows": rows}


def _cells(resource: Resource, document: Document, cells: list[Json], *, now: datetime) -> list[Json]:
    if resource is EVENTS:
        return [_age(text(document, "lastTimestamp"), now), *cells]
    return [name_of(document), *cells, _age(text(document, "metadata", "creationTimestamp"), now)]


def _included(document: Document, included: Included) -> Document:
    if included is Included.NONE:
        return {}
    if included is Included.OBJECT:
        return {"object": document}
    metadata = copied(section(document, "metadata"))
    return {"object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}}


def _age(stamp: str, now: datetime) -> str:
    moment = moment_of(stamp)
    if moment is None:
        return "<unknown>"
    seconds = max(0, (now - moment) // timedelta(seconds=1))
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _pod(pod: ReadOnly) -> list[Json]:
    statuses = rows(pod, "status", "containerStatuses")
    ready = sum(at(one, "ready") is True for one in statuses)
    restarts = sum(whole(one, "restartCount") for one in statuses)
    return [f"{ready}/{len(rows(pod, 'spec', 'containers'))}", _pod_status(pod, statuses), str(restarts)]


def _pod_status(pod: ReadOnly, statuses: list[Document]) -> str:
    if text(pod, "metadata", "deletionTimestamp"):
        return "Terminating"
    for one in statuses:
        for state in ("waiting", "terminated"):
            reason = text(one, "state", state, "reason")
            if reason:
                return reason
    return text(pod, "status", "phase")


def _deployment(one: ReadOnly) -> list[Json]:
    ready = f"{whole(one, 'status', 'readyReplicas')}/{whole(one, 'spec', 'replicas')}"
    return [ready, str(whole(one, "status", "updatedReplicas")), str(whole(one, "status", "availableReplicas"))]


def _replica_set(one: ReadOnly) -> list[Json]:
    return [
        str(whole(one, *path)) for path in (("spec", "replicas"), ("status", "replicas"), ("status", "readyReplicas"))
    ]


def _stateful_set(one: ReadOnly) -> list[Json]:
    return [f"{whole(one, 'status', 'readyReplicas')}/{whole(one, 'spec', 'replicas')}"]


def _node(one: ReadOnly) -> list[Json]:
    ready = any(
        text(row, "type") == "Ready" and text(row, "status") == "True" for row in rows(one, "status", "conditions")
    )
    cordoned = ",SchedulingDisabled" if at(one, "spec", "unschedulable") is True else ""
    return [("Ready" if ready else "NotReady") + cordoned, "<none>", text(one, "status", "nodeInfo", "kubeletVersion")]


def _namespace(one: ReadOnly) -> list[Json]:
    return [text(one, "status", "phase")]


def _event(one: ReadOnly) -> list[Json]:
    about = f"{text(one, 'involvedObject', 'kind').lower()}/{text(one, 'involvedObject', 'name')}"
    return [text(one, "type"), text(one, "reason"), about, text(one, "message")]


def _config_map(one: ReadOnly) -> list[Json]:
    return [len(section(one, "data")) + len(section(one, "binaryData"))]


def _columns(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name) for name in names)


_COLUMNS: dict[Resource, tuple[tuple[Column, ...], Cells]] = {
    PODS: (_columns("Ready", "Status", "Restarts"), _pod),
    DEPLOYMENTS: (_columns("Ready", "Up-to-date", "Available"), _deployment),
    REPLICA_SETS: (_columns("Desired", "Current", "Ready"), _replica_set),
    STATEFUL_SETS: (_columns("Ready"), _stateful_set),
    NODES: (_columns("Status", "Roles", "Version"), _node),
    NAMESPACES: (_columns("Status"), _namespace),
    EVENTS: (_columns("Type", "Reason", "Object", "Message"), _event),
    CONFIG_MAPS: ((Column("Data", "integer"),), _config_map),
}
