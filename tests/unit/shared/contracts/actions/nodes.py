"""Builders of nodes, and of pods that stand on them, each under the path at which it lies."""

from typing import Any

from shared.contracts.signals import NodeSignal
from shared.contracts.workloads import ObjectRef, WorkloadRef
from tests.unit.shared.contracts.actions.conversation import AT
from tests.unit.shared.contracts.actions.objects import replica_set

NODE = WorkloadRef(kind="Node", name="n1")
NODES = "/api/v1/nodes"
AT_NODE = f"{NODES}/n1"
SETS = "/apis/apps/v1/namespaces/{}/replicasets"
CORDONED = {"sre-agent.dev/cordoned": "cmd-0"}
MARKS = {"sre-agent.dev/command": "cmd-1", "sre-agent.dev/token": "3"}


def node(name: str = "n1", *, cordoned: bool = False, ready: str = "True", taints: Any = (), **metadata: Any) -> Any:
    """Return a node; it takes pods where nothing else is said."""
    spec = {"unschedulable": True} if cordoned else {}
    return {
        "metadata": {"name": name, "uid": name, "resourceVersion": "5"} | metadata,
        "spec": {**spec, **({"taints": list(taints)} if taints else {})},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def three(**first: Any) -> dict[str, Any]:
    """Return three nodes by their paths, the first of which is as it is told."""
    return {AT_NODE: node(**first), f"{NODES}/n2": node("n2"), f"{NODES}/n3": node("n3")}


def pod_on(
    name: str, *, namespace: str = "bank", owner: str | None = "ReplicaSet", phase: str = "Running", **metadata: Any
) -> dict[str, Any]:
    """Return a pod on the node, with the ReplicaSet that owns it."""
    owners = [{"kind": owner, "name": f"of-{name}", "controller": True}] if owner else []
    usual = {"name": name, "namespace": namespace, "uid": name, "resourceVersion": "9", "ownerReferences": owners}
    above = replica_set(1, image="v1")
    above["metadata"] = {"name": f"of-{name}"}
    return {
        f"/api/v1/namespaces/{namespace}/pods/{name}": {
            "metadata": usual | metadata,
            "spec": {"nodeName": "n1"},
            "status": {"phase": phase},
        },
        f"{SETS.format(namespace)}/of-{name}": above,
        f"/api/v1/namespaces/{namespace}": {"metadata": {"name": namespace}},
    }


def seen(*, ready: bool = False) -> NodeSignal:
    """Return a signal of the node."""
    about = ObjectRef(kind="Node", name="n1", uid="n1")
    return NodeSignal(id="s", at=AT, cluster="test", workload=NODE, object=about, healthy=ready, ready=ready)
