"""The end of namespaces: what one holds goes first."""

from sandbox.cluster.documents import Document, is_leaving, name_of, namespace_of
from sandbox.cluster.plane import Plane
from sandbox.cluster.resources import NAMESPACES

_KUBE_SYSTEM = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})


def empty_namespace(plane: Plane, namespace: Document) -> None:
    """Delete what a namespace holds that is going, and then the namespace."""
    if not is_leaving(namespace) or name_of(namespace) in _KUBE_SYSTEM:
        return
    for resource, document in plane.api.store.everything():
        if namespace_of(document) == name_of(namespace) and not is_leaving(document):
            plane.delete(resource, document)
    if plane.find(NAMESPACES, "", name=name_of(namespace)) is not None:
        plane.api.finish_namespace(name_of(namespace))
