"""Who controls what by its labels: an owner adopts what it selects, and lets go what it selects no more."""

from sandbox.cluster.documents import (
    Document,
    Json,
    ReadOnly,
    controller_of,
    copy_of,
    ensured,
    is_leaving,
    namespace_of,
    rows,
    text,
    uid_of,
)
from sandbox.cluster.plane import Plane, controlled_by
from sandbox.cluster.resources import Resource
from sandbox.cluster.selectors import LabelSelector, selector_of, selects


def claim(plane: Plane, resource: Resource, *, by: tuple[Resource, Document]) -> None:
    """Adopt what an owner selects, and let go of what it selects no more."""
    kind, owner = by
    selector = selector_of(owner, "spec", "selector")
    for document in plane.select(resource, namespace_of(owner)):
        if is_leaving(document):
            continue
        if _is_lost(document, owner, selector):
            plane.update(resource, _released(document, owner))
        elif selects(selector, document) and not controller_of(document):
            plane.update(resource, _adopted(document, controlled_by(kind, owner)))


def _is_lost(document: ReadOnly, owner: ReadOnly, selector: LabelSelector) -> bool:
    return text(controller_of(document), "uid") == uid_of(owner) and not selects(selector, document)


def _released(document: Document, owner: ReadOnly) -> Document:
    released = copy_of(document)
    owners = rows(document, "metadata", "ownerReferences")
    kept: list[Json] = [one for one in owners if text(one, "uid") != uid_of(owner)]
    ensured(released, "metadata")["ownerReferences"] = kept
    return released


def _adopted(document: Document, reference: Document) -> Document:
    adopted = copy_of(document)
    owners: list[Json] = [*rows(document, "metadata", "ownerReferences"), reference]
    ensured(adopted, "metadata")["ownerReferences"] = owners
    return adopted
