"""What the cluster's own actors (controllers, scheduler, kubelet) act through, and the writes they share."""

from dataclasses import dataclass
from datetime import datetime

from sandbox.cluster.clock import Clock
from sandbox.cluster.documents import (
    Document,
    Json,
    ReadOnly,
    controller_of,
    copy_of,
    name_of,
    namespace_of,
    stamp,
    text,
    uid_of,
    whole,
)
from sandbox.cluster.errors import StatusError
from sandbox.cluster.names import Names
from sandbox.cluster.resources import EVENTS, Resource, Subresource
from sandbox.cluster.selectors import Selection
from sandbox.cluster.server import ApiServer
from sandbox.cluster.writes import Target

_EVENTS_KEPT = 1_000


@dataclass(slots=True)
class Plane:
    """The API server, the clock and the names, with what every actor does by them."""

    api: ApiServer
    clock: Clock
    names: Names

    def select(self, resource: Resource, namespace: str = "") -> list[Document]:
        """Return the objects of a resource."""
        return self.api.store.select(resource, Selection(namespace=namespace))

    def find(self, resource: Resource, namespace: str, *, name: str) -> Document | None:
        """Return an object, or None."""
        return self.api.store.get(resource, (namespace, name))

    def owned(self, resource: Resource, owner: ReadOnly) -> list[Document]:
        """Return the objects that an owner controls."""
        uid = uid_of(owner)
        return [one for one in self.select(resource, namespace_of(owner)) if text(controller_of(one), "uid") == uid]

    def set_status(self, resource: Resource, document: ReadOnly, status: Document) -> None:
        """Write a status, if it says something new."""
        current = self.find(resource, namespace_of(document), name=name_of(document))
        if current is None or current.get("status") == status:
            return
        changed = copy_of(current)
        changed["status"] = status
        self.api.replace(target_of(resource, document, Subresource.STATUS), changed)

    def update(self, resource: Resource, changed: Document) -> None:
        """Write an object's new state; a moment later somebody else's is as good."""
        try:
            self.api.replace(target_of(resource, changed), changed)
        except StatusError:
            return

    def delete(self, resource: Resource, document: ReadOnly, **options: Json) -> None:
        """Delete an object, if it is still there."""
        try:
            self.api.delete(target_of(resource, document), options)
        except StatusError:
            return

    def note(self, about: ReadOnly, reason: str, message: str, *, warning: bool = False, source: str = "") -> None:
        """Record an event; the same one again only counts up."""
        kind = "Warning" if warning else "Normal"
        now = stamp(self.clock.now())
        for event in self.select(EVENTS, namespace_of(about) or "default"):
            if _same(event, about, reason=reason, message=message):
                again = copy_of(event)
                again["count"], again["lastTimestamp"] = whole(event, "count") + 1, now
                self.update(EVENTS, again)
                return
        self._new_event(about, reason, message=message, kind=kind, source=source)

    def _new_event(self, about: ReadOnly, reason: str, *, message: str, kind: str, source: str) -> None:
        now, namespace = stamp(self.clock.now()), namespace_of(about) or "default"
        event: Document = {
            "metadata": {"name": f"{name_of(about)}.{self.names.hexadecimal()[:16]}", "namespace": namespace},
            "involvedObject": _reference(about),
            "reason": reason,
            "message": message,
            "type": kind,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": source},
            "reportingComponent": source,
            "reportingInstance": "",
        }
        try:
            self.api.create(Target(EVENTS, namespace), event)
        except StatusError:
            return  # a namespace that is going takes no more events
        self._forget_old_events(namespace)

    def _forget_old_events(self, namespace: str) -> None:
        events = self.select(EVENTS, namespace)
        if len(events) > _EVENTS_KEPT:
            self.delete(EVENTS, min(events, key=lambda one: str(one.get("lastTimestamp"))))


def target_of(resource: Resource, document: ReadOnly, subresource: Subresource | None = None) -> Target:
    """Return the path of an object."""
    return Target(resource, namespace_of(document), name_of(document), subresource)


def controlled_by(resource: Resource, owner: ReadOnly) -> Document:
    """Return the reference that makes `owner` the controller of another object."""
    return {
        "apiVersion": resource.group_version,
        "kind": resource.kind,
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def condition(kind: str, *, holds: bool, reason: str, message: str, now: datetime) -> Document:
    """Return a status condition."""
    moment = stamp(now)
    told = {"reason": reason, "message": message}
    return {
        "type": kind,
        "status": "True" if holds else "False",
        **{name: word for name, word in told.items() if word},
        "lastTransitionTime": moment,
        "lastUpdateTime": moment,
    }


def settled(fresh: list[Document], known: list[Document]) -> list[Document]:
    """Return conditions as they are now; those that say what they said keep their moments."""
    before = {str(one.get("type")): one for one in known}
    return [_kept(one, before.get(str(one.get("type")))) for one in fresh]


def _kept(fresh: Document, before: Document | None) -> Document:
    if before is None:
        return fresh
    told = ("status", "reason", "message")
    if all(before.get(name) == fresh.get(name) for name in told):
        return before
    if before.get("status") == fresh.get("status"):
        return fresh | {"lastTransitionTime": before.get("lastTransitionTime")}
    return fresh


def _same(event: ReadOnly, about: ReadOnly, *, reason: str, message: str) -> bool:
    involved = event.get("involvedObject")
    uid = involved.get("uid") if isinstance(involved, dict) else ""
    return uid == uid_of(about) and event.get("reason") == reason and event.get("message") == message


def _reference(about: ReadOnly) -> Document:
    metadata = about.get("metadata")
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else ""
    return {
        "kind": about.get("kind"),
        "apiVersion": about.get("apiVersion"),
        "namespace": namespace_of(about),
        "name": name_of(about),
        "uid": uid_of(about),
        "resourceVersion": version,
    }
