"""What is done to nodes has in common: whose a cordon is, and whether the other nodes can do without one."""

from collections.abc import Generator

from shared.contracts.actions.base import Order, RefusedError, read_all
from shared.contracts.actions.ownership import other_writer_of
from shared.contracts.model import JsonObject
from shared.contracts.objects import annotations_of, condition, flag, section, sections, text
from shared.contracts.paths import collection_of
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Answer, ListAll, Patch, PatchType
from shared.contracts.rights import Right, rights_on

CORDON_ANNOTATION = "sre-agent.dev/cordoned"
"""By which command a node was cordoned. It outlives an uncordon by a person: who wrote the cordon is asked as well."""
NODE = frozenset({"Node"})
CHANGE_NODES: frozenset[Right] = rights_on(["nodes"], verbs=["get", "patch"])
_OF_KUBERNETES = "node.kubernetes.io/"
_KEEPS_OFF = frozenset({"NoSchedule", "NoExecute"})


def is_cordoned(node: JsonObject) -> bool:
    """Tell whether a node takes no new pods."""
    return flag(section(node, "spec"), "unschedulable")


def is_ours(node: JsonObject) -> bool:
    """Tell whether a node's cordon is one of our own, and no person has uncordoned it and cordoned it anew since."""
    return CORDON_ANNOTATION in annotations_of(node) and not other_writer_of(node, ("spec", "unschedulable"))


def cordon_of(path: str, node: JsonObject, order: Order) -> Patch:
    """Return the change that lets a node take no new pods, under the marks and its version."""
    return _scheduling(path, node, order, unschedulable=True, cordoned_by=order.command)


def uncordon_of(path: str, node: JsonObject, order: Order) -> Patch:
    """Return the change that takes a cordon back, and with it the mark that it is ours."""
    return _scheduling(path, node, order, unschedulable=None, cordoned_by=None)


def check_others(order: Order, *, least_percent: int) -> Generator[ListAll, Answer, None]:
    """Ask for all nodes: of the others at least that share must take pods, and one at the least.

    A node that is set apart for certain pods (by a taint that is not Kubernetes' own) is not counted.

    Raises:
        RefusedError: too few do.
    """
    nodes = yield from read_all(collection_of("Node", ""))
    others = [one for one in nodes if _name_of(one) != order.workload.name and not _is_set_apart(one)]
    able = [one for one in others if _takes_pods(one)]
    if not able or len(able) * 100 < least_percent * len(others):
        out = ", ".join(sorted(_name_of(one) for one in others if not _takes_pods(one))) or "none"
        raise RefusedError(Refusal.TOO_FEW_NODES, f"{len(able)} of {len(others)} other nodes take pods; out: {out}")


def _scheduling(
    path: str, node: JsonObject, order: Order, *, unschedulable: bool | None, cordoned_by: str | None
) -> Patch:
    metadata = order.metadata_for(node)
    marks: JsonObject = {**order.marks, CORDON_ANNOTATION: cordoned_by}
    body: JsonObject = {"metadata": {**metadata, "annotations": marks}, "spec": {"unschedulable": unschedulable}}
    return Patch(path, body, PatchType.MERGE)


def _name_of(node: JsonObject) -> str:
    return text(section(node, "metadata"), "name")


def _takes_pods(node: JsonObject) -> bool:
    return not is_cordoned(node) and text(condition(node, "Ready"), "status") == "True"


def _is_set_apart(node: JsonObject) -> bool:
    taints = sections(node, "spec", "taints")
    return any(text(one, "effect") in _KEEPS_OFF and not text(one, "key").startswith(_OF_KUBERNETES) for one in taints)
