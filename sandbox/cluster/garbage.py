"""The garbage collector: what is owned goes with its last owner, and an owner may wait for what it owns."""

from sandbox.cluster.deleting import FOREGROUND
from sandbox.cluster.documents import (
    Document,
    Json,
    ReadOnly,
    copy_of,
    ensured,
    is_leaving,
    namespace_of,
    rows,
    text,
    truth,
    uid_of,
    words,
)
from sandbox.cluster.plane import Plane
from sandbox.cluster.resources import Resource, resource_of_kind


def collect(plane: Plane, resource: Resource, document: Document) -> None:
    """Delete an object whose owners are all gone; take the owners that are gone off one that has others."""
    owners = rows(document, "metadata", "ownerReferences")
    living: list[Json] = [one for one in owners if _exists(plane, one, namespace=namespace_of(document))]
    if len(living) == len(owners):
        return
    if not living:
        plane.delete(resource, document)
        return
    kept = copy_of(document)
    ensured(kept, "metadata")["ownerReferences"] = living
    plane.update(resource, kept)


def collect_owned(plane: Plane, gone: ReadOnly) -> None:
    """Look at everything that an object that is gone had owned."""
    for resource, document in _owned(plane, gone):
        collect(plane, resource, document)


def finish_owner(plane: Plane, resource: Resource, owner: Document) -> None:
    """Delete what a leaving owner waits for; let it go once none of that is left."""
    held = words(owner, "metadata", "finalizers")
    if not is_leaving(owner) or FOREGROUND not in held:
        return
    owned = _owned(plane, owner)
    for kind, document in owned:
        if not is_leaving(document):
            plane.delete(kind, document, propagationPolicy="Foreground")
    if any(_blocks(document, owner) for _, document in _owned(plane, owner)):
        return
    released = copy_of(owner)
    ensured(released, "metadata")["finalizers"] = [one for one in held if one != FOREGROUND]
    plane.update(resource, released)


def _owned(plane: Plane, owner: ReadOnly) -> list[tuple[Resource, Document]]:
    uid = uid_of(owner)
    return [
        (resource, document)
        for resource, document in plane.api.store.everything()
        if any(text(one, "uid") == uid for one in rows(document, "metadata", "ownerReferences"))
    ]


def _exists(plane: Plane, reference: ReadOnly, *, namespace: str) -> bool:
    resource = resource_of_kind(text(reference, "apiVersion"), text(reference, "kind"))
    if resource is None:
        return True  # of a kind that is not served here, nothing can be said
    found = plane.find(resource, namespace if resource.namespaced else "", name=text(reference, "name"))
    return found is not None and uid_of(found) == text(reference, "uid")


def _blocks(document: ReadOnly, owner: ReadOnly) -> bool:
    owners = rows(document, "metadata", "ownerReferences")
    return any(text(one, "uid") == uid_of(owner) and truth(one, "blockOwnerDeletion") for one in owners)
