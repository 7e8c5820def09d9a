"""How an object leaves: what a delete waits for, and how the object looks meanwhile; pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.cluster.documents import (
    Document,
    Json,
    ReadOnly,
    copy_of,
    ensured,
    is_leaving,
    name_of,
    stamp,
    text,
    uid_of,
    whole,
    words,
)
from sandbox.cluster.resources import NAMESPACES, PODS, Resource

FOREGROUND = "foregroundDeletion"
_DONE_PHASES = frozenset({"Succeeded", "Failed"})
_DEFAULT_GRACE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a delete came to: the object's last state, and whether it is gone already."""

    document: Document
    gone: bool


def grace_of(resource: Resource, options: Document, *, before: ReadOnly) -> int:
    """Return how many seconds an object has to end; only a pod on a node has any."""
    if resource is not PODS:
        return 0
    if not text(before, "spec", "nodeName") or text(before, "status", "phase") in _DONE_PHASES:
        return 0
    default = whole(before, "spec", "terminationGracePeriodSeconds", default=_DEFAULT_GRACE_SECONDS)
    wanted = whole(options, "gracePeriodSeconds", default=default)
    if not is_leaving(before):
        return wanted
    return min(wanted, whole(before, "metadata", "deletionGracePeriodSeconds"))


def held_by(options: Document, before: ReadOnly) -> list[Json]:
    """Return the finalizers that hold an object once it is deleted in the way that is asked for."""
    held: list[Json] = [*words(before, "metadata", "finalizers")]
    waits_for_what_it_owns = text(options, "propagationPolicy") == "Foreground" and FOREGROUND not in held
    return [*held, FOREGROUND] if waits_for_what_it_owns else held


def leaving(resource: Resource, before: Document, *, grace: int, end: datetime, held: list[Json]) -> Document:
    """Return an object that is to end at a moment."""
    document = copy_of(before)
    metadata = ensured(document, "metadata")
    if held:
        metadata["finalizers"] = held
    if not is_leaving(before) or whole(metadata, "deletionGracePeriodSeconds") != grace:
        metadata["deletionTimestamp"], metadata["deletionGracePeriodSeconds"] = stamp(end), grace
    if resource is NAMESPACES:
        del metadata["deletionGracePeriodSeconds"]
        ensured(document, "status")["phase"] = "Terminating"
    return document


def end_of(now: datetime, grace: int, *, scale: float) -> datetime:
    """Return when a grace period that begins now is over by the clock on the wall."""
    return now + timedelta(seconds=grace) / scale


def may_go(resource: Resource, document: ReadOnly) -> bool:
    """Tell whether nothing holds a leaving object any more."""
    held = bool(words(document, "metadata", "finalizers"))
    graceful = resource is NAMESPACES or whole(document, "metadata", "deletionGracePeriodSeconds") > 0
    return not held and not graceful


def deletion_status(resource: Resource, document: Document) -> Document:
    """Return the Status that answers a finished delete."""
    details: Document = {"name": name_of(document), "group": resource.group, "kind": resource.plural}
    details["uid"] = uid_of(document)
    shown: Document = {key: value for key, value in details.items() if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": shown}
