"""How a written object becomes the stored one: names, metadata, generation, defaults, validation; no storage."""

from dataclasses import dataclass
from datetime import datetime

from sandbox.cluster.defaults import fill_defaults
from sandbox.cluster.documents import (
    Document,
    at,
    copied,
    copy_of,
    ensured,
    name_of,
    section,
    stamp,
    text,
    uid_of,
    whole,
)
from sandbox.cluster.errors import bad_request, stale, unprocessable, wrong_precondition
from sandbox.cluster.names import Names
from sandbox.cluster.pods import quality_of
from sandbox.cluster.resources import (
    DAEMON_SETS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
    Subresource,
)
from sandbox.cluster.validation import check_readable, faults_of

_KEPT_METADATA = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")
_MAY_BE_EMPTY = ("labels", "annotations", "finalizers", "ownerReferences")
_STATUS_KEPT_ON_CREATE = frozenset({NAMESPACES, NODES})


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names: a resource, perhaps in a namespace, perhaps one object, perhaps a part of it."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: Subresource | None = None

    def check(self, document: Document) -> None:
        """Refuse a body that speaks of another object than the path.

        Raises:
            StatusError: kind, namespace or name differ (400).
        """
        self._check_kind(document)
        namespace, name = text(document, "metadata", "namespace"), name_of(document)
        if namespace and namespace != self.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if self.name and name and name != self.name:
            raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({self.name})")

    def _check_kind(self, document: Document) -> None:
        resource = self.resource
        kind = text(document, "kind", default=resource.kind)
        version = text(document, "apiVersion", default=resource.group_version)
        if (version, kind) != (resource.group_version, resource.kind):
            raise bad_request(
                f'{kind} in version "{version.rpartition("/")[2]}" cannot be handled as a {resource.kind}: '
                "converting to the expected version is not possible"
            )


def new_object(target: Target, body: Document, *, names: Names, now: datetime) -> Document:
    """Return the object that a create stores.

    Raises:
        StatusError: the body is not acceptable (400, 422).
    """
    resource = target.resource
    document = resource.header() | copy_of(body)
    metadata = ensured(document, "metadata")
    if metadata.pop("resourceVersion", None):
        raise bad_request("resourceVersion should not be set on objects to be created")
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        metadata.pop(field, None)
    _name(metadata, names)
    if resource.namespaced:
        metadata["namespace"] = target.namespace
    metadata["uid"], metadata["creationTimestamp"] = names.uid(), stamp(now)
    if resource.counts_generations:
        metadata["generation"] = 1
    if resource.has_status and resource not in _STATUS_KEPT_ON_CREATE:
        document["status"] = _first_status(resource)
    fill_defaults(resource, document)
    if resource is PODS:
        ensured(document, "status")["qosClass"] = quality_of(document)
    _drop_empty(metadata)
    _validate(resource, document, before=None)
    return document


def changed_object(target: Target, body: Document, *, before: Document) -> Document:
    """Return the object that an update stores; equal to `before` when nothing changes.

    Raises:
        StatusError: the body is not acceptable (400, 409, 422).
    """
    resource = target.resource
    document = resource.header() | copy_of(body)
    metadata = ensured(document, "metadata")
    check_version(resource, metadata, before=before)
    _keep_metadata(metadata, before)
    _keep_the_other_half(target, document, before)
    _drop_empty(metadata)
    if target.subresource is not Subresource.STATUS:
        fill_defaults(resource, document)
        _keep_assigned(resource, document, before)
        _validate(resource, document, before=before)
    if resource.counts_generations and at(document, "spec") != at(before, "spec"):
        metadata["generation"] = whole(before, "metadata", "generation") + 1
    return document


def check_version(resource: Resource, metadata: Document, *, before: Document) -> None:
    """Refuse a write that rests on an old version or on an object that was replaced.

    Raises:
        StatusError: resourceVersion or uid differ (409).
    """
    name = name_of(before)
    version, uid = text(metadata, "resourceVersion"), text(metadata, "uid")
    if uid and uid != uid_of(before):
        raise wrong_precondition(resource, name, what="UID", wanted=uid, found=uid_of(before))
    if version and version != text(before, "metadata", "resourceVersion"):
        raise stale(resource, name)


def check_preconditions(resource: Resource, options: Document, *, before: Document) -> None:
    """Refuse a delete whose preconditions do not hold.

    Raises:
        StatusError: uid or resourceVersion differ (409).
    """
    wanted = section(options, "preconditions")
    uid, version = text(wanted, "uid"), text(wanted, "resourceVersion")
    if uid and uid != uid_of(before):
        raise wrong_precondition(resource, name_of(before), what="UID", wanted=uid, found=uid_of(before))
    found = text(before, "metadata", "resourceVersion")
    if version and version != found:
        raise wrong_precondition(resource, name_of(before), what="ResourceVersion", wanted=version, found=found)


def _name(metadata: Document, names: Names) -> None:
    prefix = text(metadata, "generateName")
    if prefix and not text(metadata, "name"):
        metadata["name"] = prefix + names.suffix()


def _drop_empty(metadata: Document) -> None:
    """Leave out what says nothing, as the API server does when it writes an object."""
    for field in _MAY_BE_EMPTY:
        if metadata.get(field) in (None, {}, []):
            metadata.pop(field, None)


def _first_status(resource: Resource) -> Document:
    first: Document = {}
    return copy_of(_FIRST_STATUS.get(resource, first))


_FIRST_STATUS: dict[Resource, Document] = {
    PODS: {"phase": "Pending"},
    SERVICES: {"loadBalancer": {}},
    REPLICA_SETS: {"replicas": 0},
    STATEFUL_SETS: {"replicas": 0, "availableReplicas": 0},
    DAEMON_SETS: {
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    },
}


def _validate(resource: Resource, document: Document, *, before: Document | None) -> None:
    check_readable(resource, document)
    faults = faults_of(resource, document, before=before)
    if faults:
        raise unprocessable(resource, name_of(document), faults=faults)


def _keep_metadata(metadata: Document, before: Document) -> None:
    kept = section(before, "metadata")
    for field in ("name", "namespace", *_KEPT_METADATA):
        metadata.pop(field, None)
        if field in kept:
            metadata[field] = kept[field]
    metadata["resourceVersion"] = kept["resourceVersion"]


def _keep_the_other_half(target: Target, document: Document, before: Document) -> None:
    if not target.resource.has_status:
        return
    if target.subresource is Subresource.STATUS:
        status = document.get("status")
        for field in list(document):
            if field not in {"metadata", "kind", "apiVersion"}:
                del document[field]
        document |= {key: copied(value) for key, value in before.items() if key not in {"metadata", "status"}}
        document["status"] = status if status is not None else {}
    elif "status" in before:
        document["status"] = copied(before["status"])


def _keep_assigned(resource: Resource, document: Document, before: Document) -> None:
    if resource is SERVICES:
        for field in ("clusterIP", "clusterIPs"):
            if at(before, "spec", field) is not None:
                ensured(document, "spec").setdefault(field, at(before, "spec", field))
    if resource is PODS and at(before, "spec", "nodeName") is not None:
        ensured(document, "spec").setdefault("nodeName", at(before, "spec", "nodeName"))
