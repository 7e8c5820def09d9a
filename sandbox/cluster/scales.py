"""The scale subresource: a workload seen as its number of replicas; pure."""

from sandbox.cluster.documents import Document, ReadOnly, at, copy_of, ensured, section, text, texts, whole
from sandbox.cluster.errors import unprocessable
from sandbox.cluster.resources import Resource
from sandbox.cluster.validation import scale_faults

_SCALE = Resource("autoscaling", "v1", "scales", "Scale")
_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(workload: ReadOnly) -> Document:
    """Return a workload as autoscaling/v1 Scale."""
    metadata = section(workload, "metadata")
    status: Document = {"replicas": whole(workload, "status", "replicas")}
    status["selector"] = ",".join(
        f"{key}={value}" for key, value in texts(workload, "spec", "selector", "matchLabels").items()
    )
    kept: Document = {key: metadata[key] for key in _METADATA if key in metadata}
    spec: Document = {"replicas": whole(workload, "spec", "replicas")}
    scale: Document = {**_SCALE.header(), "metadata": kept, "spec": spec, "status": status}
    return scale


def scaled(workload: ReadOnly, scale: ReadOnly) -> Document:
    """Return the workload with the replicas that a Scale asks for.

    Raises:
        StatusError: the number is negative (422).
    """
    replicas = whole(scale, "spec", "replicas") if at(scale, "spec") is not None else 0
    faults = scale_faults(replicas)
    if faults:
        raise unprocessable(_SCALE, text(workload, "metadata", "name"), faults=faults)
    changed = copy_of(workload)
    ensured(changed, "spec")["replicas"] = replicas
    return changed
