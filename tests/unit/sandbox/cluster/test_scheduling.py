"""What keeps a pod from a node."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.cluster.scheduling import obstacle

TAINT = {"key": "kept", "value": "yes", "effect": "NoSchedule"}


def node(*, ready: str = "True", **spec: Any) -> Any:
    return {
        "metadata": {"name": "one", "labels": {"disk": "fast"}},
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": ready}], "allocatable": {"cpu": "2", "memory": "1Gi"}},
    }


def pod(*, cpu: str = "100m", placed: bool = False, **spec: Any) -> Any:
    own = {"containers": [{"name": "server", "resources": {"requests": {"cpu": cpu}}}]}
    return {"metadata": {"name": "web"}, "spec": own | ({"nodeName": "one"} if placed else {}) | spec}


@pytest.mark.parametrize(
    ("asks", "on", "told"),
    [
        (pod(), node(), ""),
        (pod(), node(unschedulable=True), "node(s) were unschedulable"),
        (pod(), node(ready="Unknown"), "node(s) had untolerated taint(s)"),
        (pod(nodeSelector={"disk": "slow"}), node(), "node(s) didn't match Pod's node affinity/selector"),
        (pod(), node(taints=[TAINT]), "node(s) had untolerated taint(s)"),
        (pod(), node(taints=[TAINT | {"effect": "PreferNoSchedule"}]), ""),
        (pod(tolerations=[{"operator": "Exists"}]), node(taints=[TAINT]), ""),
        (pod(tolerations=[{"key": "kept", "value": "yes"}]), node(taints=[TAINT]), ""),
        (pod(tolerations=[{"key": "kept", "value": "no"}]), node(taints=[TAINT]), "node(s) had untolerated taint(s)"),
        (pod(cpu="3"), node(), "Insufficient cpu"),
    ],
)
def test_a_pod_is_kept_from_a_node_by_what_the_node_says(asks: Any, on: Any, told: str) -> None:
    assert obstacle(asks, on, []) == told


@given(st.lists(st.integers(0, 1_000), max_size=8), st.integers(1, 2_000))
def test_what_is_placed_never_exceeds_what_a_node_has(taken: list[int], wanted: int) -> None:
    placed = [pod(cpu=f"{cpu}m", placed=True) for cpu in taken]
    fits = not obstacle(pod(cpu=f"{wanted}m"), node(), placed)
    assert fits == (sum(taken) + wanted <= 2_000)
