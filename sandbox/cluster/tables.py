"""Lists as tables, in which the server prints for kubectl (meta.k8s.io/v1 Table)."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

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


def table_of(resource: Resource, documents: Iterable[Document], *, metadata: Document, now: datetime) -> Document:
    """Return a table; each row carries its object's metadata."""
    columns, cells = _COLUMNS.get(resource, ((), lambda _: []))
    names = ("Name", *columns, "Age") if resource is not EVENTS else ("Last Seen", *columns)
    definitions: list[Json] = [
        {"name": name, "type": "string", "format": "name" if name == "Name" else "", "priority": 0} for name in names
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": [_row(resource, one, cells(one), now) for one in documents],
    }


def _row(resource: Resource, document: Document, cells: list[Json], now: datetime) -> Document:  # noqa: PLR0917
    shown: list[Json] = [name_of(document), *cells, _age(text(document, "metadata", "creationTimestamp"), now)]
    if resource is EVENTS:
        shown = [_age(text(document, "lastTimestamp"), now), *cells]
    partial: Document = {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": copied(section(document, "metadata")),
    }
    return {"cells": shown, "object": partial}


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


_COLUMNS: dict[Resource, tuple[tuple[str, ...], Cells]] = {
    PODS: (("Ready", "Status", "Restarts"), _pod),
    DEPLOYMENTS: (("Ready", "Up-to-date", "Available"), _deployment),
    REPLICA_SETS: (("Desired", "Current", "Ready"), _replica_set),
    STATEFUL_SETS: (("Ready",), _stateful_set),
    NODES: (("Status", "Roles", "Version"), _node),
    NAMESPACES: (("Status",), _namespace),
    EVENTS: (("Type", "Reason", "Object", "Message"), _event),
}
