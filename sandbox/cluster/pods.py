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


def quality_of(pod: ReadOnly) -> str:
    """Return the class of service that follows from what a pod's containers request and may use."""
    parts = [
        section(one, "resources") for one in (*rows(pod, "spec", "containers"), *rows(pod, "spec", "initContainers"))
    ]
    if not any(texts(part, "limits") or texts(part, "requests") for part in parts):
        return "BestEffort"
    bounded = all({"cpu", "memory"} <= set(section(part, "limits")) for part in parts)
    return (
        "Guaranteed" if bounded and all(part.get("limits") == part.get("requests") for part in parts) else "Burstable"
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
