"""What may be read off a pod, and how one is made from a template."""

from sandbox.cluster.documents import (
    Document,
    ReadOnly,
    copied,
    ensured,
    is_leaving,
    labels_of,
    rows,
    section,
    text,
    texts,
)

_ENDED = frozenset({"Succeeded", "Failed"})


def is_active(pod: ReadOnly) -> bool:
    """Tell whether a pod counts for its controller: neither ended nor leaving."""
    return not is_leaving(pod) and text(pod, "status", "phase") not in _ENDED


def is_ready(pod: ReadOnly) -> bool:
    """Tell whether a pod's Ready condition is true."""
    return any(
        text(one, "type") == "Ready" and text(one, "status") == "True" for one in rows(pod, "status", "conditions")
    )


def pod_of(template: ReadOnly, *, owner: Document, labels: dict[str, str]) -> Document:
    """Return a pod of a template, without a name yet."""
    own: Document = dict(texts(template, "metadata", "labels") | labels)
    notes: Document = dict(texts(template, "metadata", "annotations"))
    pod: Document = {"metadata": {"labels": own, "ownerReferences": [owner]}, "spec": copied(section(template, "spec"))}
    if notes:
        ensured(pod, "metadata")["annotations"] = notes
    return pod


def label_of(document: ReadOnly, name: str) -> str:
    """Return a label; empty if there is none."""
    return labels_of(document).get(name, "")
