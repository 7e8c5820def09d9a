"""What raw objects say of where a healing would be: a pod's node, whether it is ready, how many workloads there are."""

from collections.abc import Iterable

from shared.contracts.model import JsonObject
from shared.contracts.objects import condition, labels_of, section, sections, text


def node_of(pod: JsonObject) -> str:
    """Return the node that a pod runs on; empty where it is not scheduled."""
    return text(section(pod, "spec"), "nodeName")


def is_node_ready(node: JsonObject) -> bool:
    """Tell whether a node says that it is ready; `Unknown` is what is told of one that is not heard of."""
    return text(condition(node, "Ready"), "status") == "True"


def workloads_of(pods: Iterable[JsonObject]) -> int:
    """Return how many workloads have pods; the ReplicaSets of one Deployment are one."""
    return len({_controller(pod) for pod in pods})


def _controller(pod: JsonObject) -> tuple[str, str]:
    owner = next((one for one in sections(pod, "metadata", "ownerReferences") if one.get("controller") is True), None)
    if owner is None:
        return "Pod", text(section(pod, "metadata"), "name")
    name, revision = text(owner, "name"), labels_of(pod).get("pod-template-hash", "")
    return text(owner, "kind"), name.removesuffix(f"-{revision}") if revision else name
