"""What raw objects say of where a healing would be."""

from typing import Any

import pytest

from services.remediator.core.standing import is_node_ready, node_of, workloads_of


@pytest.mark.parametrize(
    ("conditions", "is_ready"),
    [
        ([{"type": "Ready", "status": "True"}], True),
        ([{"type": "Ready", "status": "False"}], False),
        ([{"type": "Ready", "status": "Unknown"}], False),
        ([{"type": "DiskPressure", "status": "True"}], False),
        ([], False),
        (None, False),
    ],
)
def test_a_node_is_ready_where_it_says_so(conditions: Any, is_ready: bool) -> None:
    assert is_node_ready({"status": {"conditions": conditions}}) is is_ready


def pod(name: str, *, owner: dict[str, Any] | None, revision: str = "") -> dict[str, Any]:
    labels = {"pod-template-hash": revision} if revision else {}
    return {"metadata": {"name": name, "labels": labels, "ownerReferences": [owner] if owner else []}}


def owner(kind: str, name: str) -> dict[str, Any]:
    return {"kind": kind, "name": name, "controller": True}


def test_the_replica_sets_of_one_deployment_are_one_workload() -> None:
    pods = [
        pod("web-1-a", owner=owner("ReplicaSet", "web-1"), revision="1"),
        pod("web-1-b", owner=owner("ReplicaSet", "web-1"), revision="1"),
        pod("web-2-a", owner=owner("ReplicaSet", "web-2"), revision="2"),
        pod("db-0", owner=owner("StatefulSet", "db")),
        pod("alone", owner=None),
        pod("other", owner=None),
    ]
    assert workloads_of(pods) == 4
    assert workloads_of([]) == 0


def test_a_pod_that_is_not_scheduled_has_no_node() -> None:
    assert node_of({"spec": {"nodeName": "n1"}}) == "n1"
    assert node_of({"spec": {}}) == ""
    assert node_of({}) == ""
