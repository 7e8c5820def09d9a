"""Nodes: their health, and which of them the scheduler passes over. The test brings a node of its own."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.contracts.cluster.backend import Backend, until
from tests.contracts.cluster.wire import Wire

pytestmark = pytest.mark.contract

NODES = "/api/v1/nodes"


def health(status: str) -> Any:
    """Return the status of a node that says whether it is ready."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    moments = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    ready = {"type": "Ready", "status": status, "reason": "Contract", "message": "", **moments}
    room = {"cpu": "4", "memory": "8Gi", "pods": "20"}
    return {"status": {"conditions": [ready], "capacity": room, "allocatable": room}}


@pytest.fixture
def node(wire: Wire, namespace: str) -> Generator[str]:
    """Bring a node that nobody runs, and return its path."""
    name = f"node-of-{namespace}"
    body = {"metadata": {"name": name, "labels": {"contract": namespace}}, "spec": {"unschedulable": True}}
    assert wire.post(NODES, body).code == 201
    wire.patch(f"{NODES}/{name}/status", health("True"))
    yield f"{NODES}/{name}"
    for pod in wire.get(f"/api/v1/namespaces/{namespace}/pods").document["items"]:
        wire.delete(f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}", {"gracePeriodSeconds": 0})
    wire.delete(f"{NODES}/{name}")


@pytest.fixture
def pod(wire: Wire, namespace: str, backend: Backend, node: str) -> str:
    """Create a pod for that node alone, and return its path."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    assert wire.post(path, backend.pod("one", nodeSelector={"contract": namespace})).code == 201
    return f"{path}/one"


def is_unschedulable(wire: Wire, pod: str) -> bool:
    conditions = wire.get(pod).document["status"].get("conditions", [])
    return any(one["type"] == "PodScheduled" and one.get("reason") == "Unschedulable" for one in conditions)


def test_nodes_tell_that_they_are_ready(core: Any) -> None:
    conditions = {one.type: one.status for node in core.list_node().items for one in node.status.conditions}
    assert conditions["Ready"] == "True"


def test_a_node_tells_its_capacity_its_addresses_and_its_system(wire: Wire) -> None:
    told = [node["status"] for node in wire.get(NODES).document["items"]]
    status = next(one for one in told if one.get("nodeInfo", {}).get("kubeletVersion", "").startswith("v1."))
    assert {"cpu", "memory", "pods"} <= set(status["allocatable"])
    assert status["addresses"]


def test_a_cordoned_node_gets_no_pods_until_it_is_uncordoned(wire: Wire, node: str, pod: str) -> None:
    until(lambda: is_unschedulable(wire, pod))
    wire.patch(node, {"spec": {"unschedulable": None}})
    until(lambda: wire.get(pod).document["spec"].get("nodeName") == node.removeprefix(f"{NODES}/"))


def test_a_node_that_is_not_ready_gets_no_pods(wire: Wire, node: str, pod: str) -> None:
    wire.patch(f"{node}/status", health("False"))
    wire.patch(node, {"spec": {"unschedulable": None}})
    until(lambda: is_unschedulable(wire, pod))
    assert "nodeName" not in wire.get(pod).document["spec"]


def test_a_tainted_node_gets_only_the_pods_that_tolerate_it(
    wire: Wire, namespace: str, backend: Backend, node: str, pod: str
) -> None:
    taint = {"key": "contract", "value": "yes", "effect": "NoSchedule"}
    wire.patch(node, {"spec": {"unschedulable": None, "taints": [taint]}})
    toleration = {"key": "contract", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}
    tolerant = backend.pod("two", nodeSelector={"contract": namespace}, tolerations=[toleration])
    path = f"/api/v1/namespaces/{namespace}/pods"
    wire.post(path, tolerant)
    until(lambda: wire.get(f"{path}/two").document["spec"].get("nodeName", "") != "")
    assert is_unschedulable(wire, pod)


def test_a_pod_that_requests_more_than_a_node_has_is_unschedulable(
    wire: Wire, namespace: str, backend: Backend, node: str
) -> None:
    wire.patch(node, {"spec": {"unschedulable": None}})
    path = f"/api/v1/namespaces/{namespace}/pods"
    greedy = backend.container(resources={"requests": {"memory": "9Gi"}})
    wire.post(path, backend.pod("one", greedy, nodeSelector={"contract": namespace}))

    def told() -> str:
        conditions = wire.get(f"{path}/one").document["status"].get("conditions", [])
        return next((one["message"] for one in conditions if one["type"] == "PodScheduled"), "")

    until(lambda: "Insufficient memory" in told())


def test_nodes_are_selected_by_whether_they_are_cordoned(wire: Wire, node: str) -> None:
    found = wire.get(f"{NODES}?fieldSelector=spec.unschedulable=true").document["items"]
    assert node.removeprefix(f"{NODES}/") in {one["metadata"]["name"] for one in found}
