"""A prediction as a whole: from the writes of a dry run and what a cluster holds, to lines that a person reads."""

from typing import Any

import pytest

from services.remediator.core.prediction import Seen, lines_of, predicted
from shared.contracts.actions.base import Written
from shared.contracts.predictions import Prediction
from shared.contracts.requests import Create, Delete, Patch, PatchType
from shared.contracts.workloads import WorkloadRef
from tests.unit.services.remediator.core.clusters import budget, limits, node, pod, quota, workload

WEB = WorkloadRef(kind="Deployment", namespace="bank", name="web")
PATCH = Patch("/apis/apps/v1/namespaces/bank/deployments/web", {}, PatchType.STRATEGIC)
EVICTION = Written(Create("/api/v1/namespaces/bank/pods/web-1/eviction", {}), {})
PODS = [pod(f"web-{number}", node="a", memory=64) for number in (1, 2, 3)]


def raised(memory: int = 128) -> Written:
    return Written(PATCH, workload(memory=memory))


def seen(**read: Any) -> Seen:
    usual: dict[str, Any] = {"workload": workload(memory=64), "pods": PODS}
    none: dict[str, Any] = {"budgets": [], "quotas": [], "ranges": [], "scalers": [], "nodes": [], "everywhere": []}
    return Seen(**(none | usual | read))


def told(written: Written, read: Seen) -> list[str]:
    prediction = predicted(WEB, [written], read)
    assert prediction is not None
    return lines_of(prediction)


def test_a_new_template_is_foretold_line_by_line() -> None:
    scaler: Any = {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}}}
    read = seen(
        nodes=[node("a", memory=512), node("b", memory=64)],
        everywhere=PODS,
        budgets=[budget()],
        quotas=[quota(hard={"requests.memory": "400Mi"}, used={"requests.memory": "192Mi"})],
        ranges=[limits(max={"memory": "1Gi"})],
        scalers=[scaler],
    )
    assert told(raised(), read) == [
        "predicts: replaces 3, at most 0 away at once, 1 beyond the wanted number: web-1, web-2, web-3",
        "predicts: available: 3 now, 3 at the lowest",
        "predicts: budget web-pdb: wants 2 healthy, 3 at the lowest",
        "predicts: room for 1 of 1 new pods at once (memory 128Mi): a 1",
        "predicts: quota compute: 256Mi of requests.memory needed, 208Mi left: too little, new pods are refused",
        "predicts: replicas: hpa (web)",
    ]


def test_an_eviction_is_foretold_with_the_room_that_it_leaves() -> None:
    read = seen(nodes=[node("a", memory=192)], everywhere=PODS, budgets=[budget(healthy=2)], pods=PODS[:2])
    assert told(EVICTION, read) == [
        "predicts: replaces 1, at most 1 away at once: web-1",
        "predicts: available: 2 now, 1 at the lowest",
        "predicts: budget web-pdb: wants 2 healthy, 1 at the lowest, below it",
        "predicts: room for 1 of 1 new pods at once (memory 64Mi): a 1",
    ]


def test_where_no_node_has_room_it_is_said() -> None:
    read = seen(nodes=[node("a", memory=256)], everywhere=PODS)
    assert "predicts: room for 0 of 1 new pods at once (memory 128Mi): no node" in told(raised(), read)


def test_of_a_daemon_set_each_pod_is_held_against_its_own_node() -> None:
    ref = WorkloadRef(kind="DaemonSet", namespace="bank", name="web")
    pods = [pod(f"web-{at}", owner="web", kind="DaemonSet", node=at, memory=64) for at in ("a", "b")]
    nodes = [node("a", memory=128), node("b", memory=100), node("c", memory=1000)]
    prediction = predicted(ref, [raised()], seen(pods=pods, nodes=nodes, everywhere=pods))
    assert prediction is not None
    assert (prediction.fitting, prediction.wave, [room.node for room in prediction.rooms or ()]) == (1, 2, ["a"])


@pytest.mark.parametrize("unread", ["nodes", "everywhere"])
def test_without_knowing_nodes_or_what_they_hold_no_room_is_claimed(unread: str) -> None:
    known: dict[str, Any] = {"nodes": [node(memory=512)], "everywhere": [], unread: None}
    lines = told(raised(), seen(**known, notes=(f"{unread}: 403 Forbidden: no",)))
    assert not any("room" in line for line in lines)
    assert f"not judged: {unread}: 403 Forbidden: no" in lines


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (raised(64), seen()),
        (raised(), seen(workload=None)),
        (raised(), seen(pods=None)),
        (EVICTION, seen(pods=None)),
        (EVICTION, seen(pods=[])),
        (Written(Delete("/apis/batch/v1/namespaces/bank/jobs/web-1", "u"), {}), seen()),
        (Written(Create("/apis/batch/v1/namespaces/bank/jobs", {}), {}), seen()),
    ],
)
def test_what_touches_no_pod_or_no_known_one_is_not_foretold(written: Written, read: Seen) -> None:
    assert predicted(WEB, [written], read) is None


def test_a_pod_that_is_deleted_is_foretold_like_one_that_is_evicted_but_no_budget_is_asked() -> None:
    deleted = Written(Delete("/api/v1/namespaces/bank/pods/web-1", "u"), {})
    lines = told(deleted, seen(budgets=[budget(healthy=2)]))
    assert "predicts: budget web-pdb: wants 2 healthy, 1 at the lowest, below it; nobody asks it" in lines


def test_a_prediction_reads_from_what_another_version_wrote() -> None:
    assert Prediction.model_validate_json('{"replaced": 2, "of another version": 1}').replaced == 2
